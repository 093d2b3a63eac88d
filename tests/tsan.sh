#!/usr/bin/env bash
# usage: tests/tsan.sh [TEST …]
# Threads under ThreadSanitizer: calls that travel together (callers who leave, bad texts, storms of 429, 64 threads), or the
# tests named, and the units below them. The standard library is compiled for it as well: without that, each of its locks
# looks like a race. So this needs the compiler's rust-src, which rustup brings; where there is none, it says so and does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
source=$(rustc --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock
[ -f "$source" ] || timeout 300 rustup component add rust-src || true
[ -f "$source" ] || { echo "skipped: no rust-src for $(rustc -V)"; exit; }

target=$(rustc -vV | sed -n 's/^host: //p')
# Everything takes ten times as long: few tests at once keep their times.
export RUST_TEST_THREADS=2 RUSTC_BOOTSTRAP=1 CARGO_PROFILE_DEV_DEBUG=line-tables-only CARGO_INCREMENTAL=0
# Not in the environment: the tests build the fake provider, which is not to have it.
tests() {
    cargo --config "target.$target.rustflags = ['-Zsanitizer=thread']" test --quiet --locked -Zbuild-std \
        --target "$target" --target-dir target/tsan "$@" 2>&1 | tee target/tsan.log
}
# A test may be late where everything takes so long: then it runs again. A race is an error at once.
watched() { tests "$@" || { ! grep -q 'WARNING: ThreadSanitizer' target/tsan.log && tests "$@"; }; }
[ $# -gt 0 ] || set -- together
mkdir -p target
watched --lib -- embed:: client::
watched "${@/#/--test=}"
