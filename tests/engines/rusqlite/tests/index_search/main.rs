//! A search of an index on a real SQLite. Each test is named after a point of what must be so.

mod questions;
mod ranking;
mod strangers;
#[allow(dead_code)] // the tests of a sync use the rest
#[path = "../index/support.rs"]
mod support;
mod tables;

use rusqlite::Connection;
use support::{INDEX, Provider, open, sync};

/// An index of `rows` rows, the texts of which are `word N …`, with every tenth in English.
fn many(provider: &Provider, rows: i64) -> Connection {
    let db = open();
    provider.register(&db, "c", "");
    db.execute_batch("CREATE TABLE docs(id INTEGER PRIMARY KEY, title TEXT, body TEXT, lang TEXT)").unwrap();
    db.execute(
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
         INSERT INTO docs SELECT i, 'word ' || i, CASE i % 7 WHEN 0 THEN 'seventh' END, iif(i % 10, 'de', 'en') FROM n",
        [rows],
    )
    .unwrap();
    db.execute_batch(INDEX).unwrap();
    sync(&db);
    db
}
