"""The extension in Python's sqlite3 module: one line a test and, last, the counts."""

import json
import os
import pathlib
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/fake"))
from launch import Fake  # noqa: E402

LIB = os.environ.get("REMBED_LIB") or str(ROOT / "target/release/libsqlite_rembed.so")

TESTS = []


def test(function):
    TESTS.append(function)
    return function


class World:
    """A scenario of the fake provider."""

    def __init__(self, **settings):
        self.base = fake.scenario(**{"width": 4, **settings})
        self.url = self.base + "/v1"

    def log(self):
        return fake.report(self.base)["log"]


def connect(world=None, database=":memory:", options=None, **how):
    db = sqlite3.connect(database, **how)
    db.enable_load_extension(True)
    db.load_extension(LIB)
    db.enable_load_extension(False)
    if world:
        settings = {"format": "openai", "model": "m", "url": world.url, "cache": "off", **(options or {})}
        db.execute("SELECT rembed_register('c', ?)", [json.dumps(settings)])
    return db


def fails(db, sql, parameters=()):
    """The error of a statement that must fail."""
    try:
        db.execute(sql, parameters).fetchall()
    except sqlite3.Error as error:
        return error
    raise AssertionError(f"{sql} did not fail")


def one(db, sql, parameters=()):
    return db.execute(sql, parameters).fetchone()[0]


@test
def a_vector_is_bytes_that_struct_reads():
    vector = one(connect(World()), "SELECT rembed('c', 'a')")
    assert isinstance(vector, bytes)
    numbers = struct.unpack("<4f", vector)
    assert abs(sum(x * x for x in numbers) - 1) < 1e-5, numbers


@test
def python_values_arrive_as_their_text():
    world = World()
    db = connect(world)
    for value in ["Grüße ☕", "a\0b", 42, 1.5, True]:
        db.execute("SELECT rembed('c', ?)", [value]).fetchall()
    texts = [text for entry in world.log() for text in entry["texts"]]
    assert texts == ["Grüße ☕", "a\0b", "42", "1.5", "1"], texts
    assert one(db, "SELECT rembed('c', ?)", [None]) is None
    assert "BLOB" in str(fails(db, "SELECT rembed('c', ?)", [b"a"]))
    assert len(world.log()) == 5


@test
def errors_are_operational_or_integrity_errors():
    db = connect(World(faults=[{"status": 400}]))
    error = fails(db, "SELECT rembed('c', 'a')")
    assert isinstance(error, sqlite3.OperationalError), repr(error)
    assert "client 'c' (openai): HTTP 400" in str(error), error
    error = fails(db, "INSERT INTO temp.rembed_clients(name, format) VALUES ('c', 'openai')")
    assert isinstance(error, sqlite3.IntegrityError), repr(error)
    assert "UNIQUE constraint failed: rembed_clients.name" in str(error), error


@test
def the_clients_table_works_with_executemany_and_pythons_transactions():
    db = connect(World())
    rows = [("a", "openai"), ("b", "cohere")]
    db.executemany("INSERT INTO temp.rembed_clients(name, format) VALUES (?, ?)", rows)
    assert db.in_transaction
    db.rollback()
    assert [row[0] for row in db.execute("SELECT name FROM temp.rembed_clients ORDER BY name")] == ["a", "b", "c"]


@test
def registering_begins_no_transaction():
    db = connect(World())
    assert not db.in_transaction
    one(db, "SELECT rembed('c', 'a')")
    assert not db.in_transaction


@test
def a_read_only_file_takes_clients():
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "a.db")
        made = sqlite3.connect(path)
        made.execute("CREATE TABLE docs(text)")
        made.execute("INSERT INTO docs VALUES ('a')")
        made.commit()
        made.close()
        for mode in ["mode=ro", "immutable=1"]:
            db = connect(World(), f"file:{path}?{mode}", uri=True)
            assert len(one(db, "SELECT rembed('c', text) FROM docs")) == 16
            db.close()


@test
def a_check_of_an_index_that_fails_leaves_no_lock():
    damages = {
        "UPDATE docs SET body = 'x' WHERE id = 1": "no trigger has marked it",
        "UPDATE docs_index_chunks SET chunk = 'x' WHERE id = 1": "is not the one that was embedded",
        "UPDATE docs_index_words_data SET block = x'00000000' WHERE id > 10": "its words are damaged",
    }
    for damage, why in damages.items():
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "a.db")
            db = connect(World(), path, isolation_level=None)
            for statement in [
                "CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT)",
                "INSERT INTO docs(body) VALUES ('one'), ('two')",
                "CREATE VIRTUAL TABLE docs_index USING rembed_index(client = 'c', content = 'docs', columns = 'body')",
                "SELECT rembed_sync('docs_index')",
                damage,
                "DELETE FROM docs_index_marks",
            ]:
                db.execute(statement).fetchall()
            error = fails(db, "INSERT INTO docs_index(docs_index) VALUES ('integrity-check')")
            assert why in str(error), (damage, error)
            other = connect(None, path, isolation_level=None, timeout=0)
            other.execute("INSERT INTO docs(body) VALUES ('three')")
            other.close()
            db.close()


