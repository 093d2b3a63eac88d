"""Search the help pages of a shop by meaning.

    ollama pull nomic-embed-text
    pip install -r requirements.txt
    python3 search.py "where is my order?"
"""

import os
import sqlite3
import sys
from pathlib import Path

import sqlite_vec

ROOT = Path(__file__).resolve().parents[2]
LIB = os.environ.get("REMBED_LIB", str(ROOT / "target/release/libsqlite_rembed.so"))
URL = os.environ.get("REMBED_URL", "http://localhost:11434")
QUERY = sys.argv[1] if len(sys.argv) > 1 else "How do I return an item and get a refund?"
PAGES = [
    "Follow a parcel with the tracking link in our e-mail; it works as soon as the parcel leaves the warehouse.",
    "Return an item within 30 days and we refund the full price to the card you paid with.",
    "Forgot your password? The sign-in page has a link to set a new one.",
    "We deliver to all of Europe in three to five working days.",
    "Invoices are PDF files; download them from your order history.",
    "Gift cards are valid for two years and cannot be paid out in cash.",
    "Change the delivery address until the parcel has left the warehouse.",
    "Delete your account under Settings; what the tax office wants is kept for ten years.",
]

db = sqlite3.connect(":memory:")
db.enable_load_extension(True)
db.load_extension(LIB)
sqlite_vec.load(db)

db.execute(
    "INSERT INTO temp.rembed_clients(name, format, model, url) VALUES ('local', 'ollama', 'nomic-embed-text', ?)",
    (URL,),
)

db.execute("CREATE TABLE pages(id INTEGER PRIMARY KEY, body TEXT)")
db.executemany("INSERT INTO pages(body) VALUES (?)", [(page,) for page in PAGES])

db.execute("CREATE VIRTUAL TABLE vec_pages USING vec0(embedding float[768] distance_metric=cosine)")
db.execute("INSERT INTO vec_pages(rowid, embedding) SELECT id, rembed('local', body) FROM pages")

results = db.execute(
    """
    SELECT 1 - distance, body
    FROM vec_pages JOIN pages ON pages.id = vec_pages.rowid
    WHERE embedding MATCH rembed('local', ?) AND k = 3
    ORDER BY distance
    """,
    (QUERY,),
)
for similarity, body in results:
    print(f"{similarity:.3f}  {body}")
