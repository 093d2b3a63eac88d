#!/usr/bin/env bash
# usage: examples/sqld/ask.sh http://127.0.0.1:8080 SQL
# One statement to a libSQL server by Hrana over HTTP, and its reply.
set -euo pipefail
sql=$(/usr/bin/python3 -c 'import json, sys; print(json.dumps(sys.argv[1]))' "$2")
curl -sS --fail-with-body "$1/v2/pipeline" --json '{"requests": [{"type": "execute", "stmt": {"sql": '"$sql"'}}, {"type": "close"}]}'
