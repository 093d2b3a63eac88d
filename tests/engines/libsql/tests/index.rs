//! The semantic index in libSQL.

use driver::fake::Fake;
use libsql::{Builder, Connection};

async fn text(connection: &Connection, sql: &str) -> String {
    let mut rows = connection.query(sql, ()).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let row = rows.next().await.unwrap_or_else(|e| panic!("{sql}: {e}")).expect("a row");
    row.get_value(0).unwrap().as_text().expect("text").clone()
}

/// Syncs, and gives a number of what that says.
async fn synced(connection: &Connection, name: &str) -> String {
    let sql = format!("SELECT CAST(json_extract(rembed_sync('docs_index'), '$.{name}') AS TEXT)");
    text(connection, &sql).await
}

#[tokio::test]
async fn an_index_is_made_synced_rebuilt_and_dropped() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let db = Builder::new_local(folder.path().join("a.db")).build().await.unwrap();
    sqlite_rembed::libsql::register(&db).unwrap();
    let connection = db.connect().unwrap();
    connection.query(&fake.register(), ()).await.unwrap().next().await.unwrap();
    connection
        .execute_batch(
            "CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO docs(body) VALUES ('one'), ('two'), ('three');
             CREATE VIRTUAL TABLE docs_index USING rembed_index(client = 'c', content = 'docs', columns = 'body')",
        )
        .await
        .unwrap();
    assert_eq!(synced(&connection, "embedded").await, "3");
    connection
        .execute_batch(
            "UPDATE docs SET id = 30 WHERE id = 3; DELETE FROM docs WHERE id = 1; UPDATE docs SET body = 'x' WHERE id = 2",
        )
        .await
        .unwrap();
    assert_eq!(synced(&connection, "reused").await, "1");
    connection
        .execute_batch(
            "ALTER TABLE docs RENAME COLUMN body TO text; INSERT INTO docs_index(docs_index) VALUES ('rebuild');
             INSERT INTO docs_index(docs_index) VALUES ('optimize')",
        )
        .await
        .unwrap();
    assert_eq!(synced(&connection, "reused").await, "2");
    connection
        .execute_batch(
            "INSERT INTO docs_index(docs_index) VALUES ('integrity-check');
             ALTER TABLE docs_index RENAME TO other; ALTER TABLE other RENAME TO docs_index",
        )
        .await
        .unwrap();
    assert_eq!(text(&connection, "SELECT group_concat(rowid || chunk) FROM docs_index").await, "2x,30three");
    connection.execute_batch("DROP TABLE docs_index").await.unwrap();
    assert_eq!(text(&connection, "SELECT group_concat(name) FROM sqlite_master").await, "docs");
}
