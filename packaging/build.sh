#!/usr/bin/env bash
# usage: packaging/build.sh [TARGET]
# Builds every package into target/packages: for a TARGET of targets.tsv (this machine's, Linux x86-64 with glibc 2.17,
# when none is named) the library, its wheel, its npm package and its archive; and the packages that are for all.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-x86_64-unknown-linux-gnu.2.17}
features=$(cat packaging/features)
out=$PWD/target/packages stage=$PWD/target/packages/stage build=$PWD/target/packages/build
IFS=$'\t' read -r _ wheel os cpu libc library archive < <(grep -P "^\Q$target\E\t" packaging/targets.tsv) ||
    { echo "$target is not in packaging/targets.tsv" >&2; exit 1; }
REMBED_VERSION=$(sed -n 's/^version = "\(.*\)"$/\1/p;T;q' Cargo.toml)
export REMBED_VERSION
licences=(LICENSE-APACHE LICENSE-MIT)
rm -rf "$stage" && mkdir -p "$stage/lib" "$build"
rm -f "$out"/*.whl "$out"/*.tgz "$out"/*.tar.gz "$out/SHA256SUMS"

sums() { if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }

tools() { # A release job outside of Debian brings its own.
    if ! command -v hatchling >/dev/null; then
        tests/venv.sh target/venv/packaging packaging/requirements.txt
        PATH=$PWD/target/venv/packaging/bin:$PATH
    fi
}

libraries() {
    local cargo=(cargo build)
    # glibc's symbols as old as the wheel says, on any machine; and a linker for every Linux.
    if [ "$os" = linux ]; then cargo=(cargo zigbuild); fi
    if [ "$libc" = musl ]; then export RUSTFLAGS="-C target-feature=-crt-static"; fi
    CARGO_PROFILE_RELEASE_STRIP=symbols "${cargo[@]}" --release --locked --lib --no-default-features --features "$features" \
        --target "$target" --target-dir "$build"
    local built="$build/${target%.2.17}/release"
    for file in libsqlite_rembed.so libsqlite_rembed.dylib sqlite_rembed.dll; do
        if [ -f "$built/$file" ]; then cp "$built/$file" "$stage/lib/$library"; fi
    done
    # The name of musl's C library that Alpine links with: zig's is a linker script where glibc is at home, and musl knows both.
    if [ "$libc" = musl ]; then patchelf --replace-needed libc.so "libc.musl-${target%%-*}.so.1" "$stage/lib/$library"; fi
    cp "$built/$archive" "$stage/lib/"
    python3 packaging/notices.py "${target%.2.17}" "$features" "$stage/lib"
}

lay() { # lay FOLDER-OF-PACKAGING: a copy beside the licences; prints where
    local copy=$stage/${1//\//-}
    cp -r "packaging/$1" "$copy"
    cp "${licences[@]}" "$copy/"
    echo "$copy"
}

wheels() {
    local copy
    copy=$(lay python/sqlite-rembed)
    cp "$stage/lib/THIRD-PARTY.txt" "$copy/"
    cp "$stage/lib/$library" "$copy/src/sqlite_rembed/"
    if [ "$os" = linux ]; then
        # auditwheel finds out what systems it is for, also those of another libc or processor than this machine's.
        (cd "$copy" && REMBED_WHEEL_PLATFORM=linux_${target%%-*} hatchling build -t wheel -d "$stage/audit")
        auditwheel repair --plat auto --wheel-dir "$out" "$stage"/audit/*.whl
        compgen -G "$out/sqlite_rembed-*$wheel*.whl" >/dev/null || { echo "the wheel is for other systems than $wheel" >&2; exit 1; }
    else
        (cd "$copy" && REMBED_WHEEL_PLATFORM=$wheel hatchling build -t wheel -d "$out")
    fi
}

npm_packages() {
    local copy name=sqlite-rembed-$os-$cpu suffix='' id
    if [ "$libc" = musl ]; then suffix=-musl; fi
    copy=$(lay npm/platform)
    cp "$stage/lib/$library" "$stage/lib/THIRD-PARTY.txt" "$copy/"
    (
        cd "$copy"
        npm pkg set "name=$name$suffix" "version=$REMBED_VERSION" "os[]=$os" "cpu[]=$cpu" "files[]=$library"
        if [ "$libc" != - ]; then npm pkg set "libc[]=$libc"; fi
        npm pack --silent --pack-destination "$out"
    )
    copy=$(lay npm/sqlite-rembed)
    (
        cd "$copy"
        npm pkg set "version=$REMBED_VERSION"
        while IFS=$'\t' read -r id _ os cpu libc _; do
            if [ "${id:0:1}" = '#' ]; then continue; fi
            name=sqlite-rembed-$os-$cpu
            if [ "$libc" = musl ]; then name+=-musl; fi
            npm pkg set "optionalDependencies.$name=$REMBED_VERSION"
        done <../../../../packaging/targets.tsv
        npm pack --silent --pack-destination "$out"
    )
}

archives() {
    local name=sqlite-rembed-$REMBED_VERSION-${target%.2.17}
    mkdir "$stage/$name"
    cp "$stage"/lib/* "${licences[@]}" include/rembed.h "$stage/$name/"
    sed "s/@VERSION@/$REMBED_VERSION/" packaging/rembed.pc.in >"$stage/$name/rembed.pc"
    (cd "$stage/$name" && sums -- * >SHA256SUMS.new && mv SHA256SUMS.new SHA256SUMS)
    tar -czf "$out/$name.tar.gz" -C "$stage" "$name"
}

tools
libraries
wheels
npm_packages
archives
packaging/any.sh
(cd "$out" && sums -- *.whl *.tgz *.tar.gz >SHA256SUMS && cat SHA256SUMS)
