"""The bar of REMBED_PROGRESS, and rembed_stats() while a statement runs."""

import json
import os
import pty
import re
import select
import sqlite3
import sys
import threading
import time

from common import LIB, Checks, Fake, Worker

TEXTS = [f"text number {i}" for i in range(40)]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# 20 requests, two at a time: more than a second.
OPTIONS = {"batch_size": 2, "concurrency": 2}
LATENCY_MS = 120


def on_terminal(url, how, variables, texts=TEXTS):
    """The vectors of a statement whose stderr is a terminal, and what was drawn there."""
    terminal, stderr = pty.openpty()
    worker = Worker(url, stderr=stderr, env={"TERM": "xterm-256color", **variables}, **OPTIONS)
    os.close(stderr)
    worker.send(how=how, texts=texts)
    drawn = b""

    def read(seconds):
        nonlocal drawn
        if select.select([terminal], [], [], seconds)[0]:
            try:
                drawn += os.read(terminal, 1 << 16)
            except OSError:
                # Linux says so when the other side is closed.
                return False
        return True

    while not select.select([worker.process.stdout], [], [], 0)[0]:
        read(0.02)
    answer = worker.receive()
    worker.end()
    while read(0.1) and select.select([terminal], [], [], 0.1)[0]:
        pass
    os.close(terminal)
    return answer, drawn.decode()


def a_bar_is_drawn(checks, fake):
    for how, form in [
        ("sync", r"c \[[=> ]{30}\] (\d+)/80 rows, .*/s, (\d+) in flight, .* left"),
        ("batch", r"c \[[=> ]{30}\] (\d+)/40 texts, .*(\d+) in flight"),
        ("prefetch", r"c \[[=> ]{30}\] (\d+)/40 texts, .*(\d+) in flight"),
        ("rows", r"c .* (\d+) texts, .*(\d+) in flight"),
    ]:
        url = fake.scenario(latency_ms=LATENCY_MS, width=8)
        # A sync counts rows once they are written, some requests at a time.
        texts = TEXTS + [text + "!" for text in TEXTS] if how == "sync" else TEXTS
        answer, drawn = on_terminal(url, how, {"REMBED_PROGRESS": "1"}, texts)
        checks.same(f"{how}: error", answer["error"], None)
        checks.same(f"{how}: vectors", len(answer["vectors"]), len(texts))
        stats = answer["stats"]["c"]
        checks.same(f"{how}: counted", (stats["texts"], stats["requests"]), (len(texts), len(texts) // 2))
        plain = ESCAPES.sub("\r", drawn)
        found = [re.search(form, line) for line in plain.split("\r")]
        done = [int(match[1]) for match in found if match]
        flying = [int(match[2]) for match in found if match]
        checks.that(f"{how}: drawn {len(done)} times: {drawn!r}", len(done) >= 4)
        checks.that(f"{how}: it moves: {done}", len(set(done)) >= 4 and sorted(done) == done)
        checks.that(f"{how}: in flight: {flying}", max(flying, default=0) == 2)
        # Nothing is left on the line.
        rest = drawn.rsplit("rows" if how == "sync" else "texts", 1)[-1]
        checks.that(f"{how}: cleared: {rest!r}", "\x1b[2K" in rest)
        checks.that(f"{how}: no line is left: {drawn!r}", "\n" not in drawn)


def retries_are_told(checks, fake):
    fault = {"first": 2, "status": 429, "headers": {"retry-after-ms": "300"}}
    url = fake.scenario(latency_ms=LATENCY_MS, width=8, faults=[fault])
    answer, drawn = on_terminal(url, "batch", {"REMBED_PROGRESS": "1"})
    checks.same("retries: error", answer["error"], None)
    checks.that(f"retries: {drawn!r}", "2 retries" in drawn)


def a_failure_leaves_no_bar(checks, fake):
    fault = {"requests": [12], "status": 400}
    url = fake.scenario(latency_ms=LATENCY_MS, width=8, faults=[fault])
    answer, drawn = on_terminal(url, "batch", {"REMBED_PROGRESS": "1"})
    checks.that(f"failure: {answer['error']}", "HTTP 400" in (answer["error"] or ""))
    rest = drawn.rsplit("texts", 1)[-1]
    checks.that(f"failure: cleared: {rest!r}", "\x1b[2K" in rest)


def nothing_is_drawn_unasked(checks, fake):
    url = fake.scenario(latency_ms=LATENCY_MS, width=8)
    for what, variables in [("unset", {}), ("0", {"REMBED_PROGRESS": "0"}), ("empty", {"REMBED_PROGRESS": ""})]:
        answer, drawn = on_terminal(url, "batch", variables, TEXTS[:20])
        checks.same(f"{what}: error", answer["error"], None)
        checks.same(f"{what}: drawn", drawn, "")
    # stderr is a pipe.
    worker = Worker(url, env={"REMBED_PROGRESS": "1"}, **OPTIONS)
    answer = worker.do(how="batch", texts=TEXTS)
    checks.same("a pipe: error", answer["error"], None)
    checks.same("a pipe: drawn", worker.end(), "")


def stats_move_while_a_statement_runs(checks, fake):
    url = fake.scenario(latency_ms=LATENCY_MS, width=8)

    def connect():
        db = sqlite3.connect(":memory:", check_same_thread=False)
        db.enable_load_extension(True)
        db.load_extension(LIB)
        return db

    working, watching = connect(), connect()
    options = {"format": "openai", "url": url + "/v1", "scope": "process", **OPTIONS}
    working.execute("SELECT rembed_register('shared', ?)", (json.dumps(options),))
    query = "SELECT count(embedding) FROM rembed_batch('shared', ?)"
    rows = []
    thread = threading.Thread(
        target=lambda: rows.append(working.execute(query, (json.dumps(TEXTS),)).fetchone()[0])
    )
    seen = []

    def look():
        stats = json.loads(watching.execute("SELECT rembed_stats()").fetchone()[0])["shared"]
        seen.append((stats["requests"], stats["texts"], stats["bytes_in"]))

    look()
    thread.start()
    while thread.is_alive():
        look()
        time.sleep(0.02)
    thread.join()
    look()
    checks.same("rows", rows, [40])
    checks.same("at first", seen[0], (0, 0, 0))
    checks.same("in the end", seen[-1][:2], (20, 40))
    for i, name in enumerate(["requests", "texts", "bytes_in"]):
        values = [one[i] for one in seen]
        checks.that(f"{name} moves: {values}", len(set(values)) >= 5 and sorted(values) == values)


def main():
    checks = Checks()
    fake = Fake()
    for test in [
        a_bar_is_drawn,
        retries_are_told,
        a_failure_leaves_no_bar,
        nothing_is_drawn_unasked,
        stats_move_while_a_statement_runs,
    ]:
        start, failed = time.monotonic(), checks.failed
        checks.run(test, fake)
        outcome = "ok" if checks.failed == failed else "FAILED"
        print(f"{test.__name__}: {outcome}, {time.monotonic() - start:.1f} s", flush=True)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return checks.failed > 0


if __name__ == "__main__":
    sys.exit(main())
