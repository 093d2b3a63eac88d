#!/usr/bin/env bash
# usage: examples/demo.sh ["your query" …]
# Searches real news headlines by meaning, on this machine alone: a local llama-server embeds them, no key, no account.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release
export REMBED_LIB=${CARGO_TARGET_DIR:-target}/release/libsqlite_rembed.so
tests/real/install.sh
tests/real/server.sh target/venv/real/bin/python3 examples/demo.py "$@"
