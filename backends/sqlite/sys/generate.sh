#!/usr/bin/env bash
# Writes the C declarations of the two crates beside this script. Run by a developer when a newer SQLite
# header is wanted; building the project never runs it, so a user needs neither bindgen nor libclang.
#
#   cargo install bindgen-cli --version 0.72.1 --locked
#   pip install libclang==18.1.1          # carries libclang.so
#   cargo fetch                           # of any crate that depends on libsqlite3-sys 0.26.0 (SQLite 3.41.2: newer headers have a field that sqlite-loadable does not fill)
#   LIBCLANG_PATH=…/clang/native SQLITE_HEADERS=…/libsqlite3-sys-0.26.0/sqlite3 ./generate.sh
set -euo pipefail
cd "$(dirname "$0")"
: "${LIBCLANG_PATH:?folder that holds libclang.so}" "${SQLITE_HEADERS:?folder that holds sqlite3ext.h}"
export LIBCLANG_PATH
common=(--no-layout-tests --no-doc-comments --use-core --rust-target 1.77)
clang=(-I "$(gcc -print-file-name=include)") # the wheel carries libclang without its headers

# The API table and what its functions take; constants as sqlite3.h spells them.
bindgen "${common[@]}" "$SQLITE_HEADERS/sqlite3ext.h" -o sqlite3ext-sys/src/bindings.rs \
  --allowlist-type 'sqlite3_(api_routines|module|index_info|vtab|vtab_cursor|value|context|stmt)|sqlite3' \
  --allowlist-var 'SQLITE_(OK|ERROR|NOMEM|INTERRUPT|CONSTRAINT|MISUSE|ROW|DONE|READONLY|LOCKED_VTAB|INTEGER|FLOAT|TEXT|BLOB|NULL|UTF8|UTF16.*|DETERMINISTIC|DIRECTONLY|INNOCUOUS|SUBTYPE|RESULT_SUBTYPE|INDEX_CONSTRAINT_EQ|INDEX_SCAN_UNIQUE|VTAB_.*|REPLACE|IGNORE|VERSION_NUMBER)' \
  -- "${clang[@]}"

# sqlite-loadable's feature `static` calls these by name: the names that its src/ext.rs asks for, and no more.
ext=$(cargo metadata --format-version 1 --manifest-path ../../../Cargo.toml |
  python3 -c 'import json,sys; print([p["manifest_path"] for p in json.load(sys.stdin)["packages"] if p["name"]=="sqlite-loadable"][0])')
names=$(grep -oh 'libsqlite3_sys::sqlite3_[a-z0-9_]*' "$(dirname "$ext")"/src/*.rs | sed 's/.*:://' | sort -u | paste -sd'|')
bindgen "${common[@]}" "$SQLITE_HEADERS/sqlite3.h" -o libsqlite3-sys/src/functions.rs \
  --allowlist-function "$names" --blocklist-type '.*' --raw-line 'use sqlite3ext_sys::*;' \
  -- "${clang[@]}"
