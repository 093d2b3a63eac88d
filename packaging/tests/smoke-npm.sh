#!/usr/bin/env bash
# usage: smoke-npm.sh FOLDER-OF-PACKAGES: the npm packages of this system, in an empty folder, load in node:sqlite.
set -euo pipefail
packages=$(cd "$1" && pwd)
cd "$(mktemp -d)"
npm init -y >/dev/null
npm install --no-audit --no-fund "$packages"/sqlite-rembed-[a-z]*.tgz "$packages"/sqlite-rembed-[0-9]*.tgz
node -e '
const db = new (require("node:sqlite").DatabaseSync)(":memory:", { allowExtension: true });
db.loadExtension(require("sqlite-rembed").getLoadablePath());
console.log(db.prepare("SELECT rembed_debug()").get());'
