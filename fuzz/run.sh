#!/usr/bin/env bash
# usage: fuzz/run.sh check | SECONDS [TARGET …]
# Runs each target, or those named, for so many seconds, as many at once as there are processors. `check` gives each target the
# seeds and some inputs made of them, the same ones each time in one folder on one machine: it tells whether what is known still
# holds, and a search finds what is not known. Needs Rust and a C++ compiler, no nightly: what `cargo fuzz run --sanitizer none`
# does is plain code generation, and no code here is unsafe. A finding is an input in fuzz/artifacts/TARGET; what a search has
# learned stays in fuzz/corpus.
set -uo pipefail
cd "$(dirname "$0")"
case $1 in
check)
    learned=$(mktemp -d) && trap 'rm -rf "$learned"' EXIT
    cc -shared -fPIC -o "$learned/unrandom.so" unrandom.c || exit
    bound="-seed=1 -runs=100000 -reload=0" same="env LD_PRELOAD=$learned/unrandom.so"
    # Without random addresses too, where the machine lets us.
    ! setarch -R true 2>/dev/null || same="setarch -R $same"
    ;;
*) bound="-max_total_time=$1" same="" learned=corpus ;;
esac
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
    mkdir -p "$learned/$1" "artifacts/$1"
    log=artifacts/$1.log
    # shellcheck disable=SC2086 # some words each
    if $same "target/$host/release/$1" "$learned/$1" "seeds/$1" $bound -timeout=10 -rss_limit_mb=1024 -max_len=4096 \
        -artifact_prefix="artifacts/$1/" >"$log" 2>&1; then
        grep '^Done' "$log" | sed "s/^/$1: /"
    else
        tail -n 40 "$log"
        echo "$1: FAILED; again: fuzz/target/$host/release/$1 fuzz/artifacts/$1/INPUT"
        return 1
    fi
}
export -f run
export bound same learned host
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'run {}'
