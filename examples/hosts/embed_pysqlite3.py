# pip install pysqlite3-binary: a sqlite3 module that loads extensions, for a Python whose own cannot
import os

import pysqlite3 as sqlite3

db = sqlite3.connect(":memory:")
db.enable_load_extension(True)
db.load_extension(os.environ["REMBED_LIB"])
db.execute("SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', ?)", (os.environ["REMBED_URL"],)).fetchone()
print(db.execute("SELECT length(rembed('local', 'The quick brown fox')) / 4").fetchone()[0])
