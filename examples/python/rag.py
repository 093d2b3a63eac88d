"""From a question to a prompt: what the pages of a shop say about it, for a language model to answer by.

    ollama pull nomic-embed-text
    python3 rag.py "how long may I take to send an item back?"
"""

import os
import sqlite3
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIB = os.environ.get("REMBED_LIB", str(ROOT / "target/release/libsqlite_rembed.so"))
URL = os.environ.get("REMBED_URL", "http://localhost:11434")
QUESTION = sys.argv[1] if len(sys.argv) > 1 else "How long may I take to return an item?"
PAGES = [
    ("Returns", "Return an item within 30 days and we refund the full price to the card you paid with.\n\n"
                "Gift cards are valid for two years and cannot be paid out in cash."),
    ("Delivery", "We deliver to all of Europe in three to five working days.\n\n"
                 "Change the delivery address until the parcel has left the warehouse."),
    ("Account", "Forgot your password? The sign-in page has a link to set a new one.\n\n"
                "Delete your account under Settings; what the tax office wants is kept for ten years."),
]

# In autocommit: a sync makes transactions of its own.
db = sqlite3.connect(":memory:", isolation_level=None)
db.enable_load_extension(True)
db.load_extension(LIB)
db.execute(
    "INSERT INTO temp.rembed_clients(name, format, model, url) VALUES ('local', 'ollama', 'nomic-embed-text', ?)", (URL,)
)

db.execute("CREATE TABLE pages(id INTEGER PRIMARY KEY, title TEXT, body TEXT)")
db.executemany("INSERT INTO pages(title, body) VALUES (?, ?)", PAGES)
db.execute(
    "CREATE VIRTUAL TABLE pages_index USING rembed_index("
    "client = 'local', content = 'pages', columns = 'body', chunk_size = 100, chunk_overlap = 0)"
)
db.execute("SELECT rembed_sync('pages_index')").fetchone()

found = db.execute(
    """
    SELECT p.title, i.chunk
    FROM pages_index(?) AS i JOIN pages AS p ON p.id = i.rowid
    WHERE i.k = 3 AND i.per_chunk = 1
    """,
    (QUESTION,),
).fetchall()
context = "\n\n".join(f"[{n}] {title}: {chunk.strip()}" for n, (title, chunk) in enumerate(found, start=1))
print(f"Answer by these passages alone, and name the number of the one you used.\n\n{context}\n\nQuestion: {QUESTION}")
