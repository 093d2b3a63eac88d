#!/usr/bin/env bash
# usage: server.sh COMMAND [ARG…]
# Runs COMMAND beside a llama-server of its own, whose address it finds in REMBED_REAL_URL. Exits with COMMAND's status.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
python=$root/target/venv/real/bin/python3
log=$root/target/real/server.log

# llama-server cannot be asked to choose a free port itself.
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export REMBED_REAL_URL=http://127.0.0.1:$port

# --device none: without it the Vulkan build looks for a GPU. --parallel: a batch is filled from slots, one text each;
# 16 would be twice as fast, but batches that big are computed another way and move a vector by 1e-4, where 4 keep it
# within 1e-7. --ctx-size is shared by the slots, of which each needs MiniLM's 512 positions. --ubatch-size must hold
# a whole text. --threads-http: a connection kept open holds a thread even while it is idle.
"$root/target/venv/real/bin/llama-server-vulkan" \
    --host 127.0.0.1 --port "$port" --offline --no-ui \
    --model "$root/target/real/minilm-f32.gguf" --alias all-minilm-l6-v2 \
    --embeddings --pooling mean --device none --threads 2 --threads-http 16 \
    --parallel 4 --ctx-size 2048 --batch-size 512 --ubatch-size 512 \
    >"$log" 2>&1 &
server=$!

stop() {
    status=$?
    trap - EXIT
    # A failure of COMMAND beside a healthy server is COMMAND's to explain.
    if ! kill "$server" 2>/dev/null; then
        echo "llama-server has ended; the last lines of $log:" >&2
        tail -n 20 "$log" >&2
    fi
    wait "$server" 2>/dev/null || true
    exit "$status"
}
trap stop EXIT

# No proxy: an http_proxy of the user's would be asked for our own loopback.
healthy='import os, urllib.request as r
r.build_opener(r.ProxyHandler({})).open(os.environ["REMBED_REAL_URL"] + "/health", timeout=2)'
deadline=$((SECONDS + 120))
until "$python" -c "$healthy" 2>/dev/null; do
    if ! kill -0 "$server" 2>/dev/null; then exit 1; fi
    if [ $SECONDS -gt $deadline ]; then
        echo "llama-server is not ready after 120 s; its log is $log" >&2
        exit 1
    fi
    sleep 0.1
done

"$@"
