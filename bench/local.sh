#!/usr/bin/env bash
# usage: bench/local.sh
# Format `local` beside onnxruntime in Python: the same model, texts and number of threads. Prints a table.
set -euo pipefail
cd "$(dirname "$0")/.."
tests/local/model.sh >/dev/null
tests/venv.sh target/venv/bench-local bench/local-requirements.txt --no-deps --only-binary :all:
if [ -z "${REMBED_LIB:-}" ]; then
    cargo build --release --locked --features local --target-dir target/local
    REMBED_LIB=$PWD/target/local/release/libsqlite_rembed.so
fi
export REMBED_LIB
target/venv/bench-local/bin/python3 tests/real/headlines.py target/local/headlines.tsv
for _ in 1 2 3; do
    for side in ours theirs; do target/venv/bench-local/bin/python3 bench/local.py $side; done
done
