//! The semantic index on libSQL: lists of rowids come whole, by functions that are looked up in libSQL's own table.

use driver::fake::Fake;
use libsql::{Builder, Connection};

async fn run(connection: &Connection, sql: &str) -> String {
    let mut rows = connection.query(sql, ()).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let mut shown = Vec::new();
    while let Some(row) = rows.next().await.unwrap_or_else(|e| panic!("{sql}: {e}")) {
        shown.push(row.get_str(0).unwrap_or_default().to_owned());
    }
    shown.join("|")
}

#[tokio::test]
async fn an_index_is_made_synced_and_searched() {
    let fake = Fake::start();
    let db = Builder::new_local(":memory:").build().await.unwrap();
    sqlite_rembed::libsql::register(&db).unwrap();
    let connection = db.connect().unwrap();
    for sql in [
        &*fake.register(),
        "CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT)",
        "INSERT INTO docs VALUES (1, 'The home team won.'), (2, 'Money comes back.'), (3, 'Third.')",
        "CREATE VIRTUAL TABLE docs_index USING rembed_index(client = c, content = docs, columns = body)",
        "SELECT rembed_sync('docs_index')",
    ] {
        run(&connection, sql).await;
    }
    let best = "SELECT rowid || snippet FROM docs_index('who won?') LIMIT 1";
    assert_eq!(run(&connection, best).await, "1The home team [won].");
    let among = "SELECT rowid || '' FROM docs_index('who won?') WHERE rowid IN (SELECT id FROM docs WHERE id > 1) AND k = 2 ORDER BY rowid";
    assert_eq!(run(&connection, among).await, "2|3");
    let chunks = "SELECT group_concat(trim(chunk), '|') FROM rembed_chunks('One two. Three four.', 12, 0)";
    assert_eq!(run(&connection, chunks).await, "One two.|Three four.");
    assert_eq!(
        run(&connection, "SELECT answers FROM rembed_index_status('docs_index')").await,
        "meaning and words"
    );
}
