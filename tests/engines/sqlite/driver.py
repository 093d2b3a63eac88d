"""The conformance driver on Python's sqlite3 module (tests/conformance/README.md has the protocol)."""

import json
import os
import sqlite3
import sys
import urllib.parse

FILE, LIBRARY = sys.argv[1:3]
connections = {}


def text(data):
    """TEXT as SQLite has it; what is no UTF-8 must not become an error of the host."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"text": data.hex()}


def value(value):
    if isinstance(value, float):
        return {"real": value}
    return {"blob": value.hex()} if isinstance(value, bytes) else value


def connect(read_only):
    mode = "ro" if read_only else "rwc"
    # Autocommit: BEGIN and COMMIT are the statements of who asks.
    db = sqlite3.connect(f"file:{urllib.parse.quote(FILE)}?mode={mode}", uri=True, isolation_level=None)
    db.text_factory = text
    db.enable_load_extension(True)
    for library in filter(None, [os.environ.get("SQLITE_VEC"), LIBRARY]):
        db.load_extension(library)
    db.enable_load_extension(False)
    return db


def answer(connection, sql):
    try:
        if connection not in connections:
            connections[connection] = connect(connection.startswith("readonly"))
        rows = connections[connection].execute(sql).fetchall()
    except sqlite3.Error as error:
        return {"error": str(error)}
    return {"rows": [[value(v) for v in row] for row in rows]}


def say(line):
    print(json.dumps(line), flush=True)


say({"engine": f"SQLite {sqlite3.sqlite_version}", "host": "Debian's `/usr/bin/python3`, module `sqlite3`"})
for line in sys.stdin.buffer:
    say(answer(**json.loads(line)))
for db in connections.values():
    db.close()
