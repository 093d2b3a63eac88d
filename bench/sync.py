"""The semantic index: what a sync takes, who waits beside one, what the triggers cost, and what a kill loses.

usage: bench/sync.py [--short] [PART …], with Debian's python3. REMBED_LIB is the library, by default
target/release/libsqlite_rembed.so. PARTS are sync, floor, writer, triggers and kill; without one, all of them. Every figure is of
one run: ratios, since machines are noisy.
"""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/fake"))
from launch import Fake  # noqa: E402

LIB = os.environ.get("REMBED_LIB", "target/release/libsqlite_rembed.so")
SHORT = "--short" in sys.argv[1:]
PARTS = [word for word in sys.argv[1:] if word != "--short"]
ROWS = 5_000 if SHORT else 100_000
WIDTH = 384
LATENCY = 0.05
# Of format `openai`: texts a request, requests at once.
BATCH, AT_ONCE = 256, 8
INDEX = "CREATE VIRTUAL TABLE docs_index USING rembed_index(client = 'c', content = 'docs', columns = 'body')"


def connect(path, url):
    db = sqlite3.connect(path, isolation_level=None, timeout=60)
    db.enable_load_extension(True)
    db.load_extension(LIB)
    db.execute("SELECT rembed_register('c', 'format', 'openai', 'model', 'm', 'cache', 'off', 'url', ?)", [url])
    return db


