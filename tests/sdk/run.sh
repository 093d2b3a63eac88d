#!/usr/bin/env bash
# Points the official SDKs at the fake provider, so that the fake is judged by people who know the APIs.
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/venv.sh target/venv/sdk tests/sdk/requirements.txt
cargo build --quiet --release --manifest-path tests/fake/Cargo.toml --target-dir tests/fake/target
exec target/venv/sdk/bin/python3 -B tests/sdk/check.py tests/fake/target/release/rembed-fake
