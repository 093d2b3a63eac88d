"""The extension in hosts on Limbo: linked into one on limbo_core, loaded by it, and loaded by PyPI's pylimbo.

    host.py FOLDER [WORD]

FOLDER is what run.sh builds; WORD selects tests. One line a test and, last, the counts.
"""

import json
import os
import pathlib
import sqlite3
import struct
import subprocess
import sys
import tempfile
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "../../fake"))
from launch import Fake  # noqa: E402

BUILT = pathlib.Path(sys.argv[1])
WORD = sys.argv[2] if len(sys.argv) > 2 else ""
PYTHON = BUILT / "venv/bin/python3"
LIMBO, RIGGED, BOTH = (BUILT / f"lib/{name}/libsqlite_rembed.so" for name in ("limbo", "rigged", "both"))
SECRET = "sk-never-to-be-seen"


def driver(folder, library=None):
    return [BUILT / folder / "limbo-driver", "FILE", *filter(None, [library])]


def pylimbo(library):
    # load_extension() adds the ending.
    return [PYTHON, HERE / "pylimbo_driver.py", "FILE", library.with_suffix("")]


HOSTS = {
    "linked": driver("release"),
    "loaded": driver("release", LIMBO),
    "pylimbo": pylimbo(LIMBO),
    "pylimbo, library for SQLite too": pylimbo(BOTH),
}
TESTS, ALONE = [], []


def test(function):
    """A test of every host."""
    TESTS.append(function)
    return function


def alone(function):
    """A test that chooses its hosts."""
    ALONE.append(function)
    return function


class SqlError(Exception):
    pass


