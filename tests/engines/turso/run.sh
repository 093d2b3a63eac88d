#!/usr/bin/env bash
# Tests the extension in hosts on Turso: 0.8, loaded and linked in; the next version, loaded; older ones, which it
# must refuse. The last line has the counts. `run.sh driver` only builds what the conformance suite runs.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
target=$here/target
# The folders below are where things are looked for.
unset CARGO_TARGET_DIR
# A panic that is provoked needs no trace.
RUST_BACKTRACE=0
export RUST_BACKTRACE
. "$root/tests/suite.sh"

mkdir -p "$target"
build() {
    cargo build --quiet --release --locked "$@" || exit 2
}
library() { # library FEATURES NAME [UNITS]: what no user builds is compiled by all processors
    build ${3:+--config "profile.release.package.sqlite-rembed.codegen-units=$3"} --manifest-path "$root/Cargo.toml" --no-default-features --features "$1" --target-dir "$root/target/turso"
    # Aside, since the next build has the same name. By way of a rename: the old one may be mapped.
    cp "$root/target/turso/release/libsqlite_rembed.so" "$target/$2.new" || exit 2
    mv "$target/$2.new" "$target/$2.so" || exit 2
}
library turso library
build --manifest-path "$here/Cargo.toml" --features static --target-dir "$target"
build --manifest-path "$here/pre/Cargo.toml" --target-dir "$target/pre"
[ "${1:-}" != driver ] || exit 0
library turso,rigged rigged 16
. "$root/tests/fake/start.sh"
build_fake || exit 2

# The figures of the tests are shown.
check() {
    cargo test --quiet --release --locked "$@" -- --show-output
}
suite 'Turso 0.8' check --manifest-path "$here/Cargo.toml" --features static --target-dir "$target"
suite 'Turso 0.9, loaded' check --manifest-path "$here/pre/Cargo.toml" --target-dir "$target/pre"
"$root/tests/venv.sh" "$target/venv" "$here/requirements.txt"
suite 'Limbo 0.0.22 and Turso 0.6' "$target/venv/bin/python3" "$here/too_old.py" "$target/library.so" "$target"

total
