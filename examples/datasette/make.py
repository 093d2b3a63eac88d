"""Makes shop.db: the help pages of a shop, and a vector of each."""

import os
import sqlite3

import sqlite_rembed

PAGES = [
    ("Tracking", "Follow a parcel with the tracking link in our e-mail; it works as soon as the parcel leaves the warehouse."),
    ("Returns", "Return an item within 30 days and we refund the full price to the card you paid with."),
    ("Password", "Forgot your password? The sign-in page has a link to set a new one."),
    ("Delivery", "We deliver to all of Europe in three to five working days."),
    ("Invoices", "Invoices are PDF files; download them from your order history."),
    ("Gift cards", "Gift cards are valid for two years and cannot be paid out in cash."),
    ("Addresses", "Change the delivery address until the parcel has left the warehouse."),
    ("Accounts", "Delete your account under Settings; what the tax office wants is kept for ten years."),
]

db = sqlite3.connect("shop.db")
sqlite_rembed.load(db)
url = os.environ.get("REMBED_URL", "http://localhost:11434")
db.execute("SELECT rembed_register('docs', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', ?)", (url,))
db.executescript("DROP TABLE IF EXISTS pages; CREATE TABLE pages(id INTEGER PRIMARY KEY, title TEXT, body TEXT, embedding BLOB)")
db.executemany("INSERT INTO pages(title, body) VALUES (?, ?)", PAGES)
# One request for all, with no lock held; then rembed() takes the vectors from the cache.
db.commit()
db.execute("SELECT rembed_prefetch('docs', json_group_array(body), 'document') FROM pages").fetchone()
db.execute("UPDATE pages SET embedding = rembed('docs', body, 'document')")
db.commit()
