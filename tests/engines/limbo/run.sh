#!/usr/bin/env bash
# Tests the extension in hosts on Limbo 0.0.22: Rust on limbo_core, linked and loaded, and PyPI's pylimbo.
# Builds all it needs but the fake that REMBED_FAKE may name. The last line has the counts.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
target=$here/target
. "$root/tests/suite.sh"

# host FOLDER ARGUMENT...: the driver. Named folders, so that CARGO_TARGET_DIR does not hide them.
host() {
    folder=$1
    shift
    cargo build --quiet --release --locked --manifest-path "$here/Cargo.toml" --target-dir "$target" "$@" || exit 2
    mkdir -p "$target/$folder"
    [ "$folder" = release ] || cp "$target/release/limbo-driver" "$target/$folder/"
}
# What no user builds is compiled by all processors: of one unit each build takes a minute.
units=profile.release.package.sqlite-rembed.codegen-units
# library NAME FEATURES [UNITS]: the last one stays where the README builds it.
library() {
    cargo build --quiet --release --locked --lib --manifest-path "$root/Cargo.toml" --target-dir "$root/target/limbo" \
        --no-default-features --features "$2" ${3:+--config "$units=$3"} || exit 2
    mkdir -p "$target/lib/$1"
    cp "$root/target/limbo/release/libsqlite_rembed.so" "$target/lib/$1/"
}
host rigged --features rigged
host release
library rigged limbo,rigged 16
library both sqlite,limbo 16
library limbo limbo
"$root/tests/venv.sh" "$target/venv" "$here/requirements.txt" || exit 2
. "$root/tests/fake/start.sh"
build_fake || exit 2

suite 'Rust' cargo test --quiet --release --locked --manifest-path "$here/Cargo.toml" --target-dir "$target" -- --nocapture
suite 'Every host' /usr/bin/python3 "$here/host.py" "$target"

total
