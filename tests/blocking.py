#!/usr/bin/python3
"""What docs/blocking.md says of a call that takes its time, shown with a provider that answers after 300 ms.

    tests/blocking.py

REMBED_LIB and REMBED_FAKE name the library and the fake provider. Nothing here is a measurement of speed: each figure
is compared with the provider's own delay.
"""

import os
import sqlite3
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/fake"))
from launch import Fake  # noqa: E402

LIB = os.environ.get("REMBED_LIB", str(ROOT / "target/release/libsqlite_rembed.so"))
DELAY = 0.3
passed = failed = 0


def check(what, ok, shown):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(f"{'ok  ' if ok else 'FAIL'} {what}: {shown}")


def connect(path, url):
    db = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
    db.enable_load_extension(True)
    db.load_extension(LIB)
    db.execute("SELECT rembed_register('c', 'format', 'openai', 'model', 'm', 'url', ?)", (url,)).fetchone()
    return db


def while_running(work, ask):
    """What `ask` returns, called again and again while `work` runs in a thread."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work)
        answers = []
        while not running.done():
            answers.append(ask())
            time.sleep(0.01)
        running.result()
    return answers


def main():
    with Fake() as fake, tempfile.TemporaryDirectory() as folder:
        cases(f"{folder}/notes.db", fake.scenario(latency_ms=int(DELAY * 1000)) + "/v1")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


def cases(path, url):
    db, other = connect(path, url), sqlite3.connect(path, isolation_level=None, timeout=0)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE notes(body TEXT, embedding BLOB)")

    turns = while_running(lambda: db.execute("SELECT rembed('c', 'alone')").fetchone(), lambda: 1)
    check("Python: other threads run while a call is out", len(turns) >= 5, f"{len(turns)} turns")

    def may_write():
        try:
            other.execute("BEGIN IMMEDIATE")
            other.execute("COMMIT")
            return True
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            return False

    answers = while_running(lambda: db.execute("INSERT INTO notes VALUES ('a', rembed('c', 'a'))"), may_write)
    refused = answers.count(False)
    check("an INSERT that embeds keeps other writers out", refused >= len(answers) / 2, f"{refused} of {len(answers)} refused")

    def prefetched():
        db.execute("""SELECT rembed_prefetch('c', '["b"]')""").fetchone()
        db.execute("INSERT INTO notes VALUES ('b', rembed('c', 'b'))")

    answers = while_running(prefetched, may_write)
    refused = answers.count(False)
    check("after rembed_prefetch() in a read it does not", refused <= len(answers) / 3 and len(answers) >= 5, f"{refused} of {len(answers)} refused")


if __name__ == "__main__":
    sys.exit(main())