@test
def a_trigger_embeds_on_insert():
    db = connect(World())
    db.executescript(
        """CREATE TABLE docs(id INTEGER PRIMARY KEY, text, vector);
        CREATE TRIGGER t AFTER INSERT ON docs BEGIN
            UPDATE docs SET vector = rembed('c', NEW.text) WHERE id = NEW.id;
        END;"""
    )
    db.execute("INSERT INTO docs(text) VALUES ('a')")
    assert one(db, "SELECT vector FROM docs") == one(db, "SELECT rembed('c', 'a')")


def strangers(what):
    """The lines of strangers.txt, which says what they are."""
    for line in (ROOT / "tests/engines/strangers.txt").read_text().splitlines():
        if line.startswith(f"{what} : "):
            yield line.split(" : ")[1:]


@test
def no_schema_of_a_stranger_calls_what_is_the_users():
    world, tried = World(), 0
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "a.db")
        for name, schema, *statements in strangers("schema"):
            for (call,) in strangers("call"):
                if name == "DEFAULT" and "body" in call:
                    continue
                path.unlink(missing_ok=True)
                db = sqlite3.connect(path)
                db.executescript(f"PRAGMA synchronous = OFF; {schema}; INSERT INTO notes(body) VALUES ('a'); PRAGMA writable_schema = ON")
                db.execute(
                    "UPDATE sqlite_master SET sql = replace(sql, 'upper(''evil'')', ?) WHERE sql LIKE '%upper(%'",
                    [call.replace("URL", world.url)],
                )
                db.commit()
                db.close()
                for way, reads in [("C", False), ("C", True), ("SQL", False), ("SQL", True)]:
                    db = sqlite3.connect(path, isolation_level=None)
                    db.enable_load_extension(True)
                    if reads:
                        db.execute("SELECT body FROM notes").fetchall()
                    if way == "C":
                        db.load_extension(LIB)
                    else:
                        db.execute("SELECT load_extension(?)", [LIB]).fetchall()
                    one(db, "SELECT rembed_register('c', 'format', 'openai', 'key', 'k', 'url', ?)", [world.url])
                    for statement in statements:
                        text = str(fails(db, statement))
                        assert "unsafe use of" in text or "malformed database schema" in text, (name, call, way, text)
                    for statement in ["PRAGMA integrity_check", "SELECT body FROM notes"]:
                        try:
                            db.execute(statement).fetchall()
                        except sqlite3.Error:
                            pass
                    assert one(db, "SELECT rembed_unregister('evil')") == 0, (name, call, way)
                    assert one(db, "SELECT rembed_unregister('c')") == 1, (name, call, way)
                    db.close()
                    tried += 1
    assert tried >= 350, tried
    assert world.log() == []


@test
def a_correlated_subquery_sends_each_text_once_and_another_statement_sends_its_own():
    world = World()
    db = connect(world)
    db.execute("CREATE TABLE n AS SELECT value AS i FROM json_each('[0, 1, 0, 1, 0]')")
    db.execute("CREATE TABLE docs AS SELECT key AS id, value AS body FROM json_each('[\"a\", \"b\"]')")
    for inner in """rembed_batch('c', '["a", "b"]')""", "rembed_rows('c', 'SELECT id, body FROM docs')":
        before = len(world.log())
        sql = f"SELECT count((SELECT embedding FROM {inner} AS r WHERE r.key = n.i)) FROM n"
        assert one(db, sql) == 5
        assert len(world.log()) - before == 1, inner
    before = len(world.log())
    under_way = db.execute("""SELECT embedding FROM rembed_batch('c', '["a", "b"]')""")
    assert under_way.fetchone()
    assert one(db, """SELECT count(embedding) FROM rembed_batch('c', '["a"]')""") == 1
    assert len(world.log()) - before == 2
    under_way.close()


