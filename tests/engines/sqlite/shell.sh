#!/bin/sh
# The extension in SQLite's own shell, as packaged: REMBED_SQLITE names another than the first of the PATH.
# Prints one line a test and, last, the counts.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
lib=${REMBED_LIB:-$root/target/release/libsqlite_rembed.so}
fake=${REMBED_FAKE:-$root/tests/fake/target/release/rembed-fake}
sqlite=${REMBED_SQLITE:-sqlite3}
dir=$(mktemp -d)
passed=0
failed=0

# The fake ends with its standard input: file descriptor 3 holds that open, and closes with this shell.
mkfifo "$dir/in"
"$fake" <"$dir/in" >"$dir/out" &
exec 3>"$dir/in"
trap 'exec 3>&-; rm -rf "$dir"' EXIT
while [ ! -s "$dir/out" ]; do sleep 0.01; done
url=$(cat "$dir/out")/v1
client="SELECT 'registered' WHERE rembed_register('c', 'format', 'openai', 'url', '$url', 'dimensions', 4) IS NULL;"

# run SQL: what the shell says, in one line.
run() {
    # shellcheck disable=SC2086
    printf '%s\n' "$1" | timeout 20 "$sqlite" ${2:-:memory:} 2>&1 3>&- | tr '\n' ' ' | sed 's/ *$//'
}

# check NAME EXPECTED SQL [DATABASE]: EXPECTED is a pattern for all that the shell says.
check() {
    got=$(run "$3" "${4:-}")
    # shellcheck disable=SC2254
    case $got in
        $2) passed=$((passed + 1)); echo "ok $1" ;;
        *) failed=$((failed + 1)); echo "FAILED $1: $got" ;;
    esac
}

load=".load $lib"
check 'loads by .load' 'v*.*.*' "$load
SELECT rembed_version();"
check 'loads by .load without the suffix' 'v*.*.*' ".load ${lib%.so}
SELECT rembed_version();"
check 'loads by the SQL function' 'v*.*.*' "SELECT '' WHERE load_extension('$lib') IS NOT NULL;
SELECT rembed_version();"
cp "$lib" "$dir/rembed0.so"
check 'loads as rembed0' 'v*.*.*' ".load $dir/rembed0
SELECT rembed_version();"
cp "$lib" "$dir/other.so"
check 'loads by its entry point' 'v*.*.*' ".load $dir/other.so sqlite3_rembed_init
SELECT rembed_version();"
check 'loading twice keeps the clients' '16' "$load
$client
$load
SELECT length(rembed('c', 'a'));"
check 'embeds' 'blob 16' "$load
$client
SELECT typeof(v) || ' ' || length(v) FROM (SELECT rembed('c', 'a') v);"
check 'a client of the table embeds' '16' "$load
INSERT INTO temp.rembed_clients(name, format, url, options) VALUES ('c', 'openai', '$url', '{\"dimensions\":4}');
SELECT length(rembed('c', 'a'));"
check 'the clients are a table' 'c|openai|c|'"$url"'||{"dimensions":4}' "$load
$client
SELECT * FROM temp.rembed_clients;"
check 'a key shows as stars' '\*\*\*' "$load
INSERT INTO temp.rembed_clients(name, format, key) VALUES ('c', 'openai', 'sk-1');
SELECT key FROM temp.rembed_clients;"
check 'an error names client and status' '*client '\''c'\'' (openai): HTTP 400*' "$load
$client
SELECT rembed('c', '');"
check 'an unknown client is told' '*was not registered with rembed_clients*' "$load
SELECT rembed('nobody', 'a');"
check 'a taken name is told' '*UNIQUE constraint failed: rembed_clients.name*' "$load
$client
INSERT INTO temp.rembed_clients(name, format) VALUES ('c', 'openai');"
check 'the session goes on after an error' '*nobody*16' "$load
$client
SELECT rembed('nobody', 'a');
SELECT length(rembed('c', 'a'));"
check 'a trigger of the file cannot redirect a client' '*unsafe use of*'"$url" "$load
$client
CREATE TABLE t(x);
CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE rembed_clients SET url = 'http://127.0.0.1:9'; END;
INSERT INTO t VALUES (1);
SELECT url FROM temp.rembed_clients;"
check 'a file keeps vectors' '16 2' "$load
$client
CREATE TABLE docs(text, vector AS (rembed('c', text)) STORED);
INSERT INTO docs(text) VALUES ('a'), ('b');
SELECT length(vector) || ' ' || count(*) FROM docs;" "$dir/docs.db"
check 'a read-only file takes clients' '1' "$load
$client
SELECT count(*) FROM docs WHERE vector = rembed('c', 'a');" "-readonly $dir/docs.db"
check 'vectors can be read without the extension' '2' "SELECT count(vector) FROM docs;" "$dir/docs.db"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
