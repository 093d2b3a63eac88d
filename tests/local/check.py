"""Format `local` from SQL, with a real model. run.sh is the way to start it.

REMBED_LIB  the extension, built with the feature local
"""

import base64
import json
import math
import multiprocessing
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pysqlite3 as sqlite3

ROOT = Path(__file__).resolve().parents[2]
LIB = os.environ["REMBED_LIB"]
MODEL = ROOT / "target/local/model"
REFERENCE = json.loads((ROOT / "tests/local/reference.json").read_text(encoding="utf-8"))
LONG = next(row["text"] for row in REFERENCE if len(row["text"]) > 5000)


def connect(**options):
    db = sqlite3.connect(":memory:", check_same_thread=False)
    db.enable_load_extension(True)
    db.load_extension(LIB)
    register(db, "mini", model=str(MODEL), **options)
    return db


def register(db, name, **options):
    pairs = [part for pair in {"format": "local", **options}.items() for part in pair]
    db.execute(f"SELECT rembed_register(?, {', '.join('?' * len(pairs))})", [name, *pairs])


def value(db, sql, *parameters):
    (result,) = db.execute(sql, parameters).fetchone()
    return result


def vector(blob):
    return struct.unpack(f"<{len(blob) // 4}f", blob)


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def error_of(work):
    try:
        work()
    except sqlite3.Error as error:
        return str(error)
    raise AssertionError("expected an error")


def test_vectors_are_the_original_models():
    db = connect(truncate=True)
    rows = json.dumps([row["text"] for row in REFERENCE])
    lowest = 1
    for key, blob in db.execute("SELECT key, embedding FROM rembed_batch('mini', ?)", [rows]):
        expected = struct.unpack("<384e", base64.b64decode(REFERENCE[key]["embedding"]))
        near = cosine(vector(blob), expected)
        assert near >= 0.99, (near, REFERENCE[key]["text"])
        assert abs(math.hypot(*vector(blob)) - 1) < 1e-5
        lowest = min(lowest, near)
    stats = json.loads(value(db, "SELECT rembed_stats()"))["mini"]
    assert stats["tokens"] == sum(row["tokens"] for row in REFERENCE), stats
    assert stats["texts"] == 50 and stats["errors"] == 0, stats
    print(f"     50 texts, the lowest cosine is {lowest:.4f}")


def test_one_at_a_time_is_the_same():
    db = connect(cache="off")
    for row in REFERENCE[:40:5]:
        single = vector(value(db, "SELECT rembed('mini', ?)", row["text"]))
        batch = json.dumps([row["text"], "another", LONG[:500]])
        many = vector(value(db, "SELECT embedding FROM rembed_batch('mini', ?) LIMIT 1", batch))
        assert cosine(single, many) > 0.99999, row["text"]


def test_meaning_is_found():
    db = connect()
    texts = json.dumps(["Madonna has her first child", "Pope rests after surgery", "Volcano buries studio"])
    ask = vector(value(db, "SELECT rembed('mini', 'pop star gives birth', 'query')"))
    found = db.execute("SELECT text, embedding FROM rembed_batch('mini', ?)", [texts]).fetchall()
    assert max(found, key=lambda row: cosine(ask, vector(row[1])))[0].startswith("Madonna")


def test_a_long_text_is_an_error_of_its_row():
    db = connect()
    message = error_of(lambda: value(db, "SELECT rembed('mini', ?)", LONG))
    print(f"     {message}")
    assert "client 'mini' (local)" in message and "takes 256 tokens" in message and "truncate" in message
    rows = db.execute("SELECT embedding IS NULL, error FROM rembed_batch('mini', ?)", [json.dumps(["a", LONG, "b"])])
    (a, good), (b, bad), (c, also) = rows.fetchall()
    assert (a, good, b, c, also) == (0, None, 1, 0, None) and "takes 256 tokens" in bad


def test_dimensions_are_cut():
    db = connect()
    register(db, "small", model=str(MODEL), dimensions=64)
    whole = vector(value(db, "SELECT rembed('mini', 'x')"))
    small = vector(value(db, "SELECT rembed('small', 'x')"))
    assert len(small) == 64 and abs(math.hypot(*small) - 1) < 1e-5 and cosine(small, whole[:64]) > 0.9999


