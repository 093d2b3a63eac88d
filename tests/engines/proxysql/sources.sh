#!/usr/bin/env bash
# usage: sources.sh FOLDER
# Brings into FOLDER the C sources of the host: the SQLite amalgamation that ProxySQL vendors, and sqlite-vec.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
to=$1
mkdir -p "$to/sqlite" "$to/vec"

# better-sqlite3 9.0.0 is the package that carries exactly 3.43.2, unpacked. Its scripts are not run.
sums="97958980040c2541fddcc07ca1560a41746f19c43fbbb6bb90b5e0d01a27946c  sqlite3.c
d0dfc1e5f35421d95983519f40f0ecdd8f67e2f9c21a6fb5b5e490f03af9f44c  sqlite3.h
51a51eb17612d7f837d50791f2a7574b90b3ab43746c1ab2908dc6153ca81113  sqlite3ext.h"
verify() { (cd "$to/sqlite" && sha256sum --check --quiet <<<"$sums"); }
if ! verify &>/dev/null; then
    command -v npm >/dev/null || { echo "npm is missing: it brings the SQLite amalgamation" >&2; exit 2; }
    npm pack --silent --pack-destination "$to" better-sqlite3@9.0.0 >/dev/null
    tar -xzf "$to/better-sqlite3-9.0.0.tgz" -C "$to/sqlite" --strip-components=3 package/deps/sqlite3
    rm "$to/better-sqlite3-9.0.0.tgz"
    verify >&2
fi

# The crate has an older sqlite3.h beside its source, which the compiler would find first: hence the copy.
if ! cmp -s "$here/sources/Cargo.lock" "$to/vec/Cargo.lock"; then
    cargo vendor --quiet --locked --manifest-path "$here/sources/Cargo.toml" "$to/vendor" >/dev/null
    cp "$to/vendor/sqlite-vec/sqlite-vec.c" "$to/vendor/sqlite-vec/sqlite-vec.h" "$to/vec/"
    rm -r "$to/vendor"
    # Last: a half-made folder has no lock file and is made again.
    cp "$here/sources/Cargo.lock" "$to/vec/"
fi
