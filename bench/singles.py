"""Single calls of many connections at once: their calls a second, their waits, their requests.

usage: bench/singles.py          travelling together beside a request of its own for each call
       bench/singles.py --sweep  the figures of docs/performance.md
       tests/real/server.sh python3 bench/singles.py
                                 the first at a llama-server with 4 slots, after tests/real/install.sh

With Debian's python3; REMBED_LIB is the library, by default target/release/libsqlite_rembed.so. The fake provider
answers in 50 ms; with slots it works on so many requests at one time. 32 connections call, each on a thread.
"""

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/fake"))
from launch import Fake  # noqa: E402

LIB = os.environ.get("REMBED_LIB", "target/release/libsqlite_rembed.so")
SECONDS = 4
MANY = 32


def connect(lib, url, options):
    db = sqlite3.connect(":memory:", check_same_thread=False)
    db.enable_load_extension(True)
    db.load_extension(lib)
    client = {"format": "openai", "model": "m", "url": f"{url}/v1", "dimensions": 64, **options}
    db.execute("SELECT rembed_register('c', ?)", [json.dumps(client)])
    return db


def calls(db, name, end, waits, width):
    n = 0
    while (start := time.perf_counter()) < end:
        n += 1
        blob = db.execute("SELECT rembed('c', ?)", [f"{name}, text {n}"]).fetchone()[0]
        assert len(blob) == width * 4, blob
        waits.append(time.perf_counter() - start)


def worker(lib, url, connections, options):
    dbs = [connect(lib, url, options) for _ in range(connections)]
    waits = [[] for _ in dbs]
    start = time.perf_counter()
    end, width = start + SECONDS, options.get("dimensions", 64)
    threads = [threading.Thread(target=calls, args=(db, f"connection {i}", end, waits[i], width)) for i, db in enumerate(dbs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    all_waits = sorted(wait for own in waits for wait in own)
    stats = (json.loads(db.execute("SELECT rembed_stats()").fetchone()[0])["c"] for db in dbs)
    print(json.dumps({"rate": len(all_waits) / took, "requests": sum(of_one["requests"] for of_one in stats), "calls": len(all_waits), "p50": all_waits[len(all_waits) // 2] * 1000,
                      "p99": all_waits[int(len(all_waits) * 0.99)] * 1000}))


def run(fake, lib, connections, settings, options):
    base = fake.scenario(width=64, log=False, **settings) if fake else os.environ["REMBED_REAL_URL"]
    command = [sys.executable, os.path.abspath(__file__), "--worker", lib, base, str(connections), json.dumps(options)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {**found, "requests": fake.report(base)["requests"]} if fake else found


def median(runs, what):
    return sorted(run[what] for run in runs)[len(runs) // 2]


def compare(fake, title, settings, options, rounds=3):
    """With `connections` = 32 no call waits, and each has its own request; with `options` they travel together. In turn."""
    runs = {"alone": [], "together": []}
    for _ in range(rounds):
        for how, own in (("alone", {**options, "connections": MANY}), ("together", options)):
            runs[how].append(run(fake, LIB, MANY, settings, own))
    alone, together = ({what: median(of, what) for what in of[0]} for of in runs.values())
    print(
        f"| {title} | {together['rate']:.0f} | {alone['rate']:.0f} | {together['rate'] / alone['rate']:.2f}"
        f" | {together['p50']:.0f}, {together['p99']:.0f} | {alone['p50']:.0f}, {alone['p99']:.0f}"
        f" | {together['requests'] / together['calls']:.2f} |",
        flush=True,
    )


def sweep(fake, lib):
    print("| `connections` | calls/s, p99 ms: fast API | 8 slots | 4 slots | requests a call |\n| ---: | ---: | ---: | ---: | ---: |")
    for connections in (4, 8, 9, 16, 32):
        cells = []
        for slots in ({}, {"slots": 8}, {"slots": 4}):
            found = run(fake, lib, MANY, {"latency_ms": 50, **slots}, {"connections": connections})
            cells.append(f"{found['rate']:.0f}, {found['p99']:.0f}")
        print(f"| {connections} | {' | '.join(cells)} | {found['requests'] / found['calls']:.2f} |", flush=True)
    print("\n| 1,000 texts | s | requests |\n| --- | ---: | ---: |")
    texts = json.dumps([f"text {i}" for i in range(1000)])
    one_by_one = "SELECT count(rembed('c', value)) FROM json_each(?)"
    for title, sql, options in (
        ("`rembed()`, row by row", one_by_one, {}),
        ("`rembed_prefetch()`, `concurrency` 1", "SELECT rembed_prefetch('c', ?)", {"concurrency": 1}),
        ("`rembed_prefetch()`", "SELECT rembed_prefetch('c', ?)", {}),
        ("the same, `batch_size` 16, `concurrency` 1", "SELECT rembed_prefetch('c', ?)", {"batch_size": 16, "concurrency": 1}),
        ("the same, `batch_size` 16, `concurrency` 8", "SELECT rembed_prefetch('c', ?)", {"batch_size": 16, "concurrency": 8}),
    ):
        base = fake.scenario(width=64, latency_ms=50, log=False)
        db = connect(lib, base, options)
        start = time.perf_counter()
        assert db.execute(sql, [texts]).fetchone()[0] == 1000
        print(f"| {title} | {time.perf_counter() - start:.2f} | {fake.report(base)['requests']} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], sys.argv[3], int(sys.argv[4]), json.loads(sys.argv[5]))
        sys.exit()
    LIB = os.path.abspath(LIB)
    if sys.argv[1:] == ["--sweep"]:
        with Fake() as fake:
            sweep(fake, LIB)
        sys.exit()
    print(f"| {MANY} connections, single calls | together: calls/s | alone | ratio | together: p50, p99 ms | alone | requests a call |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    if "REMBED_REAL_URL" in os.environ:
        compare(None, "a llama-server with 4 slots, bound 4 (bar 2, p99 no more)", {}, {"dimensions": 384, "connections": 4})
        sys.exit()
    with Fake() as fake:
        compare(fake, "8 slots, bound 8 (bar 3.5)", {"latency_ms": 50, "slots": 8}, {"connections": 8})
        for title, slots in (("8 slots", {"slots": 8}), ("4 slots", {"slots": 4}), ("no slots", {})):
            compare(fake, f"{title}, bound by default", {"latency_ms": 50, **slots}, {})
