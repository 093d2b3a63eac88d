#!/usr/bin/env bash
# A real llama-server, a real model and real headlines, all from Python packages: nothing is fetched from a model hub.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=target/venv/real
out=target/real
here=tests/real
# Debian's own: pythons built by pyenv or uv usually cannot load SQLite extensions.
python=/usr/bin/python3

need() { # need COMMAND-THAT-SUCCEEDS-WHEN-PRESENT PACKAGE
    eval "$1" >/dev/null 2>&1 || tests/debian.sh "$2"
}

if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "the packaged llama-server is for Linux on x86_64 only; this is $(uname -sm)" >&2
    exit 1
fi
if ! grep -qw avx2 /proc/cpuinfo; then
    echo "the packaged llama-server is built for CPUs with AVX2, and this one has none: use examples/demo.sh, or a server of your own" >&2
    exit 1
fi
need "$python -c 'import sqlite3; sqlite3.connect(\":memory:\").enable_load_extension(True)'" python3
need "$python -c 'import ctypes; ctypes.CDLL(\"libgomp.so.1\")'" libgomp1

# Two runs at once would clear each other's venv.
mkdir -p $out
exec 9>$out/install.lock
flock 9

tests/venv.sh $venv $here/requirements.txt --no-deps --only-binary :all:

for made in make_gguf.py:minilm-f32.gguf headlines.py:headlines.tsv; do
    script=$here/${made%:*} file=$out/${made#*:}
    if [ ! -s "$file" ] || [ "$script" -nt "$file" ] || [ $venv/installed.txt -nt "$file" ]; then
        $venv/bin/python3 "$script" "$file.part"
        mv "$file.part" "$file"
    fi
done
