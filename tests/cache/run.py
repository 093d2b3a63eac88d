"""The disk cache: what survives a process, a kill, a damaged file and a full disk.

Run by Debian's python3 alone. REMBED_LIB is the library, by default target/release/libsqlite_rembed.so.
"""

import contextlib
import json
import os
import random
import select
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

from common import Checks, Fake, Worker, ask, truth

WIDTH = 256
PAGE = 8192
FILE = "vectors-2.sqlite"
NOBODY = 65534


class Place:
    """A scenario of the fake, texts, what their vectors are, and a folder for the cache."""

    def __init__(self, fake, work, texts, width=WIDTH):
        self.fake = fake
        self.url = fake.scenario(width=width)
        self.texts = texts
        # Asked of a scenario of its own, whose requests do not count.
        self.truth = dict(zip(texts, truth(fake.scenario(width=width), texts)))
        self.folder = tempfile.mkdtemp(dir=work)
        self.seen = 0

    def path(self, suffix=""):
        return os.path.join(self.folder, FILE + suffix)

    def sent(self):
        """How many texts were sent since the last time."""
        total = self.fake.report(self.url)["texts"]
        new, self.seen = total - self.seen, total
        return new

    def ask(self, texts=None, how="batch", **more):
        return ask(self.url, self.folder, texts or self.texts, how, **more)

    def right(self, checks, what, answer, texts=None):
        """No error, every vector as the fake gave it, and nothing on stderr."""
        wanted = [self.truth[text] for text in texts or self.texts]
        checks.same(f"{what}: error", answer["error"], None)
        checks.that(f"{what}: vectors", answer["vectors"] == wanted)
        checks.same(f"{what}: stderr", answer.get("stderr", ""), "")

    def copy(self, source):
        """Makes the folder as `source` is, whatever became of it."""
        if os.path.isdir(self.folder):
            os.chmod(self.folder, 0o755)
        shutil.rmtree(self.folder)
        shutil.copytree(source, self.folder)

    def settle(self):
        """Moves the WAL into the file, as the last process that closes it does."""
        with contextlib.closing(sqlite3.connect(self.path())) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def whole(self):
        """What SQLite says of a copy: a check needs room, which a full disk does not have."""
        with tempfile.TemporaryDirectory() as elsewhere:
            for suffix in ["", "-wal"]:
                if os.path.exists(self.path(suffix)):
                    shutil.copy(self.path(suffix), elsewhere)
            with contextlib.closing(sqlite3.connect(os.path.join(elsewhere, FILE))) as db:
                return db.execute("PRAGMA integrity_check").fetchone()[0]


def numbered(n, word="text"):
    return [f"{word} number {i}" for i in range(n)]


def survives_the_process(checks, fake, work):
    for how in ["batch", "rows", "one", "prefetch"]:
        place = Place(fake, work, numbered(300))
        place.right(checks, f"first process, {how}", place.ask(how=how))
        checks.same(f"first process, {how}: sent", place.sent(), 300)
        for again in ["batch", "rows", "one", "prefetch"]:
            answer = place.ask(how=again)
            place.right(checks, f"{how}, then {again}", answer)
            checks.same(f"{how}, then {again}: sent", place.sent(), 0)
            checks.same(f"{how}, then {again}: texts of the provider", answer["stats"]["c"]["texts"], 0)
            checks.same(f"{how}, then {again}: warnings", answer["warnings"], 0)
    # What is not there travels alone.
    place = Place(fake, work, numbered(300))
    place.ask(place.texts[::2])
    place.sent()
    place.right(checks, "every other", place.ask())
    checks.same("every other: sent", place.sent(), 150)


def other_options_are_other_vectors(checks, fake, work):
    place = Place(fake, work, numbered(20))
    place.ask()
    place.sent()
    for name, value in [("model", "n"), ("dimensions", 64), ("normalize", True)]:
        place.ask(**{name: value})
        checks.same(f"{name}: sent", place.sent(), 20)
    place.ask(timeout=5, retries=0, batch_size=7)
    checks.same("timeout: sent", place.sent(), 0)
    place.ask(cache="memory")
    checks.same("memory: sent", place.sent(), 20)
    place.ask(cache="off")
    checks.same("off: sent", place.sent(), 20)


def clear(worker, what=""):
    return worker.do(how="sql", sql=f"SELECT rembed_cache_clear({what})")


