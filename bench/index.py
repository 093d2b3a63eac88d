"""A search of rembed_index beside sqlite-vec's vec0 on the same file system, and how it grows from 100,000 to 1,000,000 chunks.

usage: bench/index.py [--short], with a Python whose sqlite3 loads extensions, numpy and sqlite-vec (bench/index-requirements.txt).
REMBED_LIB is the library, by default target/release/libsqlite_rembed.so. The tables of the index are filled directly, as a sync of
the same vectors would leave them. Questions are embedded before they are timed.
"""

import contextlib
import http.server
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
LIB = os.environ.get("REMBED_LIB", os.path.join(ROOT, "target/release/libsqlite_rembed.so"))
SHORT = "--short" in sys.argv[1:]
WIDTH, K, QUESTIONS, PLACES, VOCABULARY = 384, 10, 40, 1024, 20_000
SMALL, LARGE = (10_000, 50_000) if SHORT else (100_000, 1_000_000)
STEP = 25 * PLACES
MMAP = 1 << 30
VEC0 = f"SELECT rowid, distance FROM vec WHERE embedding MATCH ? AND k = {K}"


class Data:
    """Vectors around centres, as embeddings of texts of some subjects are."""

    def __init__(self, rows):
        self.rows, self.centres = rows, np.random.default_rng(1).normal(size=(rows // 200, WIDTH)).astype(np.float32)
        self.questions = self.near(np.random.default_rng(2), np.arange(QUESTIONS))

    def near(self, random, ids):
        noise = random.normal(size=(len(ids), WIDTH)).astype(np.float32)
        return self.centres[ids % len(self.centres)] + noise * np.float32(0.7)

    def steps(self):
        for first in range(0, self.rows, STEP):
            ids = np.arange(first, min(first + STEP, self.rows))
            yield ids + 1, self.near(np.random.default_rng(first + 3), ids)


def find(mode, per_chunk=0):
    return f"SELECT rowid, distance FROM docs_index(?) WHERE mode = '{mode}' AND per_chunk = {per_chunk} LIMIT {K}"


def connect(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(LIB)
    return db


@contextlib.contextmanager
def provider(questions):
    """A server whose vector of the text `question N …` is that of the question."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
            vectors = [questions[int(text.split()[1])].tolist() for text in texts]
            body = json.dumps({"embeddings": vectors}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def register(db, url):
    db.execute("SELECT rembed_register('c', 'format', 'ollama', 'model', 'm', 'url', ?)", (url,))


def segment(ids, vectors):
    place = np.dtype([("id", "<i8"), ("row", "<i8"), ("factor", "<f4"), ("zeros", "<u4"), ("numbers", "i1", WIDTH)])
    places = np.zeros(len(ids), place)
    scale = np.abs(vectors).max(axis=1) / 127
    places["id"] = places["row"] = ids
    places["factor"] = scale / np.linalg.norm(vectors, axis=1)
    places["numbers"] = np.rint(vectors / scale[:, None])
    return b"rsg1" + np.array([WIDTH, len(ids), 0], "<u4").tobytes() + places.tobytes()


def words(seed, count):
    """Words as often as they are in texts (Zipf): the first is in more than half of them."""
    random = np.random.default_rng(seed).random(count)
    return " ".join(f"w{int(rank)}" for rank in VOCABULARY ** random)


def fill(path, url, data):
    """Makes an index of the data, and a table of vec0."""
    db = connect(path)
    register(db, url)
    db.executescript("""
        PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
        CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT);
        INSERT INTO docs VALUES (1, 'question 0');
        CREATE VIRTUAL TABLE docs_index USING rembed_index(client = 'c', content = 'docs', columns = 'body');
    """)
    # The settings that go with the first vector.
    db.execute("SELECT rembed_sync('docs_index')")
    db.executescript("BEGIN; DELETE FROM docs; DELETE FROM docs_index_chunks; DELETE FROM docs_index_vectors; "
                     "DELETE FROM docs_index_segments; DELETE FROM docs_index_rows; DELETE FROM docs_index_words_docsize;")
    number = 0
    for ids, vectors in data.steps():
        rows = [(int(i), words(int(i), 12)) for i in ids]
        db.executemany("INSERT INTO docs VALUES (?, ?)", rows)
        db.executemany("INSERT INTO docs_index_rows VALUES (?, zeroblob(16))", [row[:1] for row in rows])
        chunks = ((i, i, len(body), b"%016d" % i, body) for i, body in rows)
        db.executemany("INSERT INTO docs_index_chunks VALUES (?, ?, 0, 0, ?, ?, ?)", chunks)
        for first in range(0, len(ids), PLACES):
            part, its = ids[first:first + PLACES], vectors[first:first + PLACES]
            number += 1
            db.execute("INSERT INTO docs_index_segments VALUES (?, 1, ?, ?)", (number, len(part), segment(part, its)))
            blobs = ((int(i), int(i), b"%016d" % i, number, place, vector.tobytes())
                     for place, (i, vector) in enumerate(zip(part, its)))
            db.executemany("INSERT INTO docs_index_vectors VALUES (?, 1, ?, ?, ?, ?, ?)", blobs)
    db.execute("INSERT INTO docs_index_words(docs_index_words) VALUES ('delete-all')")
    db.execute("INSERT INTO docs_index_words(rowid, chunk) SELECT id, chunk FROM docs_index_chunks")
    db.execute("DELETE FROM docs_index_marks")
    db.execute("COMMIT")
    db.close()


def fill_vec0(path, data):
    import sqlite_vec

    db = connect(path)
    sqlite_vec.load(db)
    db.execute(f"CREATE VIRTUAL TABLE vec USING vec0(embedding float[{WIDTH}] distance_metric=cosine)")
    db.execute("BEGIN")
    for ids, vectors in data.steps():
        rows = ((int(i), vector.tobytes()) for i, vector in zip(ids, vectors))
        db.executemany("INSERT INTO vec(rowid, embedding) VALUES (?, ?)", rows)
    db.execute("COMMIT")
    return db


def truth(questions, steps):
    """The ids of the K nearest of each question, by numpy. A step is ids and their vectors."""
    best = [[] for _ in questions]
    asked = questions / np.linalg.norm(questions, axis=1)[:, None]
    for ids, vectors in steps:
        cosines = asked @ (vectors / np.linalg.norm(vectors, axis=1)[:, None]).T
        for question, of_all in enumerate(cosines):
            near = np.argpartition(-of_all, K)[:K]
            best[question] = sorted(best[question] + [(-of_all[i], int(ids[i])) for i in near])[:K]
    return [{i for _, i in of_one} for of_one in best]


def timed(db, sql, arguments):
    """The median of a search in ms, and what each found."""
    times, found = [], []
    for argument in arguments:
        start = time.perf_counter()
        found.append([row[0] for row in db.execute(sql, (argument,))])
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2] * 1000, found


def memory(what):
    """VmRSS is what the process has now, VmHWM the most that it had since forget_peak()."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(what)) / 1024


def forget_peak():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def search(path, rows, mmap):
    """In a process of its own: times, what was found, and the memory that the searches took."""
    data = Data(rows)
    with provider(data.questions) as url:
        db = connect(path)
        register(db, url)
        db.execute(f"PRAGMA mmap_size = {mmap}")
        questions = [f"question {i} w1 {words(2**40 + i, 5)}" for i in range(QUESTIONS)]
        db.execute("SELECT rembed_prefetch('c', ?, 'query')", (json.dumps(questions),))
        db.execute("SELECT count(*) FROM docs").fetchall()
        forget_peak()
        before = memory("VmRSS")
        vector, found = timed(db, find("vector"), questions)
        hybrid, _ = timed(db, find("hybrid"), questions)
        print(json.dumps({"vector": vector, "hybrid": hybrid, "found": found, "memory": memory("VmHWM") - before}))


def measured(path, rows, mmap=0):
    command = [sys.executable, __file__, "--search", path, str(rows), str(mmap)] + ["--short"] * SHORT
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def recall(found, true):
    return sum(len(set(rows) & near) for rows, near in zip(found, true)) / (K * len(true))


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        results = {}
        for rows in (SMALL, LARGE):
            data, path = Data(rows), os.path.join(folder, f"{rows}.db")
            with provider(data.questions) as url:
                fill(path, url, data)
            results[rows] = measured(path, rows)
            near = truth(data.questions, data.steps())
            shown = {name: round(results[rows][name], 1) for name in ("vector", "hybrid", "memory")}
            print(f"{rows} x {WIDTH}: by meaning {shown['vector']} ms, hybrid {shown['hybrid']} ms, recall@{K} "
                  f"{recall(results[rows]['found'], near):.3f}, memory {shown['memory']} MiB", flush=True)
            if rows == SMALL:
                db = fill_vec0(os.path.join(folder, "vec0.db"), data)
                for mmap in (0, MMAP):
                    ours = measured(path, rows, mmap) if mmap else results[rows]
                    db.execute(f"PRAGMA mmap_size = {mmap}")
                    vec0, found = timed(db, VEC0, [vector.tobytes() for vector in data.questions])
                    how = f"with PRAGMA mmap_size = {mmap} on both, by meaning {ours['vector']:.1f} ms, " if mmap else ""
                    print(f"{rows} x {WIDTH}: {how}vec0 {vec0:.1f} ms, recall@{K} {recall(found, near):.3f}: "
                          f"{vec0 / ours['vector']:.1f} times as long", flush=True)
                db.close()
        growth = results[LARGE]["vector"] / results[SMALL]["vector"]
        more = results[LARGE]["memory"] - results[SMALL]["memory"]
        print(f"{LARGE // SMALL} times the rows: {growth:.1f} times as long, {more:.1f} MiB more")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--search"]:
        search(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
