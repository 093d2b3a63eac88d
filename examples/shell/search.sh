#!/usr/bin/env bash
# Searches the help pages of a shop by meaning: ./search.sh "where is my order?"
# VEC_LIB is the path of sqlite-vec's vec0.so; python3 -c 'import sqlite_vec; print(sqlite_vec.loadable_path())' tells it.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
url=${REMBED_URL:-http://localhost:11434}
rembed=${REMBED_LIB:-$here/../../target/release/libsqlite_rembed.so}
query=${1:-How do I return an item and get a refund?}
quoted=\'${query//\'/\'\'}\'

sqlite3 -bail -separator '  ' :memory: <<END
.load '$rembed'
.load '${VEC_LIB:-vec0}'
.parameter init
INSERT INTO temp.sqlite_parameters VALUES (':url', '$url'), (':query', $quoted);
.read '$here/search.sql'
END
