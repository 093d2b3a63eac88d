#!/usr/bin/env bash
# Tests the extension in hosts on classic SQLite: Rust on the newest and on two old ones, the shell, Python.
# Builds what REMBED_LIB, REMBED_RIGGED_LIB and REMBED_FAKE do not name. The last line has the counts.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
python=/usr/bin/python3
[ -x "$python" ] || python=python3
. "$root/tests/suite.sh"

# build PACKAGE TARGET_DIR ARGUMENT...: named, so that CARGO_TARGET_DIR does not hide what the tests look for.
build() {
    package=$root/$1
    target=$root/$2
    shift 2
    cargo build --quiet --manifest-path "$package/Cargo.toml" --target-dir "$target" "$@" || exit 2
}
[ -n "${REMBED_LIB:-}" ] || build . target --release
[ -n "${REMBED_RIGGED_LIB:-}" ] || build . target/rigged --features rigged
. "$root/tests/fake/start.sh"
build_fake || exit 2

# Most tests wait for a server most of the time.
RUST_TEST_THREADS=${RUST_TEST_THREADS:-8}
export RUST_TEST_THREADS
suite 'Rust, the newest SQLite' cargo test --quiet --locked --manifest-path "$here/Cargo.toml"
suite 'Rust, SQLite 3.35' cargo test --quiet --locked --manifest-path "$here/old/Cargo.toml"
suite 'Rust, SQLite 3.33' cargo test --quiet --locked --manifest-path "$here/too-old/Cargo.toml"
suite 'Shell' "$here/shell.sh"
suite 'Python' "$python" "$here/host.py"
suite 'Python, forks' "$python" "$here/fork.py"
venv=$root/target/venv/datasette
"$root/tests/venv.sh" "$venv" "$root/tests/engines/datasette/requirements.txt" || exit 2
suite 'Datasette' "$venv/bin/python3" "$root/tests/engines/datasette/strangers.py"

total
