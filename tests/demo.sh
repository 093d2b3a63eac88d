#!/usr/bin/env bash
# examples/demo.sh from an empty database on a terminal, where it asks for more; and once more, where nothing is embedded again.
set -euo pipefail
cd "$(dirname "$0")/.."
says() { grep -q -- "$1" <<<"$shown" || { echo "the demo does not say: $1"; exit 1; }; }

rm -f target/demo.db
shown=$(script -qec 'examples/demo.sh "pop star gives birth"' /dev/null <<<$'rare old book discovered\n')
echo "$shown"
says "step 2 of 4"
says " texts, " # of the bar
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
