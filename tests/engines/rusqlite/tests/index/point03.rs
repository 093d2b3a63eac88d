//! Point 3: a content table that was made anew, and rows that go without a word.

use rusqlite::Connection;

use crate::support::{Provider, check, error, indexed, list, one, sync};

fn synced(provider: &Provider) -> Connection {
    let db = indexed(provider);
    assert_eq!(sync(&db).all(), [3, 0, 0, 0, 0]);
    db
}

/// As Django, Alembic and sqlite-utils do it; `change` is done to the new table.
fn rebuild(db: &Connection, change: &str) {
    db.execute_batch(&format!(
        "BEGIN;
         CREATE TABLE new_docs(id INTEGER PRIMARY KEY, title TEXT, body TEXT NOT NULL, lang TEXT, extra);
         INSERT INTO new_docs(id, title, body, lang) SELECT id, title, body, lang FROM docs;
         DROP TABLE docs; ALTER TABLE new_docs RENAME TO docs; {change}; COMMIT"
    ))
    .unwrap();
}

#[test]
fn a_table_made_anew_is_compared_by_hash() {
    let provider = Provider::new("{}");
    let db = synced(&provider);
    rebuild(
        &db,
        "UPDATE docs SET body = 'Else.' WHERE id = 2; DELETE FROM docs WHERE id = 1; INSERT INTO docs(body) VALUES ('New.')",
    );
    let e = error(&db, "SELECT * FROM docs_index");
    assert!(e.contains("SELECT rembed_sync('\"docs_index\"')") && e.contains("lost its triggers"), "{e}");
    assert_eq!(sync(&db).all(), [2, 0, 2, 0, 0]);
    check(&db);
    assert_eq!(list(&db, "SELECT chunk FROM docs_index ORDER BY rowid"), "Refunds\n\nElse.|Third.|New.");
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"), 4);
    db.execute_batch("UPDATE docs SET body = 'Again.' WHERE id = 3").unwrap();
    assert_eq!(sync(&db).all(), [1, 0, 1, 0, 0]);
    assert_eq!(provider.texts(), 6);
}

#[test]
fn a_lost_or_changed_trigger_is_made_anew() {
    let db = synced(&Provider::new("{}"));
    for loss in [
        "DROP TRIGGER docs_index_insert",
        "DROP TRIGGER docs_index_update",
        "DROP TRIGGER docs_index_move",
        "DROP TRIGGER docs_index_delete",
        "DROP TRIGGER docs_index_delete; CREATE TRIGGER docs_index_delete AFTER DELETE ON docs BEGIN SELECT 1; END",
    ] {
        db.execute_batch(loss).unwrap();
        assert!(error(&db, "SELECT * FROM docs_index").contains("rembed_sync"), "{loss}");
        assert_eq!(sync(&db).all(), [0; 5], "{loss}");
        assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index"), 3);
    }
}

#[test]
fn names_follow_alter_table() {
    let provider = Provider::new("{}");
    let db = synced(&provider);
    db.execute_batch(
        "ALTER TABLE docs RENAME TO \"my docs\"; ALTER TABLE \"my docs\" RENAME COLUMN body TO \"the \"\"text\";
         ALTER TABLE \"my docs\" RENAME COLUMN id TO key; ALTER TABLE \"my docs\" ADD COLUMN more;
         UPDATE \"my docs\" SET \"the \"\"text\" = 'Renamed.' WHERE key = 3",
    )
    .unwrap();
    assert_eq!(sync(&db).all(), [1, 0, 1, 0, 0]);
    assert_eq!(list(&db, "SELECT chunk FROM docs_index WHERE rowid = 3"), "Renamed.");
    // The names of now are known where the triggers are lost later.
    db.execute_batch(
        "CREATE TABLE n(key INTEGER PRIMARY KEY, title, \"the \"\"text\"); INSERT INTO n SELECT key, title, \"the \"\"text\" FROM \"my docs\";
         DROP TABLE \"my docs\"; ALTER TABLE n RENAME TO \"my docs\"",
    )
    .unwrap();
    assert_eq!(sync(&db).all(), [0; 5]);
    check(&db);
}

#[test]
fn what_replace_evicts_is_swept() {
    let provider = Provider::new("{}");
    let db = synced(&provider);
    db.execute_batch(
        "CREATE UNIQUE INDEX titles ON docs(title); PRAGMA recursive_triggers = off;
         INSERT OR REPLACE INTO docs(id, title, body) VALUES (7, 'Match', 'Evicts the first.')",
    )
    .unwrap();
    assert_eq!(list(&db, "SELECT \"row\" FROM docs_index_marks"), "7");
    assert_eq!(sync(&db).all(), [1, 0, 1, 0, 0]);
    check(&db);
    assert_eq!(list(&db, "SELECT rowid FROM docs_index ORDER BY 1"), "2|3|7");
}

#[test]
fn a_content_table_that_went_is_said() {
    let db = synced(&Provider::new("{}"));
    db.execute_batch("DROP TABLE docs").unwrap();
    let e = error(&db, "SELECT * FROM docs_index");
    assert!(e.contains("lost"), "{e}");
    let e = error(&db, "SELECT rembed_sync('docs_index')");
    assert!(e.contains("content = 'docs': the schema 'main' has no such table"), "{e}");
    db.execute_batch("CREATE TABLE docs(id INTEGER PRIMARY KEY, title)").unwrap();
    let e = error(&db, "SELECT rembed_sync('docs_index')");
    assert!(e.contains("it has no column 'body'. It has: id, title"), "{e}");
    db.execute_batch("DROP TABLE docs_index").unwrap();
    assert_eq!(list(&db, "SELECT name FROM sqlite_master"), "docs");
}

#[test]
fn an_id_that_is_used_again_is_not_found_by_its_old_text() {
    let db = synced(&Provider::new("{}"));
    db.execute_batch("DELETE FROM docs WHERE id = 3; INSERT INTO docs(body) VALUES ('Other.')").unwrap();
    assert_eq!(list(&db, "SELECT \"row\" || ':' || kind FROM docs_index_marks"), "3:2");
    assert_eq!(sync(&db).all(), [1, 0, 1, 0, 0]);
    check(&db);
}

#[test]
fn a_content_table_made_anew_as_another_one_says_what_to_do() {
    let db = synced(&Provider::new("{}"));
    db.execute_batch("DROP TABLE docs; CREATE TABLE docs(id INTEGER PRIMARY KEY, text TEXT); INSERT INTO docs VALUES (1, 'new')")
        .unwrap();
    let e = error(&db, "SELECT rembed_sync('docs_index')");
    assert!(e.contains("it has no column 'title'") && e.contains("('columns', …) and sync it"), "{e}");
    db.execute_batch("INSERT INTO docs_index(docs_index, rank) VALUES ('columns', 'text')").unwrap();
    assert_eq!(sync(&db).all(), [1, 0, 3, 0, 0]);
    check(&db);
    db.execute_batch("DROP TABLE docs; CREATE TABLE docs(number INTEGER PRIMARY KEY, text TEXT)").unwrap();
    let e = error(&db, "SELECT rembed_sync('docs_index')");
    assert!(
        e.contains("its INTEGER PRIMARY KEY is 'number'") && e.contains("else DROP TABLE \"docs_index\""),
        "{e}"
    );
    db.execute_batch("DROP TABLE docs_index").unwrap();
}
