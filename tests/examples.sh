#!/usr/bin/env bash
# Runs every example against the fake provider and checks what it finds.
# REMBED_LIB=/path/to/libsqlite_rembed.so tests a library that is already built.
# --prepare only builds and installs what running examples takes, and prints where it is as shell assignments.
# --node only installs the packages of examples/node, among them better-sqlite3, which is compiled.
set -euo pipefail
# Made absolute first: the path is the caller's, and the next line leaves the caller's folder.
if [ -n "${REMBED_LIB:-}" ]; then REMBED_LIB=$(realpath "$REMBED_LIB") && export REMBED_LIB; fi
cd "$(dirname "$0")/.."

root=$PWD venv=$PWD/target/venv/examples
best="Return an item within 30 days and we refund the full price to the card you paid with."
. "$PWD/tests/check.sh"
. "$PWD/tests/fake/start.sh"

need() { # need COMMAND-THAT-SUCCEEDS-WHEN-PRESENT PACKAGE…
    local present=$1
    shift
    if eval "$present" >/dev/null 2>&1; then return; fi
    "$root/tests/debian.sh" "$@"
}

prepare() {
    local default=$PWD/target/release/libsqlite_rembed.so
    lib=${REMBED_LIB:-${CARGO_TARGET_DIR:-$PWD/target}/release/libsqlite_rembed.so}
    if [ -z "${REMBED_LIB:-}" ]; then cargo build --quiet --release --locked; fi
    # The examples' own default is used, and so tested, where it is right.
    if [ "$lib" = "$default" ]; then unset REMBED_LIB; else export REMBED_LIB=$lib; fi
    build_fake

    need 'sqlite3 --version' sqlite3
    tests/venv.sh "$venv" examples/python/requirements.txt
    vec=$("$venv/bin/python3" -c 'import sqlite_vec; print(sqlite_vec.loadable_path())').so
}

node_libsql_install() {
    need 'node --version && npm --version' nodejs npm
    (cd examples/node-libsql && npm ci --no-audit --no-fund --loglevel=error >&2)
}

# Into the folder of the library itself: what both use is compiled once.
rust_core_build() { cargo build --quiet --locked --manifest-path examples/rust-core/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}"; }
# Into the folder of the hosts on the same engine: the engine is compiled once.
rust_build() { cargo build --quiet --locked --manifest-path examples/rust/Cargo.toml --target-dir tests/engines/sqlite/target; }
libsql_build() { cargo build --quiet --locked --manifest-path examples/libsql/Cargo.toml --target-dir tests/engines/libsql/target; }
turso_build() {
    # Those of the hosts, whose engine is compiled for them already.
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 cargo build --quiet --release --locked --manifest-path examples/turso/Cargo.toml --target-dir tests/engines/turso/target
}
pylimbo_build() {
    cargo build --quiet --release --locked --lib --no-default-features --features limbo --target-dir target/limbo
    tests/venv.sh target/venv/pylimbo examples/pylimbo/requirements.txt
}

npm_install() {
    local stamp=node_modules/installed.txt prefix
    need 'node --version && npm --version' nodejs npm
    prefix=$(realpath "$(dirname "$(realpath "$(command -v node)")")/..")
    # The headers of this node: without them node-gyp would fetch its own.
    if [ -f "$prefix/include/node/node.h" ]; then export npm_config_nodedir=$prefix; fi
    cd examples/node
    # Packages and conformance want it too, perhaps at the same time.
    exec 8>"../../target/node.lock"
    flock 8
    if [ "$(cat $stamp 2>/dev/null)" != "$(node --version) $(cksum <package-lock.json)" ]; then
        # Its prebuilt binary is in no package: it would be fetched from elsewhere, so it is compiled here.
        need 'make --version && g++ --version' make g++
        JOBS=2 npm_config_build_from_source=true npm ci --no-audit --no-fund --loglevel=error >&2
        echo "$(node --version) $(cksum <package-lock.json)" >$stamp
    fi
    exec 8>&-
}

