"""Makes shop.db: the help pages of a shop, and an index that finds them by meaning and by words."""

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

# In autocommit: a sync makes transactions of its own.
db = sqlite3.connect("shop.db", isolation_level=None)
sqlite_rembed.load(db)
url = os.environ.get("REMBED_URL", "http://localhost:11434")
db.execute("SELECT rembed_register('docs', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', ?)", (url,))
db.executescript("""
    DROP TABLE IF EXISTS pages_index;
    DROP TABLE IF EXISTS pages;
    CREATE TABLE pages(id INTEGER PRIMARY KEY, title TEXT, body TEXT);
    CREATE VIRTUAL TABLE pages_index USING rembed_index(client = 'docs', content = 'pages', columns = 'title, body');
""")
db.executemany("INSERT INTO pages(title, body) VALUES (?, ?)", PAGES)
print(db.execute("SELECT rembed_sync('pages_index')").fetchone()[0])