class Host:
    """A driver, and the file of its database."""

    def __init__(self, command, folder, name="a.db"):
        self.file = pathlib.Path(folder) / name
        command = [str(self.file if part == "FILE" else part) for part in command]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.hello = json.loads(self.process.stdout.readline())

    def __call__(self, sql, connection="default"):
        self.process.stdin.write(json.dumps({"connection": connection, "sql": sql}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the host is gone: {self.process.wait()}: {sql}"
        answer = json.loads(answer)
        if "error" in answer:
            raise SqlError(answer["error"])
        return answer["rows"]

    def fails(self, sql):
        """The error of a statement that must fail."""
        try:
            rows = self(sql)
        except SqlError as error:
            return str(error)
        raise AssertionError(f"{sql} gave {rows}")

    def one(self, sql, connection="default"):
        [[value]] = self(sql, connection)
        return value

    def memory(self):
        """What the process has in memory, in KiB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))

    def close(self):
        self.process.stdin.close()
        return self.process.wait(timeout=60)


class World:
    """A scenario of the fake provider."""

    def __init__(self, **settings):
        self.base = fake.scenario(**{"width": 4, **settings})
        self.url = self.base + "/v1"

    def log(self):
        return fake.report(self.base)["log"]

    def client(self, name="c", **options):
        """The statement that registers it."""
        options = {"format": "openai", "model": "m", "url": self.url, "retries": 0, **options}
        return f"SELECT rembed_register('{name}', '{json.dumps(options)}')"


def vector(value):
    data = bytes.fromhex(value["blob"])
    return struct.unpack(f"<{len(data) // 4}f", data)


@test
def a_vector_is_what_the_engine_takes(host, _):
    host(World().client())
    one, other = host("SELECT rembed('c', 'one'), rembed('c', 'other', 'document')")[0]
    assert len(vector(one)) == len(vector(other)) == 4 and one != other
    host("CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT, embedding BLOB)")
    host("INSERT INTO docs(body) VALUES ('cats'), ('dogs'), ('the end')")
    host("UPDATE docs SET embedding = rembed('c', body)")
    nearest = "SELECT body FROM docs ORDER BY vector_distance_cos(embedding, rembed('c', 'dogs')) LIMIT 1"
    assert host.one(nearest) == "dogs"
    host("INSERT INTO docs(body, embedding) SELECT text, embedding FROM rembed_batch('c', '[\"one\"]')")
    assert host("SELECT embedding FROM docs WHERE id = 4") == [[one]]
    assert json.loads(host.one("SELECT vector_extract(embedding) FROM docs WHERE id = 4"))[0] != 0


@test
def values_come_and_go_as_they_are(host, _):
    world = World(flavor="ollama")
    host(world.client("o", format="ollama", url=world.url.removesuffix("/v1"), cache="off"))
    assert host("SELECT rembed('o', NULL)") == [[None]]
    host("SELECT rembed('o', 12), rembed('o', 1.0), rembed('o', 0.1 + 0.2), rembed('o', -0.0001)")
    assert [entry["texts"] for entry in world.log()] == [["12"], ["1.0"], ["0.3"], ["-0.0001"]]
    keys = '[{"id": null, "text": ""}, {"id": 1.5, "text": "b"}, {"id": "", "text": "c"}]'
    rows = host(f"SELECT key, text FROM rembed_batch('o', '{keys}')")
    assert rows == [[None, ""], [{"real": 1.5}, "b"], ["", "c"]], rows
    assert host("SELECT rembed_client_options('format', 'openai', 'timeout', 1.5, 'retries', 3)") == [
        ['{"format":"openai","timeout":1.5,"retries":3}']
    ]
    assert host.one("SELECT typeof(rembed_client_options())") == "text"
    assert "is a BLOB" in host.fails("SELECT rembed('o', x'00')")
    assert "wrong number of arguments to function rembed()" in host.fails("SELECT rembed('o')")
    assert "wrong number of arguments to function rembed_version()" in host.fails("SELECT rembed_version(1)")
    assert "the client's name is NULL" in host.fails("SELECT rembed(NULL, 'x')")
    assert host("SELECT rembed_unregister('o'), rembed_unregister('o')") == [[1, 0]]
    assert "'o' was not registered" in host.fails("SELECT rembed('o', 'x')")


@test
def insert_takes_one_row(host, _):
    host("INSERT INTO temp.rembed_clients(name, format, model) VALUES ('t1', 'openai', 'm')")
    assert host("SELECT format, model, key FROM rembed_clients WHERE name = 't1'") == [["openai", "m", None]]
    again = "INSERT INTO rembed_clients(name, options) VALUES ('t1', 'openai')"
    assert "Already Exists" in host.fails(again)
    expected = "UNIQUE constraint failed: rembed_clients.name: t1 exists already (UPDATE changes it; "
    assert host.one("SELECT rembed_last_error()").startswith(expected)
    assert "ON CONFLICT clause is not supported" in host.fails(again.replace("INSERT", "INSERT OR REPLACE"))
    assert "Virtual tables only support VALUES" in host.fails("INSERT INTO rembed_clients(name) SELECT 'x'")
    assert "Invalid Argument" in host.fails("INSERT INTO rembed_clients(name, format) VALUES ('t2', 'nope')")
    assert "unknown format 'nope'" in host.one("SELECT rembed_last_error()")
    host("DELETE FROM rembed_clients WHERE name = 't1'")
    assert host("SELECT name FROM rembed_clients WHERE name LIKE 't%'") == []
    assert "Invalid Argument" in host.fails("CREATE VIRTUAL TABLE no USING rembed_clients(bogus)")
    assert "'bogus'" in host.one("SELECT rembed_last_error()")


@test
def of_an_insert_of_several_rows_an_error_names_the_cause(host, _):
    host("INSERT INTO temp.rembed_clients(name, format) VALUES ('i1', 'openai'), ('i2', 'openai')")
    assert host("SELECT name FROM rembed_clients WHERE name LIKE 'i%'") == [["i2"]]
    error = host.fails("SELECT rembed('i1', 'text')")
    assert "'i1' was not registered" in error and "INSERT one row at a time" in error, error
    host("DELETE FROM rembed_clients WHERE name = 'i2'")


@test
def update_changes_what_it_names(host, _):
    world = World(key=SECRET)
    host(world.client("u", key=SECRET, cache="off"))
    host("UPDATE rembed_clients SET model = 'other' WHERE name = 'u'")
    host("UPDATE temp.rembed_clients SET key = '***' WHERE name = 'u'")
    # Still with the key, or the fake would refuse it.
    host("SELECT rembed('u', 'x')")
    assert world.log()[-1]["body"]["model"] == "other"
    host("UPDATE rembed_clients SET name = 'v' WHERE name = 'u'")
    host("SELECT rembed('v', 'x')")
    assert "was not registered" in host.fails("SELECT rembed('u', 'x')")
    assert "Invalid Argument" in host.fails("UPDATE rembed_clients SET options = '{' WHERE name = 'v'")
    assert "NOT NULL" in host.fails("UPDATE rembed_clients SET name = NULL WHERE name = 'v'")
    host("SELECT rembed('v', 'x')")
    host("UPDATE rembed_clients SET key = 'wrong' WHERE name = 'v'")
    assert "HTTP 401" in host.fails("SELECT rembed('v', 'y')")
    host("DELETE FROM rembed_clients WHERE name = 'v'")
    assert host("SELECT * FROM rembed_clients WHERE name = 'v'") == []


@test
def a_key_is_never_shown(host, folder):
    host(World(faults=[{"status": 401}]).client("k", key=SECRET, headers={"api-key": SECRET}))
    shown = [
        host("SELECT rowid, * FROM rembed_clients"),
        host("SELECT rembed_debug(), rembed_stats(), rembed_last_error()"),
        host("SELECT * FROM sqlite_schema"),
        host.fails("SELECT rembed('k', 'x')"),
        host.fails("UPDATE rembed_clients SET format = 'nope' WHERE name = 'k'"),
        host("SELECT rembed_last_error()"),
        host("SELECT count(*) FROM rembed_clients WHERE key = '***'"),
    ]
    assert SECRET not in json.dumps(shown), shown
    assert shown[-1] == [[1]]
    host("CREATE TABLE anything(a)")
    host.close()
    for file in pathlib.Path(folder).iterdir():
        assert SECRET.encode() not in file.read_bytes(), file


@test
def a_row_that_fails(host, _):
    host(World(faults=[{"text": "bad", "status": 400}]).client(cache="off"))
    batch = "FROM rembed_batch('c', '[\"a\", \"bad\", \"b\"]')"
    message = "client 'c' (openai): HTTP 400"
    for ends in ("key, embedding", "key", "embedding, key", "text"):
        assert message in host.fails(f"SELECT {ends} {batch}"), ends
    # No column is read, so that there is no place for the text.
    assert "Next failed" in host.fails(f"SELECT count(*) {batch}")
    assert message in host.one("SELECT rembed_last_error()")
    for goes_on in ("*", "key, text, embedding, error", "key, text, error, embedding"):
        rows = host(f"SELECT {goes_on} {batch}")
        assert [row[0] for row in rows] == [0, 1, 2]
        assert None in rows[1] and any(message in str(value) for value in rows[1]), rows
    assert len(host(f"SELECT embedding {batch} WHERE error IS NULL")) == 2
    # Only the rows before could tell that the query reads `error`, and there are none.
    first = "FROM rembed_batch('c', '[\"bad\", \"a\"]')"
    assert "SELECT error, key, embedding" in host.fails(f"SELECT embedding, error {first}")
    assert [row[0] is None for row in host(f"SELECT error, key, embedding {first}")] == [False, True]


@test
def a_call_that_fails_shows_its_text(host, _):
    host(World().client())
    for call, text in {
        "('nobody', '[\"a\"]')": "'nobody' was not registered",
        "('c', '{')": "must be JSON",
        "('c')": "rembed_batch wants a client",
        "(NULL, '[]')": "the client's name is NULL",
        "('c', '[\"a\"]', 'nope', 1)": "rembed_batch wants a client",
    }.items():
        assert text in host.fails(f"SELECT * FROM rembed_batch{call}"), call
        host.fails(f"SELECT count(*) FROM rembed_batch{call}")
        assert text in host.one("SELECT rembed_last_error()"), call
    assert host("SELECT * FROM rembed_batch('c', '[]')") == host("SELECT * FROM rembed_batch('c', NULL)") == []
    assert host("SELECT rowid, key FROM rembed_batch('c', '{\"x\": \"a\", \"y\": \"b\"}')") == [[1, "x"], [2, "y"]]


@test
def the_file_knows_nothing(host, folder):
    host(World().client())
    host("CREATE TABLE docs(body TEXT, embedding BLOB)")
    host("INSERT INTO docs SELECT text, embedding FROM rembed_batch('c', '[\"a\", \"b\"]')")
    expected = host("SELECT embedding FROM docs")
    host("SELECT name FROM rembed_clients")
    assert host("SELECT name FROM sqlite_schema") == [["docs"]]
    host.close()
    db = sqlite3.connect(host.file)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert [[{"blob": row[0].hex()}] for row in db.execute("SELECT embedding FROM docs")] == expected


@test
def large_values_are_freed_by_whoever_has_to(host, _):
    host(World(width=4096, log=False).client(cache="off", timeout=60))
    host("CREATE TABLE big(t TEXT)")
    for n in (1_000, 100_000, 3_000_000):
        host(f"INSERT INTO big VALUES ('{'word ' * (n // 5)}')")
    for _ in range(10):
        assert host("SELECT length(rembed('c', t)) FROM big") == [[16384]] * 3
    texts = json.dumps([f"text {i}" for i in range(500)])
    for _ in range(10):
        assert host.one(f"SELECT sum(length(embedding)) FROM rembed_batch('c', '{texts}')") == 500 * 16384
    host("SELECT rembed_cache_clear()")


@alone
def large_blocks_go_back_to_the_system(folder):
    for i, command in enumerate([driver("release", LIMBO), pylimbo(LIMBO)]):
        host = Host(command, folder, f"{i}.db")
        host(World(width=1536, log=False).client("c", cache="off", timeout=60))
        texts = json.dumps([f"text {n}" for n in range(2048)])
        # A reply of 2,048 vectors as JSON is 37 MB. The arguments, of 5 MB and 20 MB, are the library's to free.
        for call in (
            f"SELECT sum(length(embedding)) FROM rembed_batch('c', '{texts}')",
            "SELECT rembed_unregister(hex(zeroblob(2500000)))",
            "SELECT rembed_unregister(hex(zeroblob(10000000)))",
        ):
            for _ in range(20):
                host(call)
            before = host.memory()
            for _ in range(100):
                host(call)
            grown = (host.memory() - before) // 1024
            print(f"     {command[0].name}: … {call[-40:]}: {grown} MiB", flush=True)
            assert grown < 50, (call[-40:], grown)
        assert host.close() == 0


@test
def a_hundred_thousand_calls_leave_nothing(host, _):
    host(World(width=768, log=False).client())
    host("CREATE TABLE n(i)")
    for i in range(100):
        host(f"INSERT INTO n VALUES ({i})")
    calls = "SELECT sum(length(rembed('c', 'a text of some length ' || a.i))) FROM n a, n b, n c WHERE c.i < 10"
    grown = []
    for _ in range(4):
        before = host.memory()
        host(calls)
        grown.append(host.memory() - before)
    # An argument of each call that is left would be 10 MB.
    assert sum(grown[1:]) < 1500, grown
    # What an allocator keeps for itself comes once; what is left by each error comes every time.
    errors = []
    while len(errors) < 5 and min(errors, default=1500) >= 500:
        before = host.memory()
        for i in range(20_000):
            host.fails(f"SELECT rembed('nobody', 'x{i % 10}')")
        errors.append(host.memory() - before)
    assert min(errors) < 500, errors
    print(f"     3 × 100,000 calls: {sum(grown[1:])} KiB; 20,000 errors: {min(errors)} KiB", flush=True)


@alone
def a_panic_is_an_error(folder):
    for i, command in enumerate([driver("rigged"), driver("rigged", RIGGED), pylimbo(RIGGED)]):
        host = Host(command, folder, f"{i}.db")
        host("SELECT rembed_register('p', 'format', 'panic', 'retries', 0)")
        panic = "rembed: internal error, please report it: "
        assert panic in host.fails("SELECT rembed('p', 'x')")
        assert panic in host.fails("SELECT rembed_register('q', 'format', 'panic', 'model', 'now')")
        assert panic in host.fails("SELECT * FROM rembed_batch('p', '[\"x\"]') WHERE embedding IS NULL")
        assert panic in host.fails("SELECT rembed_prefetch('p', '[\"x\"]')")
        host.fails("SELECT count(*) FROM rembed_batch('p', '[\"x\"]')")
        host.fails("UPDATE rembed_clients SET model = 'now' WHERE name = 'p'")
        assert panic in host.one("SELECT rembed_last_error()")
        assert host("SELECT name, model FROM rembed_clients") == [["p", "p"]]
        assert host.close() == 0


@alone
def pylimbo_loads_it_in_20_processes(folder):
    for i in range(20):
        host = Host(pylimbo(LIMBO), folder, f"{i}.db")
        assert host.one("SELECT rembed_version()").startswith("v")
        assert host("SELECT * FROM rembed_clients") == []
        assert host.one("SELECT rembed_version()", "second").startswith("v")
        assert host.close() == 0


@alone
def a_table_of_the_file_is_found_again(folder):
    one = Host(pylimbo(LIMBO), folder)
    one("DROP TABLE rembed_clients")
    one("CREATE VIRTUAL TABLE rembed_clients USING rembed_clients")
    one("CREATE TABLE later(a)")
    assert one.close() == 0
    for command in (pylimbo(LIMBO), driver("release")):
        host = Host(command, folder)
        host("SELECT * FROM later")
        host("INSERT INTO rembed_clients(name, options) VALUES ('a', 'openai')")
        assert host("SELECT name FROM rembed_clients") == [["a"]]
        assert host("SELECT name FROM sqlite_schema") == [["rembed_clients"], ["later"]]
        assert host.close() == 0
    # A virtual table of a module that is not there is no harm in SQLite.
    db = sqlite3.connect(pathlib.Path(folder) / "a.db")
    assert db.execute("SELECT count(*) FROM later").fetchone() == (0,)


@alone
def sqlite_takes_the_library_of_both(_):
    world = World()
    db = sqlite3.connect(":memory:")
    db.enable_load_extension(True)
    db.load_extension(str(BOTH))
    db.execute("INSERT INTO temp.rembed_clients(name, format, url) VALUES ('c', 'openai', ?)", [world.url])
    [(data,)] = db.execute("SELECT rembed('c', 'x')")
    assert len(data) == 16
    assert db.execute("SELECT count(*) FROM rembed_batch('c', '[\"a\", \"b\"]')").fetchone() == (2,)
    db.close()


@alone
def another_host_is_refused(_):
    """Turso's APIs, as they are laid out in memory."""
    # In another process: it keeps the library.
    script = f"""
import ctypes
library = ctypes.CDLL({str(LIMBO)!r})
called = []
Scalar = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
scalar = Scalar(lambda *_: called.append(1) or 0)
word = ctypes.cast(scalar, ctypes.c_void_p).value
since_0_7 = (ctypes.c_void_p * 8)(1, word, word, word, word, word, None, 0)
assert library.register_extension(since_0_7) == 1
assert library.register_extension(None) == 1
assert not called

class Module(ctypes.Structure):  # of turso_ext 0.1, by value
    _fields_ = [("name", ctypes.c_void_p), ("readonly", ctypes.c_void_p)] + [
        (field, ctypes.c_void_p) for field in "create open close filter column next eof update rowid destroy best".split()
    ]

class Created(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("schema", ctypes.c_void_p), ("table", ctypes.c_void_p)]

Vtab = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, Module, ctypes.c_int)
Create = ctypes.CFUNCTYPE(Created, ctypes.c_void_p, ctypes.c_int)

def vtab(context, name, module, kind):
    if kind == 1:
        created = Create(module.create)(None, 0)
        return 1 if created.code else 0
    return 0

vtab = Vtab(vtab)
before_0_7 = (ctypes.c_void_p * 7)(1, word, word, ctypes.cast(vtab, ctypes.c_void_p).value, word, None, 0)
assert library.register_extension(before_0_7) == 1
assert not called
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done
    assert done.stderr.count("this library is for Limbo 0.0.22") == 3, done.stderr


def main():
    passed = failed = 0

    def attempt(name, work):
        nonlocal passed, failed
        if WORD not in name:
            return
        try:
            with tempfile.TemporaryDirectory() as folder:
                work(folder)
            passed += 1
            print(f"ok   {name}", flush=True)
        except Exception as error:
            failed += 1
            line = traceback.extract_tb(error.__traceback__)[-1].lineno
            print(f"FAIL {name}: line {line}: {type(error).__name__}: {error}", flush=True)

    def with_host(function, command):
        def work(folder):
            host = Host(command, folder)
            try:
                function(host, folder)
            finally:
                if not host.process.stdin.closed:
                    code = host.close()
                    assert code == 0, f"the host ended with {code}"

        return work

    for name, command in HOSTS.items():
        for function in TESTS:
            attempt(f"{name}: {function.__name__}", with_host(function, command))
    for function in ALONE:
        attempt(function.__name__, function)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


with Fake() as fake:
    code = main()
sys.exit(code)
