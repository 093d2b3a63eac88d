#!/bin/sh
# Points the official SDKs at the fake server, so that the fake is judged by people who know the APIs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
venv=$root/target/venv/sdk
python=/usr/bin/python3
[ -x "$python" ] || python=python3

if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -q && apt-get install -y -q python3-venv
    else
        echo "Python's venv module is missing: install python3-venv" >&2
        exit 2
    fi
fi

# The copy is written last: a half-made environment has none and is made again.
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi

cargo build --quiet --release --manifest-path "$root/tests/fake/Cargo.toml"
exec "$venv/bin/python" -B "$here/check.py" "${CARGO_TARGET_DIR:-$root/tests/fake/target}/release/rembed-fake"
