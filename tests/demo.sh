#!/usr/bin/env bash
# examples/demo.sh from an empty database on a terminal, where it asks for more; once more, where nothing is embedded again;
# and over headlines that have changed since, where what changed is.
set -euo pipefail
cd "$(dirname "$0")/.."
says() { grep -q -- "$1" <<<"$shown" || { echo "the demo does not say: $1"; exit 1; }; }

rm -f target/demo.db
shown=$(script -qec 'examples/demo.sh "pop star gives birth"' /dev/null <<<$'rare old book discovered\n')
echo "$shown"
says "step 2 of 4"
says " rows, " # of the bar
says "-- 383 headlines embedded, 383 in"
says "   1 .*Madonna"
says "Gutenberg"

start=$(date +%s%N)
shown=$(examples/demo.sh "pop star gives birth" </dev/null 2>&1)
echo "$shown"
echo "the second run: $((($(date +%s%N) - start) / 1000000)) ms"
says "^-- 0 headlines embedded, 383 in"
says "   1 .*Madonna"
if grep -q "Compiling" <<<"$shown"; then echo "the second run compiles" && exit 1; fi

again() { # again COUNT TOTAL: the demo over what has changed
    shown=$(examples/demo.sh "pop star gives birth" </dev/null 2>&1) || { echo "$shown"; exit 1; }
    says "^-- $1 headlines embedded, $2 in"
}
kept=$(mktemp -d)
cp target/headlines.tsv "$kept/"
trap 'cp "$kept/headlines.tsv" target/; rm -r "$kept"' EXIT
# Two other texts, one headline less, one more.
sed -i -e '1s/\t.*/\tA pop star gives birth to twins/' -e '2s/\t.*/\tSomething else/' -e 3d target/headlines.tsv
printf '100000\tA new headline\n' >>target/headlines.tsv
again 3 383
says "   1 .*A pop star gives birth to twins"
cp "$kept/headlines.tsv" target/
again 3 383
says "   1 .*Madonna"
