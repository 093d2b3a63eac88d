# pip install apsw
import os

import apsw

db = apsw.Connection(":memory:")
db.enable_load_extension(True)
db.load_extension(os.environ["REMBED_LIB"])
db.execute("SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', ?)", (os.environ["REMBED_URL"],)).fetchall()
print(db.execute("SELECT length(rembed('local', 'The quick brown fox')) / 4").get)