@test
def python_functions_and_ours_call_each_other():
    db = connect(World())
    db.create_function("shout", 1, str.upper)
    db.create_function("width", 1, lambda vector: len(vector) // 4)
    assert one(db, "SELECT width(rembed('c', shout('a')))") == 4


@test
def threads_with_connections_of_their_own_embed_at_once():
    world = World(latency_ms=200)
    results = []

    def embed(number):
        db = connect(world)
        results.append(len(one(db, "SELECT rembed('c', ?)", [str(number)])))
        db.close()

    threads = [threading.Thread(target=embed, args=[n]) for n in range(8)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [16] * 8, results
    assert time.monotonic() - start < 1.2, "the calls waited for each other"


@test
def other_threads_run_while_a_call_waits():
    world = World(faults=[{"text": "slow", "delay_ms": 500}])
    db = connect(world, check_same_thread=False)
    slow = threading.Thread(target=lambda: one(db, "SELECT rembed('c', 'slow')"))
    slow.start()
    while not world.log():
        pass
    assert slow.is_alive(), "Python's lock is free while the extension waits"
    slow.join()


@test
def a_call_ends_in_its_time_and_an_interrupt_does_no_harm():
    db = connect(World(faults=[{"hang": True}]), options={"timeout": 0.5}, check_same_thread=False)
    start = time.monotonic()
    timer = threading.Timer(0.1, db.interrupt)
    timer.start()
    assert isinstance(fails(db, "SELECT rembed('c', 'a')"), sqlite3.OperationalError)
    assert time.monotonic() - start < 3
    timer.join()
    assert one(db, "SELECT 1") == 1


@test
def a_connection_that_is_forgotten_is_closed():
    world = World()
    for _ in range(200):
        one(connect(world), "SELECT rembed('c', 'a')")


TENANT = {"cache": "memory", "headers": {"x-tenant": "env:REMBED_TENANT"}, "key": "env:REMBED_TENANT_KEY"}


def tenants(world):
    return [(entry["headers"]["x-tenant"], entry["headers"]["authorization"]) for entry in world.log()]


@test
def a_variable_that_changes_has_vectors_of_its_own():
    world = World()
    db = connect(world, options=TENANT)
    for tenant, key in [("a", "k"), ("b", "k"), ("a", "l"), ("a", "k"), ("b", "k")]:
        os.environ.update(REMBED_TENANT=tenant, REMBED_TENANT_KEY=key)
        assert len(one(db, "SELECT rembed('c', 'a text of each tenant')")) == 16
    assert tenants(world) == [("a", "Bearer k"), ("b", "Bearer k"), ("a", "Bearer l")], tenants(world)


@test
def a_statement_reads_its_tenant_once_and_keeps_what_is_true():
    world = World()
    db = connect(world, options=TENANT)
    db.create_function("tenant", 1, lambda tenant: os.environ.update(REMBED_TENANT=tenant) or tenant)
    os.environ.update(REMBED_TENANT="a", REMBED_TENANT_KEY="k")
    rows = "SELECT length(rembed('c', value)), tenant('b') FROM json_each('[\"one\",\"two\",\"one\"]')"
    assert db.execute(rows).fetchall() == [(16, "b")] * 3
    # The second text went as b, so that a does not have it, and b has it not under a's key.
    os.environ.update(REMBED_TENANT="a")
    for text in ["one", "two"]:
        one(db, "SELECT rembed('c', ?)", [text])
    seen = [(entry["texts"], entry["headers"]["x-tenant"]) for entry in world.log()]
    assert seen == [(["one"], "a"), (["two"], "b"), (["two"], "a")], seen


@test
def the_disk_cache_keeps_tenants_apart():
    world = World()
    program = f"""
import json, sqlite3
db = sqlite3.connect(":memory:")
db.enable_load_extension(True)
db.load_extension({LIB!r})
settings = {{"format": "openai", "model": "m", "url": {world.url!r}, **{TENANT!r}, "cache": "disk"}}
db.execute("SELECT rembed_register('c', ?)", [json.dumps(settings)])
assert len(db.execute("SELECT rembed('c', 'a text on disk')").fetchone()[0]) == 16
"""
    with tempfile.TemporaryDirectory() as folder:
        for tenant in ["a", "a", "b", "b", "a"]:
            variables = {"REMBED_TENANT": tenant, "REMBED_TENANT_KEY": "kkkk-secret", "REMBED_CACHE_DIR": folder}
            subprocess.run([sys.executable, "-c", program], env={**os.environ, **variables}, check=True)
        files = [path.read_bytes() for path in pathlib.Path(folder).iterdir()]
        assert files and not any(b"kkkk-secret" in content for content in files)
    assert [tenant for tenant, _ in tenants(world)] == ["a", "b"], tenants(world)


def main():
    failed = 0
    for function in TESTS:
        name = function.__name__.replace("_", " ")
        try:
            function()
            print("ok", name)
        except Exception as error:  # a test may fail in any way
            failed += 1
            print(f"FAILED {name}: {type(error).__name__}: {error}")
    print(f"{len(TESTS) - failed} passed, {failed} failed")
    return failed > 0


with Fake() as fake:
    code = main()
sys.exit(code)
