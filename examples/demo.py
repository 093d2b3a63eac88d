"""Search by meaning in SQLite: a table of texts, a table of vectors, and rembed() between them.

demo.sh starts this with a local llama-server. For a server of your own:
    REMBED_REAL_URL=http://localhost:8080 python3 examples/demo.py "your query"
"""

import os
import sqlite3
import sys

import sqlite_vec

URL = os.environ["REMBED_REAL_URL"]
LIB = os.environ.get("REMBED_LIB", "target/release/libsqlite_rembed.so")
HEADLINES = os.environ.get("HEADLINES", "target/real/headlines.tsv")
QUERIES = sys.argv[1:] or ["pop star gives birth", "rare old book discovered", "music studio lost in an eruption"]

REGISTER = """\
INSERT INTO temp.rembed_clients(name, format, model, url)
VALUES ('mini', 'openai', 'all-minilm-l6-v2', :url);
"""
CREATE = """\
CREATE TABLE headlines(id INTEGER PRIMARY KEY, headline TEXT);
CREATE VIRTUAL TABLE vec_headlines USING vec0(embedding float[384] distance_metric=cosine);
"""
STORE = """\
INSERT INTO vec_headlines(rowid, embedding)
SELECT id, rembed('mini', headline) FROM headlines;
"""
SEARCH = """\
SELECT 1 - distance AS similarity, headline
FROM vec_headlines JOIN headlines ON headlines.id = vec_headlines.rowid
WHERE embedding MATCH rembed('mini', :query) AND k = 5
ORDER BY distance;
"""

db = sqlite3.connect(":memory:")
db.enable_load_extension(True)
db.load_extension(LIB)
sqlite_vec.load(db)

print(REGISTER)
db.execute(REGISTER, {"url": URL + "/v1"})

print(CREATE)
db.executescript(CREATE)
with open(HEADLINES, encoding="utf-8") as lines:
    db.executemany("INSERT INTO headlines VALUES (?, ?)", (line.rstrip("\n").split("\t") for line in lines))

print(STORE)
print(f"-- {db.execute(STORE).rowcount} headlines embedded\n")

print(SEARCH)
for query in QUERIES:
    print(f":query = '{query}'\n\n  rank  similarity  headline")
    for rank, (similarity, headline) in enumerate(db.execute(SEARCH, {"query": query}), start=1):
        print(f"  {rank:4}  {similarity:10.3f}  {headline}")
    print()
