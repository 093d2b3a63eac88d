#!/bin/sh
# Tests the extension in hosts on classic SQLite: Rust on the newest and on two old ones, the shell, Python.
# Builds what REMBED_LIB, REMBED_RIGGED_LIB and REMBED_FAKE do not name. The last line has the counts.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
python=/usr/bin/python3
[ -x "$python" ] || python=python3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0
failed=0

# build PACKAGE TARGET_DIR ARGUMENT...: named, so that CARGO_TARGET_DIR does not hide what the tests look for.
build() {
    package=$root/$1
    target=$root/$2
    shift 2
    cargo build --quiet --manifest-path "$package/Cargo.toml" --target-dir "$target" "$@" || exit 2
}
[ -n "${REMBED_LIB:-}" ] || build . target --release
[ -n "${REMBED_RIGGED_LIB:-}" ] || build . target/rigged --features rigged
[ -n "${REMBED_FAKE:-}" ] || build tests/fake tests/fake/target --release

# suite NAME COMMAND...: adds up what it says, by cargo's words or by ours.
suite() {
    echo "== $1"
    shift
    { "$@" 2>&1; echo $? >"$dir/status"; } | tee "$dir/log"
    good=$(sed -n 's/^\(test result: [a-zA-Z]*\. \)\{0,1\}\([0-9][0-9]*\) passed[,;] [0-9][0-9]* failed.*/\2/p' "$dir/log")
    bad=$(sed -n 's/^\(test result: [a-zA-Z]*\. \)\{0,1\}[0-9][0-9]* passed[,;] \([0-9][0-9]*\) failed.*/\2/p' "$dir/log")
    bad=$(echo "$bad" | awk '{ n += $1 } END { print n + 0 }')
    # What ends badly without a count, such as a build, has failed too.
    [ "$(cat "$dir/status")" = 0 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + $(echo "$good" | awk '{ n += $1 } END { print n + 0 }')))
    failed=$((failed + bad))
}

# Most tests wait for a server most of the time.
RUST_TEST_THREADS=${RUST_TEST_THREADS:-8}
export RUST_TEST_THREADS
suite 'Rust, the newest SQLite' cargo test --quiet --locked --manifest-path "$here/Cargo.toml"
suite 'Rust, SQLite 3.35' cargo test --quiet --locked --manifest-path "$here/old/Cargo.toml"
suite 'Rust, SQLite 3.33' cargo test --quiet --locked --manifest-path "$here/too-old/Cargo.toml"
suite 'Shell' sh "$here/shell.sh"
suite 'Python' "$python" "$here/host.py"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
