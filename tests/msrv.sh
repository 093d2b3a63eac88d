#!/usr/bin/env bash
# Builds with the oldest Rust that Cargo.toml states, as Debian 12 packages it (rustc-web, cargo-web).
set -euo pipefail
cd "$(dirname "$0")/.."
stated=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
version=$(/usr/bin/rustc --version)
case $version in
"rustc $stated."*) ;;
*)
    echo "Cargo.toml states $stated, and /usr/bin/rustc is $version"
    exit 1
    ;;
esac
RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc /usr/bin/cargo build --locked --target-dir target/msrv
echo "builds with $version"
