"""Single calls of many connections at once, of two builds side by side: their calls a second, their waits, their requests.

usage: bench/singles.py BEFORE.so AFTER.so [CONNECTIONS], 32 by default, with Debian's python3. The fake provider answers
in 50 ms and works on 8 requests at a time. Each build runs in a process of its own, the two in turn.
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

SECONDS = 4


def connect(lib, url, options):
    db = sqlite3.connect(":memory:", check_same_thread=False)
    db.enable_load_extension(True)
    db.load_extension(lib)
    client = {"format": "openai", "model": "m", "url": f"{url}/v1", "dimensions": 64, **options}
    db.execute("SELECT rembed_register('c', ?)", [json.dumps(client)])
    return db


def calls(db, name, end, waits):
    n = 0
    while (start := time.perf_counter()) < end:
        n += 1
        blob = db.execute("SELECT rembed('c', ?)", [f"{name}, text {n}"]).fetchone()[0]
        assert len(blob) == 256, blob
        waits.append(time.perf_counter() - start)


def worker(lib, url, connections, options):
    dbs = [connect(lib, url, options) for _ in range(connections)]
    waits = [[] for _ in dbs]
    start = time.perf_counter()
    threads = [
        threading.Thread(target=calls, args=(db, f"connection {i}", start + SECONDS, waits[i])) for i, db in enumerate(dbs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    all_waits = sorted(wait for own in waits for wait in own)
    print(json.dumps({"rate": len(all_waits) / took, "calls": len(all_waits), "p50": all_waits[len(all_waits) // 2] * 1000,
                      "p99": all_waits[int(len(all_waits) * 0.99)] * 1000}))


def run(fake, lib, connections, settings, options):
    base = fake.scenario(width=64, log=False, **settings)
    command = [sys.executable, os.path.abspath(__file__), "--worker", lib, base, str(connections), json.dumps(options)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {**found, "requests": fake.report(base)["requests"]}


def median(runs, what):
    return sorted(run[what] for run in runs)[len(runs) // 2]


def compare(fake, before, after, title, connections, settings, options, rounds=3):
    runs = {name: [] for name in ("before", "after")}
    for _ in range(rounds):
        runs["before"].append(run(fake, before, connections, settings, {}))
        runs["after"].append(run(fake, after, connections, settings, options))
    old, new = ({what: median(of, what) for what in of[0]} for of in runs.values())
    print(
        f"| {title} | {old['rate']:.0f} | {new['rate']:.0f} | {new['rate'] / old['rate']:.2f} | {old['p50']:.0f}, {old['p99']:.0f}"
        f" | {new['p50']:.0f}, {new['p99']:.0f} | {old['requests'] / old['calls']:.2f} | {new['requests'] / new['calls']:.2f} |",
        flush=True,
    )


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        worker(sys.argv[2], sys.argv[3], int(sys.argv[4]), json.loads(sys.argv[5]))
        sys.exit()
    before, after = (os.path.abspath(lib) for lib in sys.argv[1:3])
    many = int(sys.argv[3]) if sys.argv[3:] else 32
    with Fake() as fake:
        print("| calls | calls/s before | after | ratio | p50, p99 ms before | after | requests a call before | after |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        eight = {"latency_ms": 50, "slots": 8}
        compare(fake, before, after, f"{many} connections, 8 slots, bound 8 (bar 3.5, p99 no more)", many, eight, {"connections": 8})
        compare(fake, before, after, f"{many} connections, 8 slots, default", many, eight, {})
        compare(fake, before, after, f"{many} connections, 4 slots, default", many, {"latency_ms": 50, "slots": 4}, {})
        compare(fake, before, after, f"{many} connections, no bound at the server, default", many, {"latency_ms": 50}, {})
        compare(fake, before, after, "1 connection (bar 1.00)", 1, {"latency_ms": 50}, {})
        compare(fake, before, after, "1 connection, no latency (bar 1.00)", 1, {}, {})
