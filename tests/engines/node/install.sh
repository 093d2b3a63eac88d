#!/usr/bin/env bash
# usage: tests/engines/node/install.sh
# Installs what package-lock.json holds; quick when that is done.
set -euo pipefail
cd "$(dirname "$0")"
command -v npm >/dev/null || { echo "missing: apt-get install nodejs npm" >&2; exit 1; }
stamp=node_modules/installed.txt
state="$(node --version) $(cksum <package-lock.json)"
[ "$(cat $stamp 2>/dev/null)" != "$state" ] || exit 0

prefix=$(realpath "$(dirname "$(realpath "$(command -v node)")")/..")
# The headers of this node: without them node-gyp would fetch its own.
if [ -f "$prefix/include/node/node.h" ]; then export npm_config_nodedir=$prefix; fi
# better-sqlite3's prebuilt binary is in no package: it would be fetched from elsewhere, so it is compiled here.
JOBS=2 npm_config_build_from_source=true npm ci --no-audit --no-fund --loglevel=error >&2
echo "$state" >$stamp
