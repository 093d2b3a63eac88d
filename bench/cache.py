"""The disk cache: what keeping a text costs in a small cache and in a large one, and who waits beside a full one.

usage: bench/cache.py [--short], with Debian's python3. REMBED_LIB is the library, by default
target/release/libsqlite_rembed.so. Every figure is a ratio within one run, since machines are noisy.
"""

import contextlib
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/cache"))
from common import Fake, Worker  # noqa: E402

WIDTH = 256
FILE = "vectors-2.sqlite"
SHORT = "--short" in sys.argv[1:]
BARE = {"REMBED_CACHE_BYTES": "0"}


def numbered(n, word):
    return [f"{word} number {i}" for i in range(n)]


def filled(url, work, rows):
    """A cache folder with so many vectors of others."""
    folder = tempfile.mkdtemp(dir=work)
    worker = Worker(url, folder, env=BARE)
    worker.do(how="batch", texts=["the first"])
    worker.end()
    with contextlib.closing(sqlite3.connect(os.path.join(folder, FILE))) as db, db:
        db.execute("PRAGMA cache_size = -1000000")
        new = ((random.randrange(-(2**63), 2**63), os.urandom(WIDTH * 4 + 8)) for _ in range(rows))
        db.executemany("INSERT OR REPLACE INTO vectors(id, client, vector) VALUES (?, 1, ?)", new)
    return folder


def used(worker):
    """The processor time of a process so far, which other processes do not add to."""
    with open(f"/proc/{worker.process.pid}/stat") as file:
        user, system = file.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def inserts(url, work):
    """What a text takes more with the disk cache than without, in a small and in a large one."""
    small, large = (2500, 25000) if SHORT else (50_000, 500_000)
    workers = {0: Worker(url, cache="off")}
    workers |= {n: Worker(url, filled(url, work, n), env=BARE) for n in (small, large)}
    rounds = 3 if SHORT else 40
    costs = {n: [0, 0] for n in workers}
    for i in range(rounds):
        for n, worker in workers.items():
            before, start = used(worker), time.perf_counter()
            answer = worker.do(how="batch", texts=numbered(1000, f"{n} round {i}"))
            assert answer["error"] is None and answer["warnings"] == 0, answer
            costs[n][0] += time.perf_counter() - start
            costs[n][1] += used(worker) - before
    for what, i in [("time", 0), ("processor time", 1)]:
        plain, few, many = (costs[n][i] * 1000 / rounds for n in (0, small, large))
        ratio = (many - plain) / (few - plain)
        print(f"| a text kept on disk, {large:,} there: {what} | {small:,} there | {ratio:.2f} | ≤ 1.2 |")
        print(f"(µs a text: {few - plain:.0f} and {many - plain:.0f})", file=sys.stderr)
    for worker in workers.values():
        worker.end()


def beside(url, work):
    """Single calls of another process, without and with a process that writes into a full cache."""
    bound = (8 if SHORT else 64) << 20
    folder = tempfile.mkdtemp(dir=work)
    env = {**BARE, "REMBED_CACHE_DISK_BYTES": str(bound)}
    caller, writer = Worker(url, folder, env=env), Worker(url, folder, env=env)
    texts = numbered(bound // 700, "full")
    writer.do(how="batch", texts=texts)

    def calls(word, until):
        times = []
        while not times or until(times):
            start = time.perf_counter()
            answer = caller.do(how="one", texts=[f"{word} {len(times)}"])
            assert answer["error"] is None, answer
            times.append(time.perf_counter() - start)
        return sorted(times)

    alone = calls("alone", lambda times: len(times) < 300)
    writer.send(how="write", texts=numbered(len(texts), "more"))
    writer.receive()
    busy = calls("beside", lambda times: len(times) < 300)
    writer.process.kill()
    writer.process.communicate()
    for worker in (caller, Worker(url, folder, env=env)):
        unkept = worker.do(how="one", texts=["the last"])["stats"]["c"].get("warning")
        print(f"(warning: {unkept})", file=sys.stderr)
        worker.end()
    middle = len(alone) // 2
    print(f"| a single call beside a writer of a full cache, median | alone | {busy[middle] / alone[middle]:.1f} | |")
    print(f"| … the slowest of {len(busy)}, ms | the slowest alone: {alone[-1] * 1000:.0f} | {busy[-1] * 1000:.0f} | |")


def main():
    work = tempfile.mkdtemp(prefix="rembed-bench-")
    try:
        print("| work | against | figure | bar |\n| --- | --- | ---: | ---: |")
        with Fake() as fake:
            for run in (inserts, beside):
                run(fake.scenario(width=WIDTH), work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