cpp_make() {
    need 'make --version && g++ --version' make g++
    need "echo '#include <sqlite3.h>' | g++ -E -x c++ -" libsqlite3-dev
    local archive=${lib%.so}.a
    if [ ! -f "$archive" ]; then
        cargo build --quiet --release --locked
        archive=${CARGO_TARGET_DIR:-$PWD/target}/release/libsqlite_rembed.a
    fi
    mkdir -p target/examples
    make --silent -C examples/cpp REMBED="$archive" OUT="$PWD/target/examples/cpp"
}

example() { # example NAME PATTERN COMMAND…
    local name=$1 pattern=$2 output status=0
    shift 2
    output=$(timeout 120 "$@") || status=$?
    if [ $status = 0 ] && [[ $output =~ $pattern ]]; then
        pass "$name"
    else
        fail "$name: exit code $status, and its output does not match $pattern:
$output"
    fi
}

# One that cannot be built must not keep the others from running. In $built and not in an exit code: within a
# condition bash would ignore the -e of what is called.
build() { # build NAME COMMAND…
    local name=$1 status
    shift
    set +e
    (set -e; "$@")
    status=$?
    set -e
    built=yes
    if [ $status != 0 ]; then
        built=no
        fail "$name cannot be built"
    fi
}

if [ "${1:-}" = --node ]; then
    npm_install
    exit
fi

prepare
if [ "${1:-}" = --prepare ]; then
    printf '%s=%q\n' REMBED_LIB "$lib" VEC_LIB "$vec" VENV "$venv"
    exit
fi

start_fake
export REMBED_URL=$url

# From a question to a prompt: the passage that answers it comes first.
prompt=$'^Answer by these passages alone[^\n]*\n\n\\[1\\] Returns: [^\n]*Return an item within 30 days.*\nQuestion: How long'

line=$'0\\.[0-9]{3}  [^\n]+'
found="^0\.[0-9]{3}  $best"$'\n'"$line"$'\n'"$line\$"

VEC_LIB=$vec example examples/shell "$found" examples/shell/search.sh
example examples/python "$found" "$venv/bin/python3" examples/python/search.py
example examples/python/rag.py "$prompt" "$venv/bin/python3" examples/python/rag.py
build examples/rust rust_build
if [ $built = yes ]; then example examples/rust "$found" tests/engines/sqlite/target/debug/search; fi
build examples/rust-core rust_core_build
if [ $built = yes ]; then
    example examples/rust-core '^768 dimensions, similarity 0\.[0-9]{3}$' "${CARGO_TARGET_DIR:-target}/debug/rembed-core"
fi
build examples/node npm_install
if [ $built = yes ]; then
    example examples/node "$found" node examples/node/search.mjs
    example examples/node/rag.mjs "$prompt" node examples/node/rag.mjs
    example examples/node/worker.mjs '^768 dimensions; the event loop went on$' node examples/node/worker.mjs
fi
build examples/cpp cpp_make
if [ $built = yes ]; then
    example examples/cpp $'^dimensions: 768\ndistance: 0\\.[0-9]+$' target/examples/cpp "$REMBED_URL"
fi
build examples/libsql libsql_build
if [ $built = yes ]; then example examples/libsql "$found" tests/engines/libsql/target/debug/libsql-search; fi
build examples/node-libsql node_libsql_install
if [ $built = yes ]; then example examples/node-libsql "$found" node examples/node-libsql/search.mjs; fi
build examples/pylimbo pylimbo_build
if [ $built = yes ]; then example examples/pylimbo "$found" target/venv/pylimbo/bin/python3 examples/pylimbo/search.py; fi
build examples/turso turso_build
if [ $built = yes ]; then example examples/turso "$found" tests/engines/turso/target/release/turso-search; fi

total
