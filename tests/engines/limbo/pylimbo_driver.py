"""The conformance driver on PyPI's pylimbo (tests/conformance/README.md has the protocol)."""

import importlib.metadata
import json
import sys

import limbo

FILE, LIBRARY = sys.argv[1:3]
connections = {}


def value(value):
    if isinstance(value, float):
        return {"real": value}
    return {"blob": value.hex()} if isinstance(value, bytes) else value


def run(db, sql):
    cursor = db.cursor()
    cursor.execute(sql)
    # execute() only prepares what gives rows, and fetchall() of what gives none is an error.
    if sql.lstrip().upper().startswith(("SELECT", "WITH", "VALUES", "PRAGMA")):
        return cursor.fetchall()
    return []


def connect():
    db = limbo.connect(FILE)
    run(db, f"SELECT load_extension('{LIBRARY}')")
    try:
        run(db, "SELECT key FROM rembed_clients")
    except Exception:
        run(db, "CREATE VIRTUAL TABLE rembed_clients USING rembed_clients")
        # Without a trace in the file: see the README.
        run(db, "DELETE FROM sqlite_schema WHERE name = 'rembed_clients'")
    return db


def answer(connection, sql):
    if connection.startswith("readonly"):
        return {"error": "no read-only connections: limbo.connect() has no flag for them"}
    try:
        if connection not in connections:
            connections[connection] = connect()
        rows = run(connections[connection], sql)
    # The engine's panics are no Exception.
    except BaseException as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"rows": [[value(v) for v in row] for row in rows]}


def say(line):
    print(json.dumps(line), flush=True)


say({"engine": "Limbo 0.0.22", "host": f"PyPI's pylimbo {importlib.metadata.version('pylimbo')}"})
for line in sys.stdin.buffer:
    say(answer(**json.loads(line)))
