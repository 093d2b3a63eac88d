#!/usr/bin/env bash
# Points the official SDKs at the fake provider, so that the fake is judged by people who know the APIs.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/fake/start.sh

tests/venv.sh target/venv/sdk tests/sdk/requirements.txt
# Its dependencies want other versions than the rest does, for what embedding does not use.
target/venv/sdk/bin/python3 -m pip install --quiet --disable-pip-version-check --no-deps ibm-watsonx-ai==1.8.1
build_fake
# What we send is compared with what the SDKs send.
[ -n "${REMBED_LIB:-}" ] || cargo build --quiet --locked --lib
exec target/venv/sdk/bin/python3 -B tests/sdk/check.py
