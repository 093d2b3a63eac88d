"""usage: worker.py LIBRARY OPTIONS: a process that uses the extension as it is told.

Each line of standard input is a command in JSON, each line of standard output its answer.
"""

import json
import os
import random
import resource
import select
import signal
import sqlite3
import sys
import threading
import time


def connect(library, options):
    db = sqlite3.connect(":memory:", check_same_thread=False)
    db.enable_load_extension(True)
    db.load_extension(library)
    db.execute("SELECT rembed_register('c', ?)", (options,))
    return db


def embed(db, how, texts):
    """The vectors of `texts` in their order, in hexadecimal."""
    if how == "one":
        rows = [db.execute("SELECT rembed('c', ?)", (text,)).fetchone() for text in texts]
    elif how == "rows":
        db.execute("CREATE TABLE IF NOT EXISTS temp.docs(id INTEGER PRIMARY KEY, body)")
        db.execute("DELETE FROM docs")
        db.executemany("INSERT INTO docs(body) VALUES (?)", ((text,) for text in texts))
        rows = db.execute("SELECT embedding FROM rembed_rows('c', 'SELECT id, body FROM docs')")
    elif how == "sync":
        db.execute("CREATE TABLE docs(id INTEGER PRIMARY KEY, body)")
        db.executemany("INSERT INTO docs(body) VALUES (?)", ((text,) for text in texts))
        db.execute("CREATE VIRTUAL TABLE docs_index USING rembed_index(client = 'c', content = 'docs', columns = 'body')")
        db.commit()
        db.execute("SELECT rembed_sync('docs_index')").fetchone()
        rows = db.execute("SELECT vector FROM docs_index_vectors ORDER BY chunk")
    elif how == "prefetch":
        db.execute("SELECT rembed_prefetch('c', ?)", (json.dumps(texts),)).fetchone()
        return embed(db, "one", texts)
    else:
        rows = db.execute("SELECT embedding FROM rembed_batch('c', ?)", (json.dumps(texts),))
    return [row[0].hex() for row in rows]


def ask(db, command):
    answer = {"vectors": [], "error": None}
    # Several processes begin at one moment.
    while time.time() < command.get("at", 0):
        pass
    try:
        answer["vectors"] = embed(db, command["how"], command["texts"])
    except sqlite3.Error as error:
        answer["error"] = str(error)
    stats = db.execute("SELECT rembed_stats()").fetchone()[0]
    answer["stats"] = json.loads(stats)
    answer["warnings"] = stats.count('"warning"')
    return answer


def write(db, command):
    """Embeds slices of the texts until it is killed."""
    say({"ready": True})
    texts = command["texts"]
    while True:
        start = random.randrange(len(texts))
        how = random.choice(["batch", "batch", "one", "rows"])
        embed(db, how, texts[start : start + (3 if how == "one" else random.randrange(1, 400))])


def watch(db, command):
    """Embeds slices of the texts until the next command comes; tells what was wrong."""
    texts, truth = command["texts"], command["truth"]
    seen = {"queries": 0, "errors": [], "wrong": []}
    say({"ready": True})
    while not select.select([sys.stdin], [], [], 0)[0]:
        start = random.randrange(len(texts))
        how = random.choice(["batch", "one", "rows"])
        part = slice(start, start + (3 if how == "one" else random.randrange(1, 400)))
        seen["queries"] += 1
        try:
            if embed(db, how, texts[part]) != truth[part]:
                seen["wrong"].append([how, start])
        except sqlite3.Error as error:
            seen["errors"].append(str(error))
    seen["stats"] = json.loads(db.execute("SELECT rembed_stats()").fetchone()[0])
    return seen


def fork(db, command):
    """Asks in a child, and meanwhile here."""
    read, written = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(written, "w") as pipe:
            json.dump(ask(db, {"how": "batch", "texts": command["child"]}), pipe)
        os._exit(0)
    os.close(written)
    mine = ask(db, {"how": "batch", "texts": command["texts"]})
    with os.fdopen(read) as pipe:
        theirs = json.load(pipe)
    os.waitpid(child, 0)
    return {"mine": mine, "theirs": theirs}


def sql(db, command):
    try:
        return {"value": db.execute(command["sql"]).fetchone()[0], "error": None}
    except sqlite3.Error as error:
        return {"value": None, "error": str(error)}


def interrupt(db, command):
    """Asks, and interrupts that after a while."""
    timer = threading.Timer(command["after"], db.interrupt)
    start = time.monotonic()
    timer.start()
    answer = ask(db, {"how": "one", "texts": command["texts"][:1]})
    answer["took"] = time.monotonic() - start
    answer["version"] = list(sqlite3.sqlite_version_info)
    return answer


def limit(db, command):
    """From here on: no files larger than `bytes`, or another user."""
    if "bytes" in command:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (command["bytes"], resource.RLIM_INFINITY))
    if "user" in command:
        os.setgroups([])
        os.setgid(command["user"])
        os.setuid(command["user"])
    return {}


def say(answer):
    print(json.dumps(answer), flush=True)


def main():
    db = connect(*sys.argv[1:])
    commands = {"write": write, "watch": watch, "fork": fork, "sql": sql, "limit": limit, "interrupt": interrupt}
    # Not iterated over, which would read ahead of what watch() looks for.
    while line := sys.stdin.buffer.raw.readline():
        command = json.loads(line)
        say(commands.get(command["how"], ask)(db, command))


main()
