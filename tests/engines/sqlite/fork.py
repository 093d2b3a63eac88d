"""Children of fork() while other threads of the parent call rembed(): each embeds on a connection of its own, and ends.

usage: fork.py [ROUNDS]; a round is 60 children. The last line has the counts."""

import ctypes
import json
import os
import pathlib
import random
import signal
import sys
import threading
import time

# SQLite counts its memory under a lock of its own, which a child may inherit locked: that would be the host's fault.
# 9 is SQLITE_CONFIG_MEMSTATUS; it comes before SQLite is used.
assert ctypes.CDLL("libsqlite3.so.0").sqlite3_config(9, 0) == 0

import sqlite3

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/fake"))
from launch import Fake  # noqa: E402

LIB = os.environ.get("REMBED_LIB") or str(ROOT / "target/release/libsqlite_rembed.so")
CHILDREN = 60
THREADS = 8
# A child that has not ended by then hangs.
SECONDS = 10


def connect(base, client="own", **options):
    db = sqlite3.connect(":memory:", check_same_thread=False)
    db.enable_load_extension(True)
    db.load_extension(LIB)
    settings = {"format": "openai", "model": "m", "url": f"{base}/v1", "dimensions": 16, **options}
    db.execute("SELECT rembed_register(?, ?)", [client, json.dumps(settings)])
    return db


def embed(db, client, text):
    blob = db.execute("SELECT rembed(?, ?)", [client, text]).fetchone()[0]
    assert len(blob) == 64, blob
    return blob


def keep_busy(base, end, seen):
    """What a thread of the parent does: requests, hits, clients that come and go."""
    # At their bound, single calls wait for each other: a child must not.
    db = connect(base, connections=2)
    register = "SELECT rembed_register('mine', 'format', 'openai', 'url', ?)"
    n = 0
    while not end.is_set():
        n += 1
        embed(db, "own", f"text {n % 50}")
        embed(db, "everybody's", f"text {random.random()}")
        db.execute(register, [f"{base}/v1"]).fetchone()
        seen[0] += 1


def child(base, expected):
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)
    try:
        db = connect(base, connections=2)
        assert embed(db, "own", "text 1") == expected
        # Registered by the parent.
        embed(db, "everybody's", f"text of child {os.getpid()}")
        os._exit(0)
    except BaseException as error:
        os.write(2, f"child: {type(error).__name__}: {error}\n".encode())
        os._exit(1)


def main(base, rounds):
    db = connect(base, "everybody's", scope="process")
    expected = embed(db, "everybody's", "text 1")
    end, seen = threading.Event(), [0]
    threads = [threading.Thread(target=keep_busy, args=(base, end, seen)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    passed = failed = hung = 0
    for number in range(rounds):
        pids = []
        for _ in range(CHILDREN):
            time.sleep(random.random() / 500)
            pid = os.fork()
            if pid == 0:
                child(base, expected)
            pids.append(pid)
        ends = [os.waitpid(pid, 0)[1] for pid in pids]
        hung += sum(os.WIFSIGNALED(status) for status in ends)
        failed += sum(os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0 for status in ends)
        passed += ends.count(0)
        if not threads[0].is_alive():
            break
    end.set()
    for thread in threads:
        thread.join()
    print(f"{rounds} rounds, {seen[0]} turns of the parent's threads, {hung} children hung")
    print(f"{passed} passed, {failed + hung} failed")
    return passed != rounds * CHILDREN


with Fake() as fake:
    code = main(fake.url, int(sys.argv[1]) if sys.argv[1:] else 3)
sys.exit(code)
