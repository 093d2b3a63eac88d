#!/usr/bin/env bash
# usage: tests/venv.sh FOLDER [REQUIREMENTS.txt] [PIP-OPTION …]
# Makes a virtual environment of Debian's python3 in FOLDER and installs the requirements; quick when that is done.
# Debian's, since pythons built by pyenv or uv cannot load SQLite extensions.
set -euo pipefail
folder=$1 requirements=${2:-/dev/null}
shift $(($# > 1 ? 2 : 1))

if cmp -s "$requirements" "$folder/installed.txt"; then exit 0; fi
# python3 alone brings a venv module that cannot make one: ensurepip comes with python3-venv.
if ! /usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null; then
    "$(dirname "$0")/debian.sh" python3 python3-venv
fi
/usr/bin/python3 -m venv --clear "$folder"
if [ -s "$requirements" ]; then
    "$folder/bin/python3" -m pip install --quiet --disable-pip-version-check "$@" -r "$requirements"
fi
# Last, so that a run that was cut short is done again.
cp "$requirements" "$folder/installed.txt"
