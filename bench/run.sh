#!/usr/bin/env bash
# usage: bench/run.sh [--short]
# sqlite-rembed beside a bare ureq loop, the old extension and the clients of other languages, on one fake provider, and single calls
# at a llama-server. Writes bench/results/.
# --short runs everything once and small, into target/bench/results: a smoke test, whose figures say little.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release
. tests/fake/start.sh
cargo build --release --manifest-path bench/Cargo.toml --target-dir bench/target

# The old extension, from its wheel: an archive of which only the library is wanted.
old=target/bench/sqlite_rembed/rembed0.so
if [ ! -f "$old" ]; then
    tests/venv.sh target/venv/bench
    target/venv/bench/bin/python3 -m pip download --quiet --no-deps --dest target/bench sqlite-rembed==0.0.1a9
    target/venv/bench/bin/python3 -m zipfile -e target/bench/sqlite_rembed-0.0.1a9-*.whl target/bench
fi

nothing=target/bench/nothing.so
# As ours, it stays mapped when its connection closes.
cc -shared -fPIC -Wl,-z,nodelete -o $nothing bench/nothing.c

results=bench/results
for word in "$@"; do
    case $word in
    --short) results=target/bench/results ;;
    *) echo "usage: bench/run.sh [--short]" >&2 && exit 2 ;;
    esac
done
mkdir -p "$results"
# A virtual machine puts idle cores to sleep, and waking one takes longer than a request: work that yields to all
# other keeps them awake, for every contender alike.
keep_awake() { exec chrt --idle 0 bash -c 'while :; do :; done'; }
awake=()
for _ in $(seq "$(nproc)"); do
    keep_awake &
    awake+=($!)
done
trap 'kill "${awake[@]}"' EXIT

start_fake
tls=tests/fixtures/tls
exec {tls_out}< <(exec "$REMBED_FAKE" --tls $tls/server.pem $tls/server.key --forever)
tls_pid=$!
read -r tls_url <&"$tls_out"
trap 'kill "$tls_pid" "${awake[@]}"' EXIT
SSL_CERT_FILE=$tls/authority.pem bench/target/release/rembed-bench "$url" "$tls_url" target/release/libsqlite_rembed.so "$old" $nothing "$results" "$@"
case $results in bench/*) ;; *) exit ;; esac

tests/venv.sh target/venv/peers bench/peers-requirements.txt
tests/real/install.sh
part() { # part TITLE COMMAND…
    printf '\n## %s\n\n' "$1"
    "${@:2}"
}
{
    part "Peers" target/venv/peers/bin/python3 bench/peers.py
    part "Calls of many connections" /usr/bin/python3 bench/singles.py
    part "The same at a real server" tests/real/server.sh /usr/bin/python3 bench/singles.py
    part "Statements that want the same texts" /usr/bin/python3 bench/together.py
} | tee -a "$results/results.md"
