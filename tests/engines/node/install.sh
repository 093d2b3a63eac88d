#!/usr/bin/env bash
# usage: tests/engines/node/install.sh
# Installs what package-lock.json holds, and better-sqlite3 for the examples too, where it is compiled; quick when that is done.
set -euo pipefail
cd "$(dirname "$0")"
../../examples.sh --node
stamp=node_modules/installed.txt
state="$(node --version) $(cksum <package-lock.json)"
[ "$(cat $stamp 2>/dev/null)" != "$state" ] || exit 0
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
echo "$state" >$stamp