def body(n, size=120):
    return f"text number {n} " + " ".join(str((n * 7919 + i * 104729) % 100_003) for i in range((size - 20) // 6))


def filled(work, name, url, rows=ROWS, wal=True):
    """A database of so many texts, indexed and not synced."""
    path = os.path.join(work, name)
    db = connect(path, url)
    db.execute("PRAGMA journal_mode = " + ("WAL" if wal else "DELETE"))
    db.execute("CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT, other)")
    db.execute("BEGIN")
    db.executemany("INSERT INTO docs(body) VALUES (?)", ([body(n)] for n in range(rows)))
    db.execute("COMMIT")
    db.execute(INDEX)
    return path, db


def sync(db, options="{}"):
    start = time.perf_counter()
    said = json.loads(db.execute("SELECT rembed_sync('docs_index', ?)", [options]).fetchone()[0])
    return said, time.perf_counter() - start


def row(work, against, figure, bar):
    print(f"| {work} | {against} | {figure} | {bar} |", flush=True)


def syncs(fake, work):
    url = fake.scenario(width=WIDTH, latency_ms=int(LATENCY * 1000)) + "/v1"
    _, db = filled(work, "sync.db", url)
    said, took = sync(db)
    assert said["embedded"] == ROWS and said["pending"] == 0, said
    ideal = -(-ROWS // BATCH) / AT_ONCE * LATENCY
    row(f"sync of {ROWS:,} rows, {LATENCY * 1000:.0f} ms a reply", f"the ideal schedule, {ideal:.2f} s", f"{took / ideal:.2f}", "≤ 1.3")
    db.execute("UPDATE docs SET other = 1")
    assert db.execute("SELECT pending FROM rembed_index_status('docs_index')").fetchone()[0] == 0
    db.execute("UPDATE docs SET body = body || '!' WHERE id % ? = 0", [ROWS // 50])
    before = fake.report(url[: -len("/v1")])
    said, took = sync(db)
    after = fake.report(url[: -len("/v1")])
    sent, asked = after["texts"] - before["texts"], after["requests"] - before["requests"]
    row("second sync with 50 rows changed: texts sent", "50", sent, "50")
    row("… s besides its requests", f"{asked} requests", f"{took - LATENCY * asked:.3f}", "≤ 0.2")


def floor(fake, work):
    """What the tables of an index take, written in one transaction and with nothing else."""
    url = fake.scenario(width=WIDTH) + "/v1"
    _, db = filled(work, "floor.db", url)
    vector, segment = os.urandom(4 * WIDTH), os.urandom(16 + 1024 * (24 + WIDTH))
    rows = [(n, hashlib.md5(body(n).encode()).digest(), body(n)) for n in range(1, ROWS + 1)]
    start = time.perf_counter()
    db.execute("BEGIN")
    db.executemany("INSERT INTO docs_index_rows VALUES (?, ?)", ((n, key) for n, key, _ in rows))
    db.executemany("INSERT INTO docs_index_chunks VALUES (?1, ?1, 0, 0, 100, ?2, ?3)", rows)
    db.executemany(
        "INSERT INTO docs_index_vectors VALUES (?1, 1, ?1, ?2, 1, 1, ?3)", ((n, key, vector) for n, key, _ in rows)
    )
    db.executemany("INSERT INTO docs_index_words(rowid, chunk) VALUES (?, ?)", ((n, text) for n, _, text in rows))
    db.executemany("INSERT INTO docs_index_segments VALUES (?, 1, 1024, ?)", ((n + 1, segment) for n in range(ROWS // 1024)))
    db.execute("DELETE FROM docs_index_marks")
    db.execute("COMMIT")
    took, ideal = time.perf_counter() - start, -(-ROWS // BATCH) / AT_ONCE * LATENCY
    row(f"the same {ROWS:,} rows in one transaction", f"the ideal schedule, {ideal:.2f} s", f"{took / ideal:.2f}", "–")


def writer(fake, work):
    """A process that writes a row each 10 ms, and how long it waits."""
    script = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
n = 0
end = time.time() + float(sys.argv[2])
while time.time() < end:
    start = time.perf_counter()
    db.execute("INSERT INTO notes(body) VALUES ('a note')")
    print(time.perf_counter() - start)
    time.sleep(0.01)
"""

    def waits(path, seconds):
        return subprocess.Popen(["/usr/bin/python3", "-c", script, path, str(seconds)], stdout=subprocess.PIPE, text=True)

    def p99(process):
        # The last line may be cut.
        times = sorted(float(line) for line in process.communicate()[0].split()[:-1])
        return times[len(times) * 99 // 100] * 1000

    url = fake.scenario(width=WIDTH, latency_ms=5) + "/v1"
    for wal, bar in [(True, "≤ 50"), (False, "≤ 250")]:
        journal = "WAL" if wal else "a rollback journal"
        path, db = filled(work, f"writer-{wal}.db", url, ROWS // 2, wal)
        db.execute("CREATE TABLE notes(id INTEGER PRIMARY KEY, body TEXT)")
        alone = p99(waits(path, 2))
        for what in ["a sync", "a sync that reuses every vector"]:
            if what != "a sync":
                # Other rows with the same texts.
                db.execute("UPDATE docs SET id = id + 1000000")
            beside = waits(path, 600)
            _, took = sync(db)
            assert beside.poll() is None, "the writer failed"
            beside.send_signal(signal.SIGTERM)
            row(f"a writer beside {what} of {took:.1f} s, {journal}: p99, ms", f"alone: {alone:.1f}", f"{p99(beside):.1f}", bar)


def triggers(fake, work):
    rows = [["x" * 480 + str(n)] for n in range(ROWS)]

    def inserts(indexed):
        path = os.path.join(work, f"triggers-{indexed}.db")
        if os.path.exists(path):
            os.remove(path)
        db = connect(path, fake.url)
        db.execute("CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT)")
        if indexed:
            db.execute(INDEX)
        start = time.perf_counter()
        db.execute("BEGIN")
        db.executemany("INSERT INTO docs(body) VALUES (?)", rows)
        db.execute("COMMIT")
        return time.perf_counter() - start

    # In turns, and the best of each.
    times = [[inserts(indexed) for indexed in (False, True)] for _ in range(5)]
    plain, marked = (min(time[i] for time in times) for i in (0, 1))
    row(f"{ROWS:,} inserts of 480 bytes with the triggers", f"without, {plain:.2f} s", f"{marked / plain:.2f}", "≤ 1.3")


def kill(fake, work):
    """A process that syncs is killed, again and again, until all is synced."""
    rounds = 10 if SHORT else 100
    url = fake.scenario(width=WIDTH, latency_ms=5) + "/v1"
    path, db = filled(work, "kill.db", url, ROWS // 5)
    script = f"""
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
db.enable_load_extension(True)
db.load_extension({LIB!r})
db.execute("SELECT rembed_register('c', 'format', 'openai', 'model', 'm', 'cache', 'off', 'url', ?)", [sys.argv[2]])
print("begun", flush=True)
db.execute("SELECT rembed_sync('docs_index')").fetchone()
"""
    killed = 0
    for n in range(rounds):
        process = subprocess.Popen(["/usr/bin/python3", "-c", script, path, url], stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        time.sleep(0.005 * (n % 20))
        killed += process.poll() is None
        process.kill()
        process.communicate()
        db.execute("INSERT INTO docs_index(docs_index) VALUES ('integrity-check')")
        # There is always something left to do.
        db.execute("INSERT INTO docs(body) VALUES (?)", [body(10_000_000 + n)])
    time.sleep(0 if SHORT else 31)  # what the dead have claimed
    said, _ = sync(db)
    assert said["pending"] == 0, said
    db.execute("INSERT INTO docs_index(docs_index) VALUES ('integrity-check')")
    chunks = db.execute("SELECT count(*) FROM docs_index").fetchone()[0]
    sent = fake.report(url[: -len("/v1")])["texts"]
    most = chunks + killed * BATCH * AT_ONCE
    row(f"kill -9 in a sync, {killed} times: texts sent", f"{chunks:,} chunks, and what was in flight", f"{sent:,}", f"≤ {most:,}")


def main():
    work = tempfile.mkdtemp(prefix="rembed-bench-", dir=os.environ.get("TMPDIR"))
    try:
        with Fake() as fake:
            print("| work | against | figure | bar |\n| --- | --- | ---: | ---: |")
            for name, part in [("sync", syncs), ("floor", floor), ("writer", writer), ("triggers", triggers), ("kill", kill)]:
                if not PARTS or name in PARTS:
                    part(fake, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
