"""Search by meaning in SQLite: a table of texts, a table of vectors, and rembed_rows() between them.

    examples/demo.sh "your question"

builds what this needs and starts it. On a terminal it asks for more questions.
"""

import sqlite3
import sys

import sqlite_vec

LIB = "target/local/release/libsqlite_rembed.so"
HEADLINES = "target/headlines.tsv"
DATABASE = "target/demo.db"
QUESTIONS = sys.argv[1:] or ["pop star gives birth", "rare old book discovered", "music studio lost in an eruption"]

REGISTER = """\
SELECT rembed_register('local', 'format', 'local');
"""
# What the vectors were made of stays beside them: the text in each row, the model by what it makes of a text.
CREATE = """\
CREATE TABLE IF NOT EXISTS headlines(id INTEGER PRIMARY KEY, headline TEXT);
CREATE TABLE IF NOT EXISTS model(probe BLOB);
"""
PROBE = """\
SELECT rembed('local', 'Which model is this?');
"""
ANEW = """\
DROP TABLE IF EXISTS vec_headlines;
CREATE VIRTUAL TABLE vec_headlines USING vec0(embedding float[{dimensions}] distance_metric=cosine, +headline TEXT);
"""
FORGET = """\
DELETE FROM vec_headlines WHERE (rowid, headline) NOT IN (SELECT id, headline FROM headlines);
"""
STORE = """\
INSERT INTO vec_headlines(rowid, headline, embedding)
SELECT key, text, embedding
FROM rembed_rows('local', 'SELECT id, headline FROM headlines WHERE id NOT IN (SELECT rowid FROM vec_headlines)');
"""
SEARCH = """\
SELECT 1 - distance AS similarity, headline
FROM vec_headlines
WHERE embedding MATCH rembed('local', :question) AND k = 5
ORDER BY distance;
"""


def search(db, question):
    print(f":question = '{question}'\n\n  rank  similarity  headline")
    for rank, (similarity, headline) in enumerate(db.execute(SEARCH, {"question": question}), start=1):
        print(f"  {rank:4}  {similarity:10.3f}  {headline}")
    print()


db = sqlite3.connect(DATABASE)
db.enable_load_extension(True)
db.load_extension(LIB)
sqlite_vec.load(db)

print(REGISTER)
db.execute(REGISTER).fetchone()

print(CREATE)
db.executescript(CREATE)
with open(HEADLINES, encoding="utf-8") as lines, db:
    rows = [line.rstrip("\n").split("\t") for line in lines]
    db.execute("DELETE FROM headlines")
    db.executemany("INSERT INTO headlines VALUES (?, ?)", rows)

print(PROBE)
(probe,) = db.execute(PROBE).fetchone()
with db:
    db.execute("BEGIN")
    if db.execute("SELECT probe FROM model").fetchall() != [(probe,)]:
        anew = ANEW.format(dimensions=len(probe) // 4)
        print("-- there are no vectors yet, or another model made them\n" + anew)
        for statement in anew.splitlines():
            db.execute(statement)
        db.execute("DELETE FROM model")
        db.execute("INSERT INTO model VALUES (?)", [probe])

print(FORGET + STORE)
with db:
    db.execute(FORGET)
    embedded = db.execute(STORE).rowcount
total = db.execute("SELECT count(*) FROM vec_headlines").fetchone()[0]
print(f"-- {embedded} headlines embedded, {total} in {DATABASE}\n")

print(SEARCH)
for question in QUESTIONS:
    search(db, question)

while sys.stdin.isatty() and sys.stdout.isatty():
    try:
        question = input("Another question (an empty line ends): ").strip()
    except (EOFError, KeyboardInterrupt):
        question = ""
    if not question:
        break
    search(db, question)
