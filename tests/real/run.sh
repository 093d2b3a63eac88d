#!/usr/bin/env bash
# Everything from nothing: installs server, model and headlines, builds the extension, and runs search.py against them.
# REMBED_LIB=/path/to/libsqlite_rembed.so tests a library that is already built.
set -euo pipefail
# Made absolute first: the path is the caller's, and the next line leaves the caller's folder.
if [ -n "${REMBED_LIB:-}" ]; then REMBED_LIB=$(realpath "$REMBED_LIB"); fi
cd "$(dirname "$0")/../.."

tests/real/install.sh
if [ -z "${REMBED_LIB:-}" ]; then
    cargo build --release
    REMBED_LIB=${CARGO_TARGET_DIR:-target}/release/libsqlite_rembed.so
fi
export REMBED_LIB
tests/real/server.sh target/venv/real/bin/python3 tests/real/search.py
