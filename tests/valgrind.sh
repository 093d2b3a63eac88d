#!/usr/bin/env bash
# usage: tests/valgrind.sh [TEST …]
# The Rust host of tests/engines/sqlite with the library as it is released, under valgrind, which sees what SQLite and the
# other C code do: no invalid access, no use of what nobody wrote, nothing lost. Those of the contract tests that exercise
# pointers, or those named. cargo's last line has the counts.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- rows:: functions:: update:: nomem::closing

[ -n "${REMBED_LIB:-}" ] || cargo build --quiet --release --locked
. tests/fake/start.sh
build_fake

host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
export "CARGO_TARGET_${host}_RUNNER=valgrind --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=definite
    --errors-for-leak-kinds=definite --trace-children=yes --trace-children-skip=*/rembed-fake"
# It runs one thread at a time, but children side by side.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}
cargo test --quiet --locked --manifest-path tests/engines/sqlite/Cargo.toml --target-dir tests/engines/sqlite/target \
    --test contract -- "$@"
