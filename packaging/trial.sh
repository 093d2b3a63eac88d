#!/usr/bin/env bash
# usage: packaging/trial.sh aarch64-unknown-linux-gnu.2.17|x86_64-unknown-linux-musl|aarch64-unknown-linux-musl
# Builds the packages of another Linux than this machine's (Debian 12, x86-64) and gets a vector from their library, under
# qemu where the processor is another. It installs nothing: Debian's newer Rust with its standard library's source, qemu and
# the target's C library are unpacked into target/trial, as root for the second architecture of apt. Some ten minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1 cpu=${1%%-*} place=$PWD/target/trial
case $target in
    *-gnu*) libc=libc6 loader=ld-linux-$cpu.so.1 zig=$cpu-linux-gnu.2.17 ;;
    *-musl) libc=musl loader=ld-musl-$cpu.so.1 zig=$cpu-linux-musl ;;
esac
case $cpu in aarch64) debian=arm64 qemu=$place/rust/usr/bin/qemu-aarch64 ;; x86_64) debian=amd64 qemu= ;; esac

unpack() { # unpack FOLDER PACKAGE…
    local folder=$place/$1
    if [ -d "$folder" ]; then return; fi
    rm -rf "$folder.part" "$place/debs" && mkdir -p "$folder.part" "$place/debs"
    (cd "$place/debs" && apt-get download -q "${@:2}" && for deb in *.deb; do dpkg -x "$deb" "$folder.part"; done)
    rm -rf "$place/debs" && mv "$folder.part" "$folder"
}
newest() { apt-cache depends "$1" | grep -oE "$2" | sort -V | tail -1; } # newest PACKAGE PATTERN: what it depends on

if ! dpkg --print-foreign-architectures | grep -qx arm64; then dpkg --add-architecture arm64; fi
apt-get update -q
std=$(newest libstd-rust-web-dev 'libstd-rust-web-[0-9.]+$')
unpack rust rustc-web libstd-rust-web-dev "$std" "$(newest "$std" 'libllvm[0-9]+')" rust-web-src qemu-user
unpack "$libc-$cpu" "$libc:$debian"

tests/venv.sh target/venv/packaging packaging/requirements.txt
PATH=$PWD/target/venv/packaging/bin:$PATH
# Debian packages no standard library for musl, so each target's is built.
RUSTC=$place/rust/usr/bin/rustc LD_LIBRARY_PATH=$place/rust/usr/lib/x86_64-linux-gnu RUSTC_BOOTSTRAP=1 \
    CARGO_UNSTABLE_BUILD_STD=std,panic_unwind packaging/build.sh "$target"

tests/examples.sh --node # its better-sqlite3 has SQLite's source
sqlite=examples/node/node_modules/better-sqlite3/deps/sqlite3
host=$place/host-$libc-$cpu
if [ ! -x "$host" ]; then python-zig cc -target "$zig" -dynamic -O1 -o "$host" packaging/tests/trial.c $sqlite/sqlite3.c -I$sqlite; fi
model=$(tests/local/model.sh)
library=target/packages/stage/lib/rembed0.so
root=$place/$libc-$cpu/lib
$qemu "$root/$loader" --library-path "$root:$root/$cpu-linux-gnu" "$host" "$library" "$model"
