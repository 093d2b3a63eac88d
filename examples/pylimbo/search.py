"""Search the help pages of a shop by meaning, in Limbo.

    ollama pull nomic-embed-text
    pip install -r requirements.txt
    cargo build --release --no-default-features --features limbo --target-dir target/limbo
    python3 search.py "where is my order?"
"""

import os
import sys
from pathlib import Path

import limbo

ROOT = Path(__file__).resolve().parents[2]
LIB = os.environ.get("REMBED_LIMBO_LIB", str(ROOT / "target/limbo/release/libsqlite_rembed.so"))
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

db = limbo.connect(":memory:").cursor()
# Limbo runs a SELECT when its rows are fetched.
db.execute("SELECT load_extension(?)", (LIB.removesuffix(".so"),)).fetchone()
db.execute(
    "SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', ?)", (URL,)
).fetchone()

db.execute("CREATE TABLE pages(id INTEGER PRIMARY KEY, body TEXT, embedding BLOB)")
for page in PAGES:
    db.execute("INSERT INTO pages(body, embedding) VALUES (?, rembed('local', ?))", (page, page))

# ?1, since ORDER BY evaluates the expression again, and a bare ? would be another parameter there.
results = db.execute(
    """
    SELECT 1 - vector_distance_cos(embedding, rembed('local', ?1)) AS similarity, body
    FROM pages
    ORDER BY similarity DESC
    LIMIT 3
    """,
    (QUERY,),
)
for similarity, body in results.fetchall():
    print(f"{similarity:.3f}  {body}")
