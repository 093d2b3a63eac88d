"""A client of the server (PyPI libsql): every statement runs there.

    pip install -r requirements.txt
    SERVER=http://127.0.0.1:8080 python3 search.py
"""

import os

import libsql

db = libsql.connect(os.environ.get("SERVER", "http://127.0.0.1:8080"))
db.execute("CREATE TABLE IF NOT EXISTS notes(body TEXT, embedding F32_BLOB(768))")
for body in ("The office is closed on Sundays.", "Refunds take five days."):
    db.execute("INSERT INTO notes VALUES (?1, rembed('docs', ?1))", (body,))
    db.commit()
nearest = "SELECT body FROM notes ORDER BY vector_distance_cos(embedding, rembed('docs', ?)) LIMIT 1"
print(db.execute(nearest, ("how many days does a refund take?",)).fetchone()[0])
