#!/usr/bin/env bash
# The crate as a registry would have it: `cargo package` verifies, and an extension of somebody else's, outside of the tree, where no
# patch of ours reaches and nothing finds a libclang, builds on it with default features and loads.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"$/\1/p;T;q' Cargo.toml)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# bindgen would look here, and find nothing.
export LIBCLANG_PATH=$work/nothing LLVM_CONFIG_PATH=/bin/false CARGO_TARGET_DIR=$PWD/target/packages/crate

# The crate is unpacked where it is compiled, and the extension below looks for it there.
unset CARGO_BUILD_BUILD_DIR
# --allow-dirty for whoever tries a change; what is committed is what CI packs.
cargo package --quiet --locked --allow-dirty
held=$(tar -tzf "$CARGO_TARGET_DIR/package/sqlite-rembed-$version.crate")
for file in LICENSE-APACHE LICENSE-MIT README.md include/rembed.h backends/turso/rembed_clients.sql; do
    grep -qx "sqlite-rembed-$version/$file" <<<"$held" || { echo "the crate has no $file"; exit 1; }
done

mkdir "$work/src"
cat >"$work/Cargo.toml" <<TOML
[package]
name = "downstream"
version = "1.0.0"
edition = "2024"

[lib]
crate-type = ["cdylib"]

[dependencies]
sqlite-rembed = { path = "$CARGO_TARGET_DIR/package/sqlite-rembed-$version" }
TOML
cat >"$work/src/lib.rs" <<'RUST'
pub use sqlite_rembed::sqlite::sqlite3_rembed_init;
RUST
# The versions of our own lock file, so that nothing is compiled twice.
cp Cargo.lock "$work/"
cargo build --quiet --manifest-path "$work/Cargo.toml"
tree=$(cargo tree --manifest-path "$work/Cargo.toml" --prefix none)
if grep -qE '^(bindgen|clang-sys|sqlite-loadable|libsqlite3-sys) ' <<<"$tree"; then
    echo "$tree"
    exit 1
fi
[ "$(sqlite3 :memory: ".load $CARGO_TARGET_DIR/debug/libdownstream sqlite3_rembed_init" 'SELECT rembed_version()')" = "v$version" ]
echo "the crate $version: packed, verified, built on and loaded"
