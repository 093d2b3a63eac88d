"""Search by meaning in SQLite: a table of texts, an index over it, a sync, a search. By meaning alone: without
`mode = 'vector'` the words of the question count too.

    examples/demo.sh "your question"

builds what this needs and starts it. On a terminal it asks for more questions.
"""

import json
import sqlite3
import sys

LIB = "target/local/release/libsqlite_rembed.so"
HEADLINES = "target/headlines.tsv"
DATABASE = "target/demo.db"
QUESTIONS = sys.argv[1:] or ["pop star gives birth", "rare old book discovered", "music studio lost in an eruption"]

REGISTER = """\
SELECT rembed_register('local', 'format', 'local');
"""
TABLE = """\
CREATE TABLE IF NOT EXISTS headlines(id INTEGER PRIMARY KEY, headline TEXT);
"""
INDEX = """\
CREATE VIRTUAL TABLE IF NOT EXISTS headlines_index USING rembed_index(
  client = 'local', content = 'headlines', columns = 'headline');
"""
SYNC = """\
SELECT rembed_sync('headlines_index');
"""
REEMBED = """\
SELECT rembed_sync('headlines_index', '{"reembed": true}');
"""
SEARCH = """\
SELECT 1 - distance AS similarity, chunk FROM headlines_index(:question) WHERE mode = 'vector' LIMIT 5;
"""


def search(db, question):
    print(f":question = '{question}'\n\n  rank  similarity  headline")
    for rank, (similarity, headline) in enumerate(db.execute(SEARCH, {"question": question}), start=1):
        print(f"  {rank:4}  {similarity:10.3f}  {headline}")
    print()


def sync(db):
    """The sync, and once more where another model made the vectors that are there."""
    print(SYNC)
    try:
        return json.loads(db.execute(SYNC).fetchone()[0])
    except sqlite3.OperationalError as e:
        if "reembed" not in str(e):
            raise
        print(f"-- {e}\n\n{REEMBED}")
        return json.loads(db.execute(REEMBED).fetchone()[0])


# In autocommit: a sync makes transactions of its own.
db = sqlite3.connect(DATABASE, isolation_level=None)
db.enable_load_extension(True)
db.load_extension(LIB)

print(REGISTER)
db.execute(REGISTER).fetchone()

print(TABLE + INDEX)
db.execute(TABLE)
with open(HEADLINES, encoding="utf-8") as lines:
    rows = [line.rstrip("\n").split("\t") for line in lines]
db.execute("BEGIN")
db.executemany("INSERT INTO headlines VALUES (?, ?) ON CONFLICT DO UPDATE SET headline = excluded.headline", rows)
db.execute("CREATE TEMP TABLE now(id INTEGER PRIMARY KEY)")
db.executemany("INSERT INTO now VALUES (?)", [row[:1] for row in rows])
db.execute("DELETE FROM headlines WHERE id NOT IN (SELECT id FROM now)")
db.execute("COMMIT")
db.execute(INDEX)

synced = sync(db)
total = db.execute("SELECT count(*) FROM headlines_index").fetchone()[0]
print(f"-- {synced['embedded']} headlines embedded, {total} in {DATABASE}\n")

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
