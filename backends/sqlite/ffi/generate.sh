#!/usr/bin/env bash
# Writes bindings.rs, the C declarations of SQLite's extension API. Run by a developer when a newer SQLite
# header is wanted; building the project never runs it, so a user needs neither bindgen nor libclang.
#
#   cargo install bindgen-cli --version 0.72.1 --locked
#   pip install libclang==18.1.1          # carries libclang.so
#   LIBCLANG_PATH=…/clang/native SQLITE_HEADERS=folder-of-sqlite3ext.h ./generate.sh     # as committed: SQLite 3.41.2's
set -euo pipefail
cd "$(dirname "$0")"
: "${LIBCLANG_PATH:?folder that holds libclang.so}" "${SQLITE_HEADERS:?folder that holds sqlite3ext.h}"
export LIBCLANG_PATH
# The wheel carries libclang without its headers.
bindgen --no-layout-tests --no-doc-comments --use-core --rust-target 1.77 "$SQLITE_HEADERS/sqlite3ext.h" -o bindings.rs \
  --allowlist-type 'sqlite3_(api_routines|module|index_info|vtab|vtab_cursor|value|context|stmt)|sqlite3' \
  -- -I "$(gcc -print-file-name=include)"
