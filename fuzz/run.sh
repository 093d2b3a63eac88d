#!/usr/bin/env bash
# usage: fuzz/run.sh [SECONDS [TARGET …]]
# Runs each target, or those named, for so many seconds (20), as many at once as there are processors. Needs Rust and a
# C++ compiler, no nightly: what `cargo fuzz run --sanitizer none` does is plain code generation, and no code here is
# unsafe. A finding is an input in fuzz/artifacts/TARGET; what was learned stays in fuzz/corpus.
set -uo pipefail
cd "$(dirname "$0")"
seconds=${1:-20}
shift
targets=("$@")
[ $# != 0 ] || targets=($(cd fuzz_targets && ls ./*.rs | xargs -n1 basename -s .rs))

export RUSTFLAGS="--cfg fuzzing -Cdebug-assertions -Ccodegen-units=1 -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
# A target of its own for the flags, else build scripts get them too.
host=$(rustc -vV | sed -n 's/^host: //p')
unset CARGO_TARGET_DIR
cargo build --quiet --release --locked --target "$host" --bins || exit

run() { # TARGET
    mkdir -p "corpus/$1" "artifacts/$1"
    log=artifacts/$1.log
    if "target/$host/release/$1" "corpus/$1" "seeds/$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
        -max_len=4096 -artifact_prefix="artifacts/$1/" >"$log" 2>&1; then
        grep '^Done' "$log" | sed "s/^/$1: /"
    else
        tail -n 40 "$log"
        echo "$1: FAILED; again: fuzz/target/$host/release/$1 fuzz/artifacts/$1/INPUT"
        return 1
    fi
}
export -f run
export seconds host
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'run {}'
