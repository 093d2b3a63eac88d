//! Point 14: what a lock allows, and whom a table of a stranger's file obeys.

use crate::support::{Provider, check, error, indexed, list, sync};

#[test]
fn a_locked_connection_syncs_and_changes_no_model() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    db.query_row("SELECT rembed_lock()", [], |_| Ok(())).unwrap();
    assert_eq!(sync(&db).all(), [3, 0, 0, 0, 0]);
    let e = error(&db, "SELECT rembed_sync('docs_index', '{\"reembed\": true}')");
    assert!(e.contains("locked by rembed_lock(): an index may be synced, but not embedded anew"), "{e}");
    let e = error(&db, "INSERT INTO docs_index(docs_index, rank) VALUES ('client', 'other')");
    assert!(e.contains("locked by rembed_lock(): an index keeps its client"), "{e}");
    assert_eq!(list(&db, "SELECT value FROM docs_index_config WHERE name = 'client'"), "c");
    db.execute_batch(
        "INSERT INTO docs_index(docs_index, rank) VALUES ('client', 'c'); INSERT INTO docs_index(docs_index) VALUES ('rebuild')",
    )
    .unwrap();
    assert_eq!(sync(&db).all(), [0, 3, 0, 0, 0]);
    check(&db);
}

#[test]
fn a_file_calls_no_sync() {
    let db = indexed(&Provider::new("{}"));
    for sql in [
        "CREATE VIEW v AS SELECT rembed_sync('docs_index')",
        "CREATE TRIGGER t AFTER INSERT ON docs BEGIN SELECT rembed_sync('docs_index'); END",
    ] {
        db.execute_batch(sql).unwrap();
    }
    assert!(error(&db, "SELECT * FROM v").contains("unsafe use"));
    assert!(error(&db, "INSERT INTO docs(body) VALUES ('x')").contains("unsafe use"));
}

#[test]
fn damaged_tables_are_errors() {
    for (damage, part) in [
        ("DELETE FROM docs_index_config WHERE name = 'format'", "a newer version of sqlite-rembed made it"),
        (
            "UPDATE docs_index_config SET value = 2 WHERE name = 'format'",
            "a newer version of sqlite-rembed made it",
        ),
        ("UPDATE docs_index_config SET value = 'x' WHERE name = 'chunk_size'", "table of options is damaged"),
        ("UPDATE docs_index_config SET value = '{' WHERE name = 'model'", "table of options is damaged"),
        ("DROP TABLE docs_index_config", "is damaged: no such table"),
        ("DROP TABLE docs_index_marks", "docs_index_marks"),
        ("DROP TABLE docs_index_chunks", "docs_index_chunks"),
        ("DROP TABLE docs_index_words", "docs_index_words"),
        ("UPDATE docs_index_segments SET data = 'x'", "a segment of the index is damaged"),
    ] {
        let db = indexed(&Provider::new("{}"));
        sync(&db);
        db.execute_batch("UPDATE docs SET body = 'x'").unwrap();
        db.execute_batch(damage).unwrap();
        let e = error(&db, "SELECT rembed_sync('docs_index')");
        assert!(e.contains(part), "{damage}: {e}");
        assert!(db.is_autocommit());
        db.execute_batch("DROP TABLE docs_index").unwrap_or_else(|e| panic!("{damage}: {e}"));
        assert_eq!(list(&db, "SELECT name FROM sqlite_master"), "docs", "{damage}");
    }
}