def clearing(checks, fake, work):
    place = Place(fake, work, numbered(300))
    worker = Worker(place.url, place.folder)
    worker.do(how="batch", texts=place.texts)
    checks.same("cleared from memory", clear(worker)["value"], 300)
    checks.same("cleared from memory again", clear(worker)["value"], 0)
    place.sent()
    place.right(checks, "after clearing the memory", worker.do(how="batch", texts=place.texts))
    checks.same("after clearing the memory: sent", place.sent(), 0)
    checks.same("cleared from disk", clear(worker, "'disk'")["value"], 300)
    checks.same("cleared from disk again", clear(worker, "'disk'")["value"], 0)
    worker.do(how="batch", texts=place.texts)
    checks.same("after clearing the disk, from memory: sent", place.sent(), 0)
    worker.end()
    place.right(checks, "after clearing the disk", place.ask())
    checks.same("after clearing the disk: sent", place.sent(), 300)


def clearing_by_a_process_that_has_not_used_it(checks, fake, work):
    place = Place(fake, work, numbered(300))
    place.ask()
    worker = Worker(place.url, place.folder)
    checks.same("cleared by a fresh process", clear(worker, "'disk'")["value"], 300)
    worker.end()
    place.sent()
    place.ask()
    checks.same("cleared by a fresh process: sent", place.sent(), 300)
    # A folder that is not there holds nothing, and is not made.
    worker = Worker(place.url, os.path.join(place.folder, "none"))
    checks.same("cleared where nothing is", clear(worker, "'disk'"), {"value": 0, "error": None})
    worker.end()
    checks.that("a folder is not made to be cleared", not os.path.exists(place.folder + "/none"))


def clearing_leaves_what_others_paid_for(checks, fake, work):
    place = Place(fake, work, numbered(200))
    place.ask()
    place.ask(model="n")
    place.sent()
    # A connection whose clients keep vectors in memory alone.
    worker = Worker(place.url, place.folder, cache="memory", model="other")
    worker.do(how="batch", texts=place.texts[:50])
    checks.same("of memory clients", clear(worker)["value"], 50)
    worker.do(how="batch", texts=place.texts[:50])
    checks.same("of a memory client by its name", clear(worker, "'c'")["value"], 50)
    checks.that("of nobody", "not registered" in (clear(worker, "'nobody'")["error"] or ""))
    checks.that("of NULL", "NULL" in (clear(worker, "NULL")["error"] or ""))
    worker.end()
    # A client's own, with every input type, and no others.
    worker = Worker(place.url, place.folder)
    worker.do(how="batch", texts=place.texts[:100])
    checks.same("of a disk client, memory and disk", clear(worker, "'c'")["value"], 300)
    worker.end()
    place.sent()
    place.ask(model="n")
    checks.same("of another client: sent", place.sent(), 0)
    place.ask()
    checks.same("of the cleared client: sent", place.sent(), 200)


def clearing_that_fails_says_so(checks, fake, work):
    place = Place(fake, work, numbered(100))
    place.ask()
    place.settle()
    for what in ["'disk'", "'c'"]:
        with holding(place):
            worker = Worker(place.url, place.folder)
            start = time.monotonic()
            said = clear(worker, what)
            took = time.monotonic() - start
        checks.that(f"clearing {what} while others hold it: {said}", "others hold it" in (said["error"] or ""))
        checks.that(f"clearing {what} while others hold it: {took:.1f} s", took < 6)
        # It is asked again at once, and not when the cache has rested.
        checks.same(f"clearing {what} after that", clear(worker, what)["value"], 100)
        worker.end()
        place.ask()
        place.settle()
    worker = Worker(place.url, "/dev/null/x")
    worker.do(how="batch", texts=place.texts)
    said = clear(worker, "'disk'")
    checks.same("clearing what is no folder", said, {"value": 0, "error": None})
    worker.end()
    spoil(place.path(), 0, 200)
    worker = Worker(place.url, place.folder)
    said = clear(worker, "'disk'")["error"]
    checks.that(f"clearing a damaged file: {said}", "was not cleared" in (said or ""))
    worker.end()


