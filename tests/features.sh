#!/usr/bin/env bash
# The features: each set that works compiles without a warning and pulls in no more than it should, each that cannot
# work says why.
set -uo pipefail
cd "$(dirname "$0")/.."
. "$PWD/tests/check.sh"

lints() { cargo clippy --quiet --locked --no-default-features --features "$1" -- -D warnings; }
for features in sqlite sqlite,static,rigged libsql rusqlite limbo limbo-static turso turso-static sqlite,limbo sqlite,turso local sqlite,local; do
    check "clippy of $features" lints "$features"
done
check "clippy of the core alone" cargo clippy --quiet --locked --no-default-features -- -D warnings

refused() { # refused FEATURES TEXT
    local said
    ! said=$(cargo check --locked --no-default-features --features "$1" 2>&1) && grep -q "$2" <<<"$said"
}
check "sqlite and libsql" refused sqlite,libsql "C API comes from one place"
check "sqlite and rusqlite" refused sqlite,rusqlite "C API comes from one place"
check "libsql and rusqlite" refused libsql,rusqlite "their symbols collide"
check "limbo and turso" refused limbo,turso "register_extension, and call it differently"

only() { # only FEATURES ENGINE-CRATE…: of the engines' crates these are in the tree, and no other
    local features=$1 tree
    shift
    tree=$(cargo tree --locked --edges normal,build --prefix none --no-default-features --features "$features") || return
    # shellcheck disable=SC2046 # one name a word
    [ "$(cut -d' ' -f1 <<<"$tree" | sort -u | grep -xE 'sqlite-loadable|libsql|rusqlite|limbo_core|limbo_ext|turso_core|turso_ext|mimalloc|bindgen' | xargs)" = "$*" ] ||
        { echo "$features: $(cut -d' ' -f1 <<<"$tree" | sort -u | xargs)"; return 1; }
}
check "tree of sqlite" only sqlite
check "tree of static" only static
# libsql-ffi has bindgen among its build dependencies, and does not run it.
check "tree of libsql" only libsql bindgen libsql
check "tree of rusqlite" only rusqlite rusqlite
check "tree of limbo" only limbo limbo_ext mimalloc
check "tree of limbo-static" only limbo-static limbo_core limbo_ext mimalloc
check "tree of turso" only turso turso_ext
check "tree of turso-static" only turso-static turso_core turso_ext
check "tree of the core" only rigged
check "tree of local" only local

total
