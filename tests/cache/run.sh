#!/usr/bin/env bash
# The disk cache and the progress bar, against the fake provider, from Debian's python3 alone.
# REMBED_LIB=/path/to/libsqlite_rembed.so tests a library that is already built.
set -euo pipefail
# Made absolute first: the path is the caller's, and the next line leaves the caller's folder.
if [ -n "${REMBED_LIB:-}" ]; then REMBED_LIB=$(realpath "$REMBED_LIB") && export REMBED_LIB; fi
cd "$(dirname "$0")/../.."

if [ -z "${REMBED_LIB:-}" ]; then cargo build --quiet --release --locked; fi
passed=0 failed=0
for script in run.py progress.py; do
    echo "$script"
    # An end without a count, as by an exception, is a failure.
    last="0 passed, 1 failed"
    while IFS= read -r line; do
        if [[ $line =~ ^[0-9]+\ passed,\ [0-9]+\ failed$ ]]; then last=$line; else echo "$line"; fi
    done < <(/usr/bin/python3 -B "tests/cache/$script" 2>&1)
    read -r p _ f _ <<<"$last"
    passed=$((passed + p)) failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