def test_prefixes_are_part_of_the_text():
    db = connect(query_prefix="query: ", document_prefix="passage: ")
    register(db, "plain", model=str(MODEL))
    for input_type, prefix in [("query", "query: "), ("document", "passage: "), (None, "passage: ")]:
        ours = value(db, "SELECT rembed('mini', 'cats', ?)", input_type)
        assert ours == value(db, "SELECT rembed('plain', ?)", prefix + "cats"), input_type
    assert value(db, "SELECT rembed('mini', 'cats', 'query')") != value(db, "SELECT rembed('plain', 'cats', 'query')")


def test_the_cache_knows_the_model_by_what_it_is():
    db = connect()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(MODEL, Path(folder) / "copy")
        register(db, "copy", model=str(Path(folder) / "copy"))
        register(db, "cut", model=str(MODEL), dimensions=8)
        text = "the same model by another path"
        value(db, "SELECT rembed('mini', ?)", text)
        value(db, "SELECT rembed('copy', ?)", text)
        value(db, "SELECT rembed('cut', ?)", text)
        stats = json.loads(value(db, "SELECT rembed_stats()"))
        assert [stats[name]["cache_hits"] for name in ("mini", "copy", "cut")] == [0, 1, 0], stats


def test_the_client_is_shown_and_changed():
    db = connect()
    row = db.execute("SELECT format, model, url, key, options FROM temp.rembed_clients WHERE name = 'mini'").fetchone()
    assert row == ("local", str(MODEL.resolve()), None, None, "{}"), row
    db.execute("UPDATE temp.rembed_clients SET name = 'renamed' WHERE name = 'mini'")
    assert len(value(db, "SELECT rembed('renamed', 'x')")) == 384 * 4
    message = error_of(lambda: db.execute("UPDATE temp.rembed_clients SET url = 'http://h' WHERE name = 'renamed'"))
    assert "'url' means nothing" in message, message
    assert "local" in value(db, "SELECT rembed_debug()")


def test_the_model_beside_the_library():
    db = connect()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "rembed0.so"
        shutil.copy(LIB, library)
        script = f"""
import pysqlite3 as sqlite3
db = sqlite3.connect(":memory:")
db.enable_load_extension(True)
db.load_extension({str(library)!r})
try:
    db.execute("SELECT rembed_register('local', 'format', 'local')").fetchone()
    print(db.execute("SELECT length(rembed('local', 'x'))").fetchone()[0])
    db.execute("INSERT OR REPLACE INTO temp.rembed_clients(name, options) VALUES ('local', 'local')")
    db.execute("UPDATE temp.rembed_clients SET name = 'other'")
    print(db.execute("SELECT length(rembed('other', 'x'))").fetchone()[0])
except sqlite3.Error as error:
    print(error)
"""
        run = lambda: subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        said = run()
        assert "no model lies beside the library" in said and f"{folder}/rembed-model" in said, said
        (Path(folder) / "rembed-model").symlink_to(MODEL)
        assert run().split() == ["1536", "1536"]


