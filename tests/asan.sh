#!/usr/bin/env bash
# usage: tests/asan.sh [TEST …]
# The contract tests with AddressSanitizer in the extension, in the host and in its SQLite; leaks are errors too. The tests
# of arguments, tables, texts, threads, panics and failed allocations, or those named. cargo's last line has the counts.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(rustc -vV | sed -n 's/^host: //p')
out=$PWD/target/asan
# Not those of memory and residue, which look at the memory of the process, nor those that wait for megabytes of JSON.
[ $# -gt 0 ] || set -- functions insert interrupt load loading nomem panic register rows schema scope select texts together update

. tests/fake/start.sh
build_fake

# The stable compiler brings the runtime, and takes the flag like this; the host has it, and exports it to the extension. One
# build of that has to do, the one with the format that panics.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Clink-arg=-rdynamic"
export CARGO_PROFILE_DEV_DEBUG=line-tables-only CARGO_INCREMENTAL=0
cargo build --quiet --locked --features rigged --target "$target" --target-dir "$out"
export REMBED_LIB=$out/$target/debug/libsqlite_rembed.so
export REMBED_RIGGED_LIB=$REMBED_LIB

# gcc's instrumentation calls the runtime by the names that LLVM's has.
export "CFLAGS_${target//-/_}=-fsanitize=address"
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:detect_leaks=1
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-8}
names=("${@/%/::}")
cargo test --quiet --locked --manifest-path tests/engines/sqlite/Cargo.toml --test contract --target "$target" --target-dir "$out" \
    -- "${names[@]}" --skip another_build_of_the_same_name --skip a_long_text_arrives_whole --skip while_a_reply_is_unpacked_and_read
