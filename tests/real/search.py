"""Searches real headlines with a real model behind a real llama-server, all from SQL. run.sh is the way to start it.

REMBED_REAL_URL  the server (server.sh sets it)
REMBED_LIB       the extension to test; default target/release/libsqlite_rembed.so
"""

import base64
import json
import os
import socket
import sqlite3
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import sqlite_vec

ROOT = Path(__file__).resolve().parents[2]
URL = os.environ["REMBED_REAL_URL"]
LIB = Path(os.environ.get("REMBED_LIB", ROOT / "target/release/libsqlite_rembed.so")).resolve()
HEADLINES = [
    line.split("\t")
    for line in (ROOT / "target/real/headlines.tsv").read_text(encoding="utf-8").splitlines()
]

# What is asked, and what one of the first three answers must contain. The questions share few words with their answers,
# so that matching letters would not find them.
QUERIES = [
    ("surgeons operate on John Paul II", "appendix surgery"),
    ("priceless printed book discovered", "Gutenberg bible"),
    ("eruption destroys a music studio", "Volcano buries studio"),
    ("tennis champion ties the knot with a film star", "Andre Agassi"),
    ("fashion designer murdered in Florida", "Versace"),
    ("who invented the board game with Colonel Mustard?", "Cluedo"),
    ("early Beatles songs found in a notepad", "Lennon-McCartney"),
    ("pop star gives birth to her first child", "Madonna"),
    ("singers from Sofia are known around the world", "Bulgarian opera stars"),
    ("rock star cancels a show because somebody wants to kill her", "Sinead"),
]


def connect():
    db = sqlite3.connect(":memory:")
    db.enable_load_extension(True)
    db.load_extension(str(LIB))
    sqlite_vec.load(db)
    db.enable_load_extension(False)
    return db


db = connect()


def value(sql, *parameters):
    (result,) = db.execute(sql, parameters).fetchone()
    return result


def vector(blob):
    return np.frombuffer(blob, "<f4")


def error_of(sql, *parameters):
    try:
        db.execute(sql, parameters).fetchall()
    except sqlite3.Error as error:
        return str(error)
    raise AssertionError("expected an error")


def post(path, body):
    """The server's answer without us in between."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with opener.open(request, timeout=60) as reply:
        return json.load(reply)


def test_clients_are_registered():
    register = "INSERT INTO temp.rembed_clients(name, format, model, url) VALUES (?, ?, ?, ?)"
    db.execute(register, ("mini", "openai", "all-minilm-l6-v2", URL + "/v1"))
    db.execute(register, ("native", "llamafile", "all-minilm-l6-v2", URL))
    assert value("SELECT group_concat(name) FROM (SELECT name FROM temp.rembed_clients ORDER BY name)") == "mini,native"


def test_headlines_are_stored():
    db.execute("CREATE TABLE headlines(id INTEGER PRIMARY KEY, headline TEXT NOT NULL)")
    db.executemany("INSERT INTO headlines VALUES (?, ?)", HEADLINES)
    db.execute("CREATE VIRTUAL TABLE vec_headlines USING vec0(embedding float[384] distance_metric=cosine)")
    start = time.monotonic()
    db.execute(
        "INSERT INTO vec_headlines(rowid, embedding) SELECT id, rembed('mini', headline) FROM headlines"
    )
    print(f"     {len(HEADLINES)} headlines in {time.monotonic() - start:.1f} s")
    assert len(HEADLINES) > 300
    assert value("SELECT count(*) FROM vec_headlines") == len(HEADLINES)


def test_vectors_are_384_floats_of_unit_length():
    for (blob,) in db.execute("SELECT embedding FROM vec_headlines"):
        assert len(blob) == 384 * 4
        assert abs(np.linalg.norm(vector(blob)) - 1) < 1e-5
    assert value("SELECT typeof(rembed('mini', 'hello world'))") == "blob"


def test_the_model_is_the_one_we_think():
    # What exact arithmetic makes of the original weights. llama.cpp approximates GELU.
    expected = [-0.0344773, 0.0310232, 0.0067350, 0.0261090]
    assert np.allclose(vector(value("SELECT rembed('mini', 'hello world')"))[:4], expected, atol=2e-4)


def test_stored_vectors_are_the_servers():
    reply = post("/v1/embeddings", {"input": [headline for _, headline in HEADLINES]})
    theirs = {key: item["embedding"] for (key, _), item in zip(HEADLINES, reply["data"], strict=True)}
    for key, blob in db.execute("SELECT rowid, embedding FROM vec_headlines"):
        # What shares a batch changes the last bits of a vector, so these are near and not equal.
        assert np.allclose(vector(blob), theirs[str(key)], atol=1e-6), key


def test_not_one_bit_is_lost():
    text = "A text that nothing has embedded yet: naïve café ☕"
    ours = value("SELECT rembed('mini', ?)", text)
    (item,) = post("/v1/embeddings", {"input": [text], "encoding_format": "base64"})["data"]
    assert ours == base64.b64decode(item["embedding"])


def test_both_formats_agree():
    for _, headline in HEADLINES[::20]:
        openai, native = db.execute(
            "SELECT rembed('mini', :text), rembed('native', :text)", {"text": headline}
        ).fetchone()
        assert vector(openai) @ vector(native) > 0.9999, headline


def test_null_stays_null():
    assert value("SELECT rembed('mini', NULL)") is None


def query_test(query, expected):
    def test():
        found = [
            headline
            for (headline,) in db.execute(
                """
                SELECT headline FROM vec_headlines JOIN headlines ON headlines.id = vec_headlines.rowid
                WHERE embedding MATCH rembed('mini', ?) AND k = 5 ORDER BY distance
                """,
                [query],
            )
        ]
        assert len(found) == 5
        assert any(expected in headline for headline in found[:3]), found

    test.__name__ = f"test_query: {query}"
    return test


def test_error_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    db.execute(
        "INSERT INTO temp.rembed_clients(name, format, model, url, options) VALUES ('nobody', 'openai', 'm', ?, ?)",
        [f"http://127.0.0.1:{port}/v1", '{"retries": 0}'],
    )
    message = error_of("SELECT rembed('nobody', 'hello')")
    print(f"     {message}")
    assert "nobody" in message
    assert "refused" in message.lower()


def test_error_text_too_long():
    start = time.monotonic()
    message = error_of("SELECT rembed('mini', ?)", "word " * 3000)
    print(f"     {message}")
    assert "mini" in message
    assert "too large" in message
    # The server calls this a 500, but asking again cannot make a text shorter.
    assert time.monotonic() - start < 5


def test_error_unknown_client():
    message = error_of("SELECT rembed('maxi', 'hello')")
    assert "was not registered with rembed_clients" in message
    assert "mini" in message


def main():
    # In the order they are written in: the first ones make what the others look at.
    tests = [test for name, test in globals().items() if name.startswith("test_")]
    tests += [query_test(*query) for query in QUERIES]
    failed = 0
    for test in tests:
        name = test.__name__.removeprefix("test_")
        try:
            test()
            print(f"ok   {name}")
        except Exception as error:
            failed += 1
            print(f"FAIL {name}: {type(error).__name__}: {error}")
    print(f"{len(tests) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
