"""What the release runs on every system: the installed wheel loads, says what it is, and, where it has a model, embeds."""

import sqlite3

import sqlite_rembed

try:
    db = sqlite3.connect(":memory:")
    sqlite_rembed.load(db)
except RuntimeError:  # macOS's and some builders' Pythons
    import pysqlite3

    db = pysqlite3.connect(":memory:")
    sqlite_rembed.load(db)
print(said := db.execute("SELECT rembed_debug()").fetchone()[0])
features = next(line for line in said.splitlines() if line.startswith("Features:"))
assert "sqlite" in features and "turso" in features
if "local" in features:
    db.execute("SELECT rembed_register('local', 'format', 'local')")
    assert db.execute("SELECT length(rembed('local', 'some text'))").fetchone()[0] == 4 * 384