def test_broken_files_are_named():
    for file, change in [
        ("model.onnx", lambda content: content[: len(content) // 2]),
        ("model.onnx", lambda content: content[:-1]),
        ("model.onnx", lambda content: b"root:x:0:0:SECRET"),
        ("model.onnx", lambda content: b""),
        ("tokenizer.json", lambda content: content[: len(content) // 2]),
        ("tokenizer.json", lambda content: b'{"SECRET": 1}'),
        # A token that the model beside it does not have.
        ("tokenizer.json", lambda content: content.replace(b'"[MASK]": 103', b'"[MASK]": 40000').replace(b'"[MASK]":103', b'"[MASK]":40000')),
        ("1_Pooling/config.json", lambda content: b"SECRET"),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "model"
            shutil.copytree(MODEL, model)
            before = (model / file).read_bytes()
            after = change(before)
            assert after != before
            (model / file).write_bytes(after)
            db = connect()

            def use():
                register(db, "broken", model=str(model))
                value(db, "SELECT rembed('broken', 'x')")

            message = error_of(use)
            print(f"     {message[:160]}")
            assert str(model.resolve() / file) in message and "SECRET" not in message, message
            assert len(value(db, "SELECT rembed('mini', 'x')")) == 384 * 4


def test_damaged_models_never_end_the_process():
    whole = (MODEL / "model.onnx").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        shutil.copytree(MODEL, model)
        db = connect()
        refused = 0
        for i in range(60):
            damaged = bytearray(whole)
            # The graph's nodes stand at the beginning; each time other bytes of it.
            for k in range(1 + i % 4):
                damaged[(i * 7919 + k * 104729) % 60000] ^= 1 << ((i + k) % 8)
            (model / "model.onnx").write_bytes(damaged)
            try:
                register(db, "damaged", model=str(model), cache="off")
                value(db, "SELECT rembed('damaged', 'one two three')")
            except sqlite3.Error as error:
                assert str(model.resolve()) in str(error) or "the model" in str(error), error
                refused += 1
        print(f"     {refused} of 60 were refused")


def interrupted_after(db, seconds, sql, *parameters):
    timer = threading.Timer(seconds, db.interrupt)
    timer.start()
    try:
        db.execute(sql, parameters).fetchall()
    except sqlite3.OperationalError as error:
        took = time.monotonic() - started
        assert "interrupt" in str(error), error
        return took
    finally:
        timer.join()
    raise AssertionError("it was done before it was interrupted")


def test_an_interrupt_ends_it_while_it_computes():
    global started
    db = connect(truncate=True, cache="off")
    value(db, "SELECT rembed('mini', 'loaded')")
    many = json.dumps([f"{i} {LONG}" for i in range(64)])
    started = time.monotonic() + 0.5
    took = interrupted_after(db, 0.5, "SELECT count(embedding) FROM rembed_batch('mini', ?)", many)
    print(f"     {took * 1000:.0f} ms after the interrupt")
    assert took < 0.2, took
    assert len(value(db, "SELECT rembed('mini', 'and goes on')")) == 384 * 4


def test_the_timeout_holds():
    db = connect(truncate=True, cache="off", timeout=0.3, batch_tokens=1_000_000)
    many = json.dumps([f"{i} {LONG}" for i in range(64)])
    start = time.monotonic()
    message = error_of(lambda: db.execute("SELECT count(embedding) FROM rembed_batch('mini', ?)", [many]).fetchall())
    assert "option timeout" in message and time.monotonic() - start < 5, message


def test_connections_and_threads_share_one_model():
    before = memory()
    clients = [connect(cache="off") for _ in range(8)]
    first = [None] * len(clients)

    def work(i):
        first[i] = value(clients[i], "SELECT rembed('mini', 'shared')")

    threads = [threading.Thread(target=work, args=[i]) for i in range(len(clients))]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(set(first)) == 1 and first[0]
    assert memory() - before < 60_000, (before, memory())


def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def in_child(pipe):
    db = connect(cache="off")
    pipe.send(value(db, "SELECT rembed('mini', 'in the child')"))
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(MODEL, Path(folder) / "copy")
        register(db, "copy", model=str(Path(folder) / "copy"))
        pipe.send(error_of(lambda: value(db, "SELECT rembed('copy', 'x')")))


def test_a_forked_child_computes_too():
    parent = value(connect(cache="off"), "SELECT rembed('mini', 'in the child')")
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    child = fork.Process(target=in_child, args=[theirs])
    child.start()
    assert ours.poll(60), "the child hangs"
    assert ours.recv() == parent
    assert ours.poll(10) and "fork" in ours.recv()
    child.join(10)
    assert child.exitcode == 0


def main(names):
    tests = [test for name, test in names.items() if name.startswith("test_")]
    failed = 0
    for test in tests:
        name = test.__name__.removeprefix("test_")
        start = time.monotonic()
        try:
            test()
            print(f"ok   {name} ({time.monotonic() - start:.1f} s)")
        except Exception as error:
            failed += 1
            print(f"FAIL {name}: {type(error).__name__}: {error}")
        sys.stdout.flush()
    print(f"peak memory of this process: {memory() // 1024} MB")
    print(f"{len(tests) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main(globals()))
