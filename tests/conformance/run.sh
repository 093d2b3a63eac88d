#!/usr/bin/env bash
# usage: tests/conformance/run.sh [--check] [--file WORD] [ENGINE …]
# Runs the SQL contract (*.slt) on every engine, or those named, and writes compat-matrix.md; with --check it compares.
# Builds what REMBED_LIB, REMBED_FAKE and SQLITE_VEC do not name. The drivers are built by the runner.
set -euo pipefail
# Absolute first: the paths are the caller's, and the next line leaves the caller's folder.
for name in REMBED_LIB REMBED_FAKE SQLITE_VEC; do
    if [ -n "${!name:-}" ]; then declare "$name=$(realpath "${!name}")"; export "${name?}"; fi
done
cd "$(dirname "$0")/../.."
# Every path below is where the table of engines (src/engines.rs) looks for it.
unset CARGO_TARGET_DIR

if [ -z "${REMBED_LIB:-}" ]; then cargo build --quiet --release --locked; fi
. tests/fake/start.sh
build_fake
if [ -z "${SQLITE_VEC:-}" ]; then
    tests/venv.sh target/venv/examples examples/python/requirements.txt
    SQLITE_VEC=$(target/venv/examples/bin/python3 -c 'import sqlite_vec; print(sqlite_vec.loadable_path())').so
    export SQLITE_VEC
fi
# What the files expect was not copied from what the extension said.
if [ $# = 0 ] || [ "$*" = --check ]; then /usr/bin/python3 tests/conformance/vectors.py --check; fi
cargo build --quiet --release --locked --manifest-path tests/conformance/Cargo.toml --target-dir target/conformance/runner
exec target/conformance/runner/release/conformance "$@"
