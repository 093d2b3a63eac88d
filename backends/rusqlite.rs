//! Apps that bundle SQLite by rusqlite.