@contextlib.contextmanager
def holding(place):
    """Another process that lets nobody read."""
    with contextlib.closing(sqlite3.connect(place.path(), isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("CREATE TABLE IF NOT EXISTS held(x)")
        other.execute("DROP TABLE held")
        yield


def what_others_hold_is_a_miss(checks, fake, work):
    texts = numbered(600)
    for opened in [False, True]:
        what = f"held, opened before: {opened}"
        place = Place(fake, work, texts)
        place.ask(texts[:100])
        worker = Worker(place.url, place.folder, env={"REMBED_CACHE_BYTES": "0"})
        if opened:
            worker.do(how="batch", texts=texts[:10])
            writer = contextlib.closing(sqlite3.connect(place.path(), isolation_level=None))
        place.settle()
        start = time.monotonic()
        if opened:
            # One who reads keeps others from the lock of all: here it is a writer that nobody can write beside.
            with writer as other:
                other.execute("BEGIN IMMEDIATE")
                answer = worker.do(how="batch", texts=texts)
        else:
            with holding(place):
                answer = worker.do(how="batch", texts=texts)
        took = time.monotonic() - start
        place.right(checks, what, answer)
        checks.that(f"{what}: {took:.1f} s", took < 6)
        warning = answer["stats"]["c"].get("warning") or ""
        checks.that(f"{what}: {warning}", "not kept on disk: others held" in warning)
        # It comes back by itself.
        time.sleep(11)
        place.right(checks, f"{what}, later", worker.do(how="batch", texts=texts))
        place.sent()
        place.right(checks, f"{what}, again", worker.do(how="batch", texts=texts))
        checks.same(f"{what}, again: sent", place.sent(), 0)
        worker.end()


def an_interrupt_ends_the_wait(checks, fake, work):
    place = Place(fake, work, numbered(50))
    place.ask()
    place.settle()
    worker = Worker(place.url, place.folder, env={"REMBED_CACHE_BYTES": "0"})
    with holding(place):
        answer = worker.do(how="interrupt", texts=place.texts, after=0.3)
    if answer["version"] < [3, 41]:
        print("  skipped: this SQLite cannot tell of an interrupt")
    else:
        checks.that(f"interrupted: {answer}", "interrupted" in (answer["error"] or ""))
        checks.that(f"interrupted after {answer['took']:.2f} s", answer["took"] < 1)
    worker.end()


def prefetching_without_memory(checks, fake, work):
    place = Place(fake, work, numbered(300))
    worker = Worker(place.url, place.folder, env={"REMBED_CACHE_BYTES": "0"})
    fetch = "SELECT rembed_prefetch('c', '%s')"
    ready = worker.do(how="sql", sql=fetch % json.dumps(place.texts))
    checks.same("prefetched to disk alone", ready, {"value": 300, "error": None})
    place.sent()
    place.right(checks, "prefetched to disk alone", worker.do(how="one", texts=place.texts))
    checks.same("prefetched to disk alone: sent", place.sent(), 0)
    worker.end()
    # Nothing is paid for that nothing keeps.
    worker = Worker(place.url, "/dev/null/x", env={"REMBED_CACHE_BYTES": "0"})
    said = worker.do(how="sql", sql=fetch % json.dumps(place.texts))["error"]
    checks.that(f"prefetched to nowhere: {said}", "needs the cache" in (said or ""))
    checks.same("prefetched to nowhere: sent", place.sent(), 0)
    worker.end()


def what_was_prefetched_is_ready(checks, fake, work):
    """2,000 texts at once, where the memory cache holds about 1,300."""
    place = Place(fake, work, numbered(2000))
    bytes = 1300 * (WIDTH * 4 + 192)
    worker = Worker(place.url, env={"REMBED_CACHE_BYTES": str(bytes)})
    worker.do(how="batch", texts=place.texts[1000:])
    ready = worker.do(how="sql", sql="SELECT rembed_prefetch('c', '%s')" % json.dumps(place.texts))["value"]
    checks.that(f"ready: {ready}", 1000 <= ready < 1300)
    place.sent()
    place.right(checks, "prefetched", worker.do(how="one", texts=place.texts))
    sent = place.sent()
    checks.that(f"prefetched: {sent} sent, {ready} were ready", sent <= 2000 - ready)
    worker.end()


def several_processes_at_once(checks, fake, work):
    # The folder is new each time: they also meet while they make the file.
    for n in [2] * 30 + [6] * 3:
        place = Place(fake, work, numbered(600))
        parts = [place.texts[i * 20 : i * 20 + 400] for i in range(n)]
        workers = [Worker(place.url, place.folder) for _ in parts]
        for worker in workers:
            worker.do(how="sql", sql="SELECT rembed_version()")
        at = time.time() + 0.02
        for worker, part in zip(workers, parts):
            worker.send(how="batch", texts=part, at=at)
        for worker, part in zip(workers, parts):
            answer = worker.receive()
            place.right(checks, f"{n} at once", answer, part)
            warning = answer["stats"]["c"].get("warning")
            checks.same(f"{n} at once: warning", warning, None)
            checks.same(f"{n} at once: stderr", worker.end(), "")
        asked = place.texts[: len(parts) * 20 + 380]
        place.sent()
        place.right(checks, f"after {n} at once", place.ask(asked), asked)
        checks.same(f"after {n} at once: sent", place.sent(), 0)
        checks.same(f"after {n} at once: integrity", place.whole(), "ok")


def a_file_that_another_process_is_making(checks, fake, work):
    for begin in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"]:
        place = Place(fake, work, numbered(50))
        with contextlib.closing(sqlite3.connect(place.path(), isolation_level=None)) as other:
            # Not in WAL mode yet: the moment before the other process has switched.
            other.execute(begin)
            worker = Worker(place.url, place.folder)
            worker.do(how="sql", sql="SELECT rembed_version()")
            worker.send(how="batch", texts=place.texts)
            time.sleep(0.3)
            other.execute("COMMIT")
        answer = worker.receive()
        place.right(checks, begin, answer)
        checks.same(f"{begin}: warning", answer["stats"]["c"].get("warning"), None)
        worker.end()
        place.sent()
        place.ask()
        checks.same(f"{begin}: sent by the next process", place.sent(), 0)


def kills(checks, fake, work, rounds=100):
    place = Place(fake, work, numbered(6000), width=64)
    # Without a memory cache every vector is looked for on disk, and so read and written all the time.
    bare = {"REMBED_CACHE_BYTES": "0"}
    watcher = Worker(place.url, place.folder, env=bare)
    truths = [place.truth[text] for text in place.texts]
    watcher.do(how="watch", texts=place.texts[:1000], truth=truths[:1000])
    early = 0
    for i in range(rounds):
        # Each writer has texts that are new and some that all have.
        writer = Worker(place.url, place.folder, env=bare)
        writer.send(how="write", texts=place.texts[i * 50 : i * 50 + 1000])
        if i % 4 == 0:
            # At any moment, before it has begun too.
            time.sleep(random.uniform(0.05, 0.25))
            early += 1
        else:
            writer.receive()
            time.sleep(random.uniform(0, 0.12))
        alive = writer.process.poll() is None
        writer.process.kill()
        said = writer.process.communicate()[1]
        checks.that(f"round {i}: the writer failed: {said}", alive and "Error" not in said)
    watcher.send(how="sql", sql="SELECT 1")
    seen = watcher.receive()
    watcher.end()
    checks.that(f"{seen['queries']} queries beside the killed", seen["queries"] >= rounds)
    checks.same("beside the killed: errors", seen["errors"], [])
    checks.same("beside the killed: wrong vectors", seen["wrong"], [])
    checks.same("beside the killed: warning", seen["stats"]["c"].get("warning"), None)
    place.sent()
    answer = place.ask()
    place.right(checks, "after the kills", answer)
    checks.same("after the kills: warnings", answer["warnings"], 0)
    kept = len(place.texts) - place.sent()
    checks.that(f"after the kills: {kept} of {len(place.texts)} were kept", kept > 2000)
    checks.same("after the kills: integrity", place.whole(), "ok")
    place.right(checks, "one more process", place.ask())
    checks.same("one more process: sent", place.sent(), 0)
    print(f"  {rounds} kills, {seen['queries']} queries beside them, {kept} vectors kept")


def spoil(path, start=0, end=None):
    """Random bytes from `start` to `end`."""
    end = os.path.getsize(path) if end is None else end
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(random.randbytes(end - start))


def damage(checks, fake, work):
    place = Place(fake, work, numbered(450))
    old = place.texts[:400]
    place.ask(old)
    unsettled = tempfile.mkdtemp(dir=work) + "/unsettled"
    shutil.copytree(place.folder, unsettled)
    place.settle()
    good = tempfile.mkdtemp(dir=work) + "/good"
    shutil.copytree(place.folder, good)
    size = os.path.getsize(place.path())
    pages = size // PAGE
    checks.that(f"{pages} pages", pages > 40)

    def judge(what, least, most, **more):
        """A process that meets the damage, and one after it."""
        for process in ["first", "second"]:
            answer = place.ask(**more)
            place.right(checks, f"{what}, {process}", answer)
            holds = least <= answer["warnings"] <= most
            checks.that(f"{what}, {process}: {answer['stats']['c'].get('warning')}", holds)

    def truncate(to):
        os.truncate(place.path(), to)

    def folder_instead():
        os.remove(place.path())
        os.mkdir(place.path())

    def foreign_table():
        os.remove(place.path())
        with contextlib.closing(sqlite3.connect(place.path())) as db:
            db.execute("CREATE TABLE vectors(other)")

    for what, spoiler, least, most in [
        ("cut in half", lambda: truncate(size // 2), 1, 1),
        ("cut within a page", lambda: truncate(size - 100), 0, 1),
        ("cut within the header", lambda: truncate(50), 1, 1),
        ("empty", lambda: truncate(0), 0, 0),
        ("garbage from the start", lambda: spoil(place.path()), 1, 1),
        ("a text file", lambda: open(place.path(), "w").write("hello\n" * 10000), 1, 1),
        ("garbage on every page but the first", lambda: spoil(place.path(), PAGE), 1, 1),
        ("a folder in its place", folder_instead, 1, 1),
        ("another table in its place", foreign_table, 1, 1),
    ]:
        place.copy(good)
        spoiler()
        judge(what, least, most)

    warned = 0
    for page in range(pages):
        place.copy(good)
        spoil(place.path(), page * PAGE, (page + 1) * PAGE)
        answer = place.ask()
        place.right(checks, f"garbage on page {page}", answer)
        checks.that(f"garbage on page {page}: warnings", answer["warnings"] <= 1)
        warned += answer["warnings"]
    print(f"  {warned} of {pages} damaged pages were noticed by SQLite")
    for byte in range(60):
        # Few bytes, which a page's checks may not notice.
        place.copy(good)
        for _ in range(50):
            at = random.randrange(100, size)
            spoil(place.path(), at, at + 1)
        answer = place.ask()
        place.right(checks, f"50 bytes, {byte}", answer)
        checks.that(f"50 bytes, {byte}: warnings", answer["warnings"] <= 1)

    for suffix in ["-wal", "-shm"]:
        length = os.path.getsize(os.path.join(unsettled, FILE + suffix))
        for what, start, end in [
            ("all", 0, None),
            ("the start", 0, 40),
            ("the middle", length // 2, length // 2 + 5000),
        ]:
            place.copy(unsettled)
            spoil(place.path(suffix), start, end and min(end, length))
            judge(f"garbage in {suffix}, {what}", 0, 1)
        place.copy(unsettled)
        os.truncate(place.path(suffix), length // 2)
        judge(f"{suffix} cut in half", 0, 1)
        place.copy(unsettled)
        os.remove(place.path(suffix))
        judge(f"{suffix} removed", 0, 1)

    # A file that is damaged while it is in use: a worker that is running must not stumble either.
    place.copy(good)
    worker = Worker(place.url, place.folder, env={"REMBED_CACHE_BYTES": "0"})
    worker.do(how="batch", texts=old[:5])
    spoil(place.path(), PAGE)
    warnings = []
    for how in ["batch", "one", "rows"]:
        answer = worker.do(how=how, texts=place.texts)
        place.right(checks, f"damaged in use, {how}", answer)
        warnings.append(answer["stats"]["c"].get("warning"))
    checks.that(f"damaged in use: {warnings}", warnings[0] and len(set(warnings)) == 1)
    checks.same("damaged in use: stderr", worker.end(), "")


def a_damaged_vector_is_kept_anew(checks, fake, work):
    place = Place(fake, work, numbered(50))
    place.ask()
    with contextlib.closing(sqlite3.connect(place.path())) as db, db:
        db.execute("UPDATE vectors SET vector = randomblob(length(vector))")
    place.sent()
    place.right(checks, "damaged vectors", place.ask())
    checks.same("damaged vectors: sent", place.sent(), 50)
    place.right(checks, "damaged vectors, second", place.ask())
    checks.same("damaged vectors: sent by the second process", place.sent(), 0)


def folders_that_cannot_be_written(checks, fake, work):
    # The work folder belongs to who runs this, and root may write everywhere: the worker is nobody.
    os.chmod(work, 0o755)
    user = {"user": NOBODY} if os.geteuid() == 0 else {}

    def judge(what, folder, place, least=1):
        worker = Worker(place.url, folder)
        worker.do(how="limit", **user)
        warnings = []
        for how in ["batch", "one"]:
            answer = worker.do(how=how, texts=place.texts)
            place.right(checks, what, answer)
            warnings.append(answer["warnings"])
        checks.same(f"{what}: warnings", warnings, [least, least])
        checks.same(f"{what}: stderr", worker.end(), "")

    place = Place(fake, work, numbered(300))
    os.chmod(place.folder, 0o555)
    judge("a read-only folder", place.folder, place)
    judge("a folder that cannot be made", os.path.join(place.folder, "sub"), place)
    os.chmod(place.folder, 0o755)
    for settled in [False, True]:
        place = Place(fake, work, numbered(300))
        place.ask(place.texts[:100])
        if settled:
            place.settle()
        os.chmod(place.folder, 0o555)
        for name in os.listdir(place.folder):
            os.chmod(os.path.join(place.folder, name), 0o444)
        judge(f"a read-only cache, settled: {settled}", place.folder, place)
        os.chmod(place.folder, 0o755)
    place = Place(fake, work, numbered(100))
    judge("a file where the folder should be", "/dev/null", place)
    judge("a folder below a file", "/dev/null/x", place)


def modes(folder):
    """The rights of the folder and of each file in it."""
    names = ["", *sorted(os.listdir(folder))]
    return {name: oct(os.stat(os.path.join(folder, name)).st_mode & 0o777) for name in names}


def nobody_else_may_read(checks, fake, work):
    private = {"": "0o700", **{FILE + end: "0o600" for end in ["", "-shm", "-wal"]}}
    for umask in [0, 0o022, 0o077, 0o277, 0o777]:
        place = Place(fake, work, numbered(100))
        place.folder = os.path.join(place.folder, "made")
        worker = Worker(place.url, place.folder, umask=umask)
        place.right(checks, f"umask {umask:o}", worker.do(how="batch", texts=place.texts))
        checks.same(f"umask {umask:o}: rights", modes(place.folder), private)
        worker.end()
        place.sent()
        place.right(checks, f"umask {umask:o}, again", place.ask(umask=umask))
        checks.same(f"umask {umask:o}, again: sent", place.sent(), 0)
        checks.same(f"umask {umask:o}, again: rights", {*modes(place.folder).values()}, {"0o700", "0o600"})

    # A journal, which SQLite writes where it does not know WAL yet.
    place = Place(fake, work, numbered(100))
    with contextlib.closing(sqlite3.connect(place.path())) as db:
        db.execute("PRAGMA journal_mode = PERSIST")
        db.execute("CREATE TABLE other(x)")
        db.commit()
    for name in os.listdir(place.folder):
        os.chmod(place.path(name[len(FILE) :]), 0o666)
    os.chmod(place.folder, 0o755)
    worker = Worker(place.url, place.folder, umask=0)
    place.right(checks, "wide rights", worker.do(how="batch", texts=place.texts))
    checks.same("wide rights: tightened", {*modes(place.folder).values()}, {"0o700", "0o600"})
    worker.end()


def no_text_and_no_key(checks, fake, work):
    texts, key = ["a text that must not be kept", *numbered(20)], "sk-0123456789abcdef"
    place = Place(fake, work, texts)
    worker = Worker(place.url, place.folder, key=key)
    place.right(checks, "with a key", worker.do(how="batch", texts=texts))
    kept = b""
    for name in os.listdir(place.folder):
        with open(os.path.join(place.folder, name), "rb") as file:
            kept += file.read()
    vectors = [bytes.fromhex(vector) for vector in place.truth.values()]
    checks.that("the vectors are there", all(vector in kept for vector in vectors))
    checks.same("what is there besides", [t for t in [*texts, key] if t.encode() in kept], [])
    worker.end()


def nothing_in_its_place(checks, fake, work):
    """A link, another's folder, or one that others use: refused with the reason, and left as it is."""

    def judge(what, why, prepare):
        place = Place(fake, work, numbered(50))
        outside = tempfile.mkdtemp(dir=work)
        victim = os.path.join(outside, "victim")
        with open(victim, "w") as file:
            file.write("precious")
        folder = prepare(place, outside, victim) or place.folder
        before = modes(outside), os.listdir(folder)
        answer = ask(place.url, folder, place.texts)
        place.right(checks, what, answer)
        warning = answer["stats"]["c"].get("warning")
        checks.that(f"{what}: {warning}", warning is not None and why in warning)
        checks.same(f"{what}: left as it was", (modes(outside), os.listdir(folder)), before)
        with open(victim) as file:
            checks.same(f"{what}: victim", file.read(), "precious")

    def linked_folder(end):
        def prepare(place, outside, victim):
            os.remove(victim)
            os.symlink(outside, place.folder + "-link")
            with open(victim, "w") as file:
                file.write("precious")
            return place.folder + "-link" + end

        return prepare

    def link(suffix, make):
        def prepare(place, outside, victim):
            if suffix:
                place.ask()
                place.settle()
            make(victim, place.path(suffix))

        return prepare

    def shared(place, outside, victim):
        with open(os.path.join(place.folder, "notes.txt"), "w"):
            os.chmod(place.folder, 0o755)

    for end in ["", "/", "/."]:
        judge(f"a linked folder, {end!r}", "symbolic link", linked_folder(end))
    for suffix in ["", "-wal", "-shm", "-journal"]:
        judge(f"a linked file, {suffix!r}", "symbolic link", link(suffix, os.symlink))
        judge(f"a hard link, {suffix!r}", "hard link", link(suffix, os.link))
        judge(f"a pipe, {suffix!r}", "no file", link(suffix, lambda victim, path: os.mkfifo(path)))
    judge("a folder with other files", "holds other files", shared)
    if os.geteuid() == 0:

        def their_folder(place, outside, victim):
            os.chown(place.folder, NOBODY, NOBODY)

        def their_file(place, outside, victim):
            with open(place.path(), "w"):
                os.chown(place.path(), NOBODY, NOBODY)

        judge("another's folder", "belongs to another user", their_folder)
        judge("another's file", "belongs to another user", their_file)


def full_disk(checks, fake, work):
    def judge(what, place, worker):
        warnings = []
        for start in range(0, len(place.texts), 500):
            part = place.texts[start : start + 500]
            answer = worker.do(how="batch", texts=part)
            place.right(checks, what, answer, part)
            warnings.append(answer["warnings"])
        checks.same(f"{what}: warnings in the end", warnings[-1], 1)
        checks.that(f"{what}: warnings {warnings}", sorted(warnings) == warnings)
        checks.same(f"{what}: stderr", worker.end(), "")
        # What there is stays readable for the next process.
        answer = place.ask()
        place.right(checks, f"{what}, second process", answer)
        checks.same(f"{what}: integrity", place.whole(), "ok")

    for size in [10_000, 100_000, 1_000_000]:
        place = Place(fake, work, numbered(2000))
        worker = Worker(place.url, place.folder)
        worker.do(how="limit", bytes=size)
        judge(f"files of at most {size} bytes", place, worker)
    if os.geteuid() != 0:
        print("  skipped: a full file system (needs root)")
        return
    for kib in [16, 64, 256, 1024, 2048]:
        place = Place(fake, work, numbered(2000))
        with file_system(place.folder, kib) as mounted:
            if not mounted:
                print("  skipped: a full file system (cannot mount)")
                return
            judge(f"a file system of {kib} KiB", place, Worker(place.url, place.folder))

    # A disk that others fill. The cache is not given away for vectors that cannot be kept either.
    place = Place(fake, work, numbered(2000))
    old, new = place.texts[:1000], place.texts[1000:]
    with file_system(place.folder, 8192):
        place.ask(old)
        place.settle()
        # One that is running, and so keeps its WAL; the rest of the disk goes to somebody else.
        worker = Worker(place.url, place.folder, env={"REMBED_CACHE_BYTES": "0"})
        worker.do(how="batch", texts=new[:100])
        with contextlib.suppress(OSError), open(os.path.join(place.folder, "others"), "wb", 0) as file:
            while True:
                file.write(bytes(4096))
        for start in range(100, 1000, 20):
            part = new[start : start + 20]
            answer = worker.do(how="batch", texts=part)
            place.right(checks, "a disk that fills", answer, part)
        checks.same("a disk that fills: warnings", answer["warnings"], 1)
        checks.same("a disk that fills: stderr", worker.end(), "")
        place.sent()
        os.remove(os.path.join(place.folder, "others"))
        place.right(checks, "a disk that has room again", place.ask(old), old)
        checks.same("a disk that has room again: sent", place.sent(), 0)
        checks.same("a disk that has room again: integrity", place.whole(), "ok")


@contextlib.contextmanager
def file_system(folder, kib):
    """A small file system at `folder`; yields whether there is one."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=755", "tmpfs", folder]
    mounted = subprocess.run(mount, stderr=subprocess.DEVNULL).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            # Lazily: a worker that a failure left behind may still use it.
            subprocess.run(["umount", "-l", folder], check=True)


SMALL = 8 << 20


def size(folder):
    """The bytes of all files in the folder."""
    total = 0
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            total += os.path.getsize(os.path.join(folder, name))
    return total


def bound(checks, fake, work):
    """Five times as many vectors as there is room for, by two processes that write and one that reads all the time."""
    place = Place(fake, work, numbered(32000))
    bare = {"REMBED_CACHE_BYTES": "0", "REMBED_CACHE_DISK_BYTES": str(SMALL)}
    parts = [place.texts[:16000], place.texts[16000:]]
    reader, *writers = [Worker(place.url, place.folder, env=bare) for _ in range(3)]
    recent = place.texts[:300]
    reader.do(how="watch", texts=recent, truth=[place.truth[text] for text in recent])
    for writer, part in zip(writers, parts):
        writer.send(how="batch", texts=part)
    most = 0
    while any(not select.select([writer.process.stdout], [], [], 0)[0] for writer in writers):
        most = max(most, size(place.folder))
        time.sleep(0.005)
    for writer, part in zip(writers, parts):
        answer = writer.receive()
        place.right(checks, "at the bound", answer, part)
        checks.same("at the bound: warning", answer["stats"]["c"].get("warning"), None)
    reader.send(how="sql", sql="SELECT 1")
    seen = reader.receive()
    reader.receive()
    checks.same("at the bound, reader", (seen["errors"], seen["wrong"]), ([], []))
    checks.that(f"at the bound: {most} bytes in all", SMALL * 0.6 < most <= SMALL)
    for writer in writers:
        writer.end()
    # Emptied, it is small, and has not grown for that.
    watched = size(place.folder)
    cleared = clear(reader, "'disk'")
    checks.that(f"emptied: {cleared}", (cleared["value"] or 0) > 1000)
    after = size(place.folder)
    checks.that(f"emptied: {after} of {watched} bytes", after < SMALL / 10)
    reader.end()
    checks.same("at the bound: integrity", place.whole(), "ok")


def a_scan_finds_what_there_is(checks, fake, work):
    """The same texts over and over in the same order, 1.4 times as many as there is room for."""
    place = Place(fake, work, numbered(6000))
    bare = {"REMBED_CACHE_BYTES": "0", "REMBED_CACHE_DISK_BYTES": str(SMALL)}
    worker = Worker(place.url, place.folder, env=bare)
    worker.do(how="batch", texts=place.texts)
    for i in range(3):
        place.sent()
        place.right(checks, f"scan {i}", worker.do(how="batch", texts=place.texts))
        found = 6000 - place.sent()
        checks.that(f"scan {i}: {found} of 6,000 found", found > 1500)
        print(f"  {found} of 6,000 found")
    worker.end()


def a_smaller_bound_than_before(checks, fake, work):
    place = Place(fake, work, numbered(8000))
    place.ask(place.texts[:6000], env={"REMBED_CACHE_DISK_BYTES": str(2 * SMALL)})
    before = size(place.folder)
    checks.that(f"a larger bound: {before} bytes", before > SMALL / 2)
    small = {"REMBED_CACHE_DISK_BYTES": str(SMALL // 4)}
    place.right(checks, "a smaller bound", place.ask(place.texts[6000:], env=small), place.texts[6000:])
    place.settle()
    after = size(place.folder)
    checks.that(f"a smaller bound: {after} bytes after {before}", after <= SMALL / 4)
    answer = place.ask(env={"REMBED_CACHE_DISK_BYTES": "1000"})
    place.right(checks, "a bound of nearly nothing", answer)
    warning = answer["stats"]["c"].get("warning") or ""
    checks.that(f"a bound of nearly nothing: {warning}", "REMBED_CACHE_DISK_BYTES is 1000" in warning)


def forks(checks, fake, work):
    place = Place(fake, work, numbered(900))
    for i in range(5):
        worker = Worker(place.url, place.folder)
        worker.do(how="batch", texts=place.texts[:100])
        mine, theirs = place.texts[:500], place.texts[300:]
        answer = worker.do(how="fork", texts=mine, child=theirs)
        place.right(checks, f"fork {i}, parent", answer["mine"], mine)
        place.right(checks, f"fork {i}, child", answer["theirs"], theirs)
        worker.end()
    answer = place.ask()
    place.right(checks, "after forks", answer)
    checks.same("after forks: integrity", place.whole(), "ok")


def main():
    checks = Checks()
    fake = Fake()
    work = tempfile.mkdtemp(prefix="rembed-cache-")
    chosen = sys.argv[1:]
    try:
        for test in [
            survives_the_process,
            other_options_are_other_vectors,
            clearing,
            clearing_by_a_process_that_has_not_used_it,
            clearing_leaves_what_others_paid_for,
            clearing_that_fails_says_so,
            what_others_hold_is_a_miss,
            an_interrupt_ends_the_wait,
            prefetching_without_memory,
            what_was_prefetched_is_ready,
            several_processes_at_once,
            a_file_that_another_process_is_making,
            kills,
            damage,
            a_damaged_vector_is_kept_anew,
            folders_that_cannot_be_written,
            nobody_else_may_read,
            no_text_and_no_key,
            nothing_in_its_place,
            full_disk,
            bound,
            a_scan_finds_what_there_is,
            a_smaller_bound_than_before,
            forks,
        ]:
            if not chosen or test.__name__ in chosen:
                start, failed = time.monotonic(), checks.failed
                checks.run(test, fake, work)
                took = time.monotonic() - start
                outcome = "ok" if checks.failed == failed else "FAILED"
                print(f"{test.__name__}: {outcome}, {took:.1f} s", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return checks.failed > 0


if __name__ == "__main__":
    sys.exit(main())
