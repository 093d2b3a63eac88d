#!/usr/bin/env bash
# The extension in SQLite's own shell, as packaged: REMBED_SQLITE names another than the first of the PATH.
# Prints one line a test and, last, the counts.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
. "$root/tests/check.sh"
lib=${REMBED_LIB:-$root/target/release/libsqlite_rembed.so}
sqlite=${REMBED_SQLITE:-sqlite3}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

. "$root/tests/fake/start.sh"
start_fake
url=$url/v1
client="SELECT 'registered' WHERE rembed_register('c', 'format', 'openai', 'url', '$url', 'dimensions', 4) IS NULL;"

# run SQL: what the shell says, in one line.
run() {
    # shellcheck disable=SC2086
    printf '%s\n' "$1" | timeout 20 "$sqlite" ${2:-:memory:} 2>&1 | tr '\n' ' ' | sed 's/ *$//'
}

# shows NAME EXPECTED SQL [DATABASE]: EXPECTED is a pattern for all that the shell says.
shows() {
    local got
    got=$(run "$3" "${4:-}")
    # shellcheck disable=SC2254
    case $got in
        $2) pass "$1" ;;
        *) fail "$1: $got" ;;
    esac
}

load=".load $lib"
shows 'loads by .load' 'v*.*.*' "$load
SELECT rembed_version();"
shows 'loads by .load without the suffix' 'v*.*.*' ".load ${lib%.so}
SELECT rembed_version();"
shows 'loads by the SQL function' 'v*.*.*' "SELECT '' WHERE load_extension('$lib') IS NOT NULL;
SELECT rembed_version();"
cp "$lib" "$dir/rembed0.so"
shows 'loads as rembed0' 'v*.*.*' ".load $dir/rembed0
SELECT rembed_version();"
cp "$lib" "$dir/other.so"
shows 'loads by its entry point' 'v*.*.*' ".load $dir/other.so sqlite3_rembed_init
SELECT rembed_version();"
shows 'loading twice keeps the clients' '16' "$load
$client
$load
SELECT length(rembed('c', 'a'));"
shows 'embeds' 'blob 16' "$load
$client
SELECT typeof(v) || ' ' || length(v) FROM (SELECT rembed('c', 'a') v);"
shows 'a client of the table embeds' '16' "$load
INSERT INTO temp.rembed_clients(name, format, url, options) VALUES ('c', 'openai', '$url', '{\"dimensions\":4}');
SELECT length(rembed('c', 'a'));"
shows 'the clients are a table' 'c|openai|c|'"$url"'||{"dimensions":4}' "$load
$client
SELECT * FROM temp.rembed_clients;"
shows 'a key shows as stars' '\*\*\*' "$load
INSERT INTO temp.rembed_clients(name, format, key) VALUES ('c', 'openai', 'sk-1');
SELECT key FROM temp.rembed_clients;"
shows 'an error names client and status' '*client '\''c'\'' (openai): HTTP 400*' "$load
$client
SELECT rembed('c', '');"
shows 'an unknown client is told' '*was not registered with rembed_clients*' "$load
SELECT rembed('nobody', 'a');"
shows 'a taken name is told' '*UNIQUE constraint failed: rembed_clients.name*' "$load
$client
INSERT INTO temp.rembed_clients(name, format) VALUES ('c', 'openai');"
shows 'the session goes on after an error' '*nobody*16' "$load
$client
SELECT rembed('nobody', 'a');
SELECT length(rembed('c', 'a'));"
shows 'a trigger of the file cannot redirect a client' '*unsafe use of*'"$url" "$load
$client
CREATE TABLE t(x);
CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE rembed_clients SET url = 'http://127.0.0.1:9'; END;
INSERT INTO t VALUES (1);
SELECT url FROM temp.rembed_clients;"
shows 'a file keeps vectors' '16 2' "$load
$client
CREATE TABLE docs(text, vector AS (rembed('c', text)) STORED);
INSERT INTO docs(text) VALUES ('a'), ('b');
SELECT length(vector) || ' ' || count(*) FROM docs;" "$dir/docs.db"
shows 'a read-only file takes clients' '1' "$load
$client
SELECT count(*) FROM docs WHERE vector = rembed('c', 'a');" "-readonly $dir/docs.db"
shows 'vectors can be read without the extension' '2' "SELECT count(vector) FROM docs;" "$dir/docs.db"

total
