#!/usr/bin/env bash
# usage: tests/engines/proxysql/run.sh [driver]
# Builds a host as ProxySQL's SQLite3 Server is built, links it with the archive in every order, and runs it against
# the fake provider. The last line tells how many cases passed and failed.
# With `driver` it only builds the driver of tests/conformance.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
out=$target/proxysql
sources=$out/sources
mkdir -p "$out/run"

missing=()
command -v g++ >/dev/null || missing+=(g++)
command -v make >/dev/null || missing+=(make)
command -v valgrind >/dev/null || missing+=(valgrind)
[ -e /usr/include/sqlite3.h ] || missing+=(libsqlite3-dev)
if [ ${#missing[@]} -gt 0 ]; then
    "$root/tests/debian.sh" "${missing[@]}" || exit 2
fi

if [ "${1:-}" = driver ]; then
    "$here/sources.sh" "$sources"
    # The archive beside the library under test.
    archive=${REMBED_LIB:-$target/release/libsqlite_rembed.so}
    make --silent -j2 -C "$here" OUT="$out" SOURCES="$sources" ARCHIVES= ARCHIVE="${archive%.so}.a" "$out/driver"
    exit
fi

. "$root/tests/check.sh"
. "$root/tests/fake/start.sh"
# Counts what a host says on the standard input, `ok CASE` or `FAILED CASE` a line; figures stand between.
said() {
    local line
    while IFS= read -r line; do
        case $line in
            "ok "*) pass "${line#ok }" ;;
            "FAILED "*) fail "${line#FAILED }" ;;
            *) echo "$line" ;;
        esac
    done
}

# C objects take as long as the archives: both at once, where there are two cores.
"$here/sources.sh" "$sources"
make --silent -j2 -C "$here" OUT="$out" SOURCES="$sources" ARCHIVES= objects &
objects=$!
# ProxySQL's own command, as its deps/Makefile has it.
(cd "$root" && CARGO_TARGET_DIR=$target SQLITE3_INCLUDE_DIR=$sources/sqlite SQLITE3_LIB_DIR=$sources/sqlite \
    SQLITE3_STATIC=1 cargo build --quiet --release --features=sqlite-loadable/static --lib)
own=$target/release/libsqlite_rembed.a
check "objects and headers compile without a warning" wait "$objects"
make --silent -j2 -C "$here" OUT="$out" SOURCES="$sources" ARCHIVES="own=$own" hosts

# Debian's nm would ask LLVM's plugin, which knows no newer bitcode; the symbols are in plain ELF too.
symbols() { nm --plugin=/dev/null --defined-only --extern-only "$1" 2>/dev/null | awk 'NF == 3 && $3 ~ /^sqlite3/ {print $3}' | sort; }
echo "   an archive of $(stat -c %s "$own") bytes"
check "the archive defines no sqlite3 symbol but its entry points" \
    test "$(symbols "$own" | xargs)" = "sqlite3_rembed_init sqlite3_sqliterembed_init"

needs_no_bindgen() {
    local tree
    tree=$(cd "$root" && cargo tree --edges all --prefix none --features=sqlite-loadable/static) && ! grep -q '^bindgen ' <<<"$tree"
}
check "ProxySQL's command needs no bindgen, and so no libclang" needs_no_bindgen

start_fake

# host NAME TIMEOUT GROUP…: runs a linked host, in a folder of its own.
host() {
    local name=$1 limit=$2
    shift 2
    mkdir -p "$out/run/$name"
    run "$limit" "$name" "$name" "$url" "$out/run/$name" "$target/release/libsqlite_rembed.so" "$@"
}
# run TIMEOUT PROGRAM ARGUMENT…: counts what the program says.
run() {
    local limit=$1 program=$2 status=0
    shift 2
    said < <(timeout "$limit" "$out/$program" "$@")
    wait $! || status=$?
    # 1 is a failed case, which has its line already.
    if [ $status -gt 1 ]; then fail "$program $*: ended with status $status"; fi
}

export REMBED_README=$root/README.md REMBED_STRANGERS=$root/tests/engines/strangers.txt
for way in before after system; do
    host "own-$way" 120 linkage pipeline readme scopes lock errors client index load lifetime strangers
done
unset REMBED_README REMBED_STRANGERS

cat >"$out/run/config.json" <<JSON
{"clients": {"configured": {"format": "ollama", "url": "$url"}, "other": {"format": "openai", "model": "m"}}}
JSON
REMBED_CONFIG=$out/run/config.json host own-after 30 config
REMBED_CONFIG=$out/run/no-such-file.json host own-after 30 config

# A server whose sessions are strangers': SECURITY.md.
REMBED_LOCK=1 REMBED_CONFIG=$out/run/config.json HOST_SECRET=the-hosts-own-secret host own-after 30 locked

run 30 forgot own "$out/run"
run 30 order own
run 30 header

valgrind_host() {
    valgrind --quiet --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite --error-exitcode=9 \
        "$out/own-after" valgrind "$url" "$out/run" - pipeline scopes lock errors >"$out/run/valgrind.txt" 2>&1
}
check "valgrind finds no error and no leak" valgrind_host
# What it found, and not the cases that passed under it.
grep -E '^(==|FAILED)' "$out/run/valgrind.txt" || true

make --silent -C "$root/examples/cpp" REMBED="$own" SQLITE="$out/bundled/sqlite3.o" \
    CPPFLAGS="-I$sources/sqlite" OUT="$out/demo"
demo() {
    local said
    said=$("$out/demo" "$url") && echo "   ${said//$'\n'/, }" && [[ $said == *"distance: 0."* ]]
}
check "the C++ example runs" demo

total
