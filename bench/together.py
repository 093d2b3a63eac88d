"""Statements that ask for the same texts at once: their requests and their time against those of one.

usage: bench/together.py [TEXTS], 10,000 by default, with Debian's python3. REMBED_LIB is the library, by default
target/release/libsqlite_rembed.so. A reply takes 50 ms.
"""

import os
import sqlite3
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/fake"))
from launch import Fake  # noqa: E402

LIB = os.environ.get("REMBED_LIB", "target/release/libsqlite_rembed.so")
TEXTS = [[f"text {i}"] for i in range(int(sys.argv[1]) if sys.argv[1:] else 10_000)]
ROWS = "SELECT count(embedding) FROM rembed_rows('c', 'SELECT id, body FROM t')"


def connect(url):
    db = sqlite3.connect(":memory:", check_same_thread=False)
    db.enable_load_extension(True)
    db.load_extension(LIB)
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT)")
    db.executemany("INSERT INTO t(body) VALUES (?)", TEXTS)
    db.execute("SELECT rembed_register('c', 'format', 'openai', 'model', 'm', 'url', ?)", [url])
    return db


def run(fake, statements):
    base = fake.scenario(width=64, latency_ms=50)
    connections = [connect(base + "/v1") for _ in range(statements)]
    counts = []
    threads = [threading.Thread(target=lambda db=db: counts.append(db.execute(ROWS).fetchone()[0])) for db in connections]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    assert counts == [len(TEXTS)] * statements, counts
    return fake.report(base)["requests"], took


with Fake() as fake:
    print(f"| statements over {len(TEXTS):,} texts | requests | against one (bar 1.2) | time against one (bar 1.3) |\n| ---: | ---: | ---: | ---: |")
    alone = run(fake, 1)
    for statements in (1, 2, 8, 16, 32, 64):
        requests, took = run(fake, statements)
        print(f"| {statements} | {requests} | {requests / alone[0]:.2f} | {took / alone[1]:.2f} |", flush=True)
