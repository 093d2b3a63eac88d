#!/usr/bin/env bash
# What the built library is: its size, its symbols, that it cannot be unmapped, and that it loads under its names.
set -euo pipefail
cd "$(dirname "$0")/.."
so=target/release/libsqlite_rembed.so archive=target/release/libsqlite_rembed.a
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$PWD/tests/check.sh"

strip -o "$work/stripped.so" "$so"
size=$(stat -c %s "$work/stripped.so")
echo "stripped: $size bytes"
check "the stripped library is under 5 MB" [ "$size" -lt 5000000 ]

# readelf, since an nm with an LLVM plugin older than rustc's LLVM shows nothing of such an archive.
defined=$(readelf -sW "$archive" 2>/dev/null |
    awk '$5 == "GLOBAL" && $7 != "UND" && $8 ~ /^sqlite3_/ { print $8 }' | sort -u | paste -sd' ')
echo "sqlite3_ symbols that the archive defines: $defined"
check "the archive defines the entry points alone" [ "$defined" = "sqlite3_rembed_init sqlite3_sqliterembed_init" ]
undefined=$(nm -D --undefined-only "$so" | grep -c ' sqlite3_' || true)
check "the library needs no sqlite3_ symbol ($undefined)" [ "$undefined" = 0 ]
check "it stays mapped" grep -q NODELETE <(readelf -d "$so")

tree=$(cargo tree --locked --edges normal,build --prefix none)
for crate in bindgen clang-sys openssl-sys aws-lc-sys; do
    check "no $crate in the tree" bash -c '! grep -q "^$1 " <<<"$2"' _ "$crate" "$tree"
done

cp "$so" "$work/rembed0.so"
cp "$so" "$work/any-name.so"
for load in "$work/rembed0" "$so" "$work/any-name sqlite3_rembed_init"; do
    check "loads by: .load $load" [ "$(sqlite3 :memory: ".load $load" 'SELECT rembed_version()')" = \
        "v$(cargo pkgid | sed 's/.*[@#]//')" ]
done
total
