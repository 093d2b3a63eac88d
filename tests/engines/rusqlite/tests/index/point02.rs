//! Point 2: triggers only mark rows, in SQL that works everywhere, whatever the user's statement says.

use rusqlite::Connection;

use crate::support::{DOCS, File, INDEX, Provider, check, indexed, indexed_in, list, one, open, sync};

const MARKS: &str = "SELECT \"row\" || ':' || kind FROM docs_index_marks ORDER BY 1";

fn synced(provider: &Provider) -> Connection {
    let db = indexed(provider);
    sync(&db);
    db
}

#[test]
fn a_conflict_clause_of_the_users_statement_changes_no_mark() {
    let db = synced(&Provider::new("{}"));
    db.execute_batch("INSERT INTO docs_index_marks VALUES (1, 1)").unwrap();
    for statement in [
        "UPDATE OR ABORT docs SET body = body || '!' WHERE id = 1",
        "UPDATE OR IGNORE docs SET body = body || '!' WHERE id = 1",
        "UPDATE OR FAIL docs SET body = body || '!' WHERE id = 1",
        "UPDATE OR ROLLBACK docs SET body = body || '!' WHERE id = 1",
        "UPDATE OR REPLACE docs SET body = body || '!' WHERE id = 1",
        "INSERT INTO docs(id, body) VALUES (1, 'upsert') ON CONFLICT(id) DO UPDATE SET body = excluded.body",
    ] {
        db.execute_batch(statement).unwrap_or_else(|e| panic!("{statement}: {e}"));
        assert_eq!(list(&db, MARKS), "1:1", "{statement}");
    }
    for statement in [
        "INSERT OR REPLACE INTO docs(id, body) VALUES (1, 'new')",
        "REPLACE INTO docs(id, body) VALUES (1, 'x')",
    ] {
        db.execute_batch(statement).unwrap();
        assert_eq!(list(&db, MARKS), "1:2", "{statement}");
    }
    db.execute_batch("INSERT OR IGNORE INTO docs(id, body) VALUES (1, 'ignored'), (9, 'taken')").unwrap();
    assert_eq!(list(&db, MARKS), "1:2|9:2");
}

#[test]
fn a_stronger_mark_is_never_weakened() {
    let db = synced(&Provider::new("{}"));
    db.execute_batch("DELETE FROM docs WHERE id = 3; INSERT INTO docs(id, body) VALUES (3, 'other')")
        .unwrap();
    assert_eq!(list(&db, MARKS), "3:2");
    db.execute_batch("UPDATE OR REPLACE docs SET body = 'again' WHERE id = 3").unwrap();
    assert_eq!(list(&db, MARKS), "3:2");
    db.execute_batch("UPDATE docs SET body = 'x' WHERE id = 1; DELETE FROM docs WHERE id = 1").unwrap();
    assert_eq!(list(&db, MARKS), "1:2|3:2");
}

#[test]
fn another_rowid_hides_both() {
    let db = synced(&Provider::new("{}"));
    for (statement, marks) in [
        ("UPDATE docs SET id = 30 WHERE id = 3", "30:2|3:2"),
        ("UPDATE docs SET rowid = 40 WHERE id = 30", "30:2|3:2|40:2"),
        ("UPDATE docs SET oid = 50 WHERE id = 40", "30:2|3:2|40:2|50:2"),
    ] {
        db.execute_batch(statement).unwrap();
        assert_eq!(list(&db, MARKS), marks, "{statement}");
    }
    // The text has moved: it is not sent again.
    assert_eq!(sync(&db).all(), [0, 1, 1, 0, 0]);
    check(&db);
    assert_eq!(one::<i64>(&db, "SELECT rowid FROM docs_index WHERE chunk = 'Third.'"), 50);
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index_vectors"), 3);
}

#[test]
fn columns_of_other_things_mark_nothing() {
    let provider = Provider::new("{}");
    let db = synced(&provider);
    db.execute_batch(
        "UPDATE docs SET lang = 'de'; UPDATE docs SET body = body; UPDATE docs SET title = title, id = id",
    )
    .unwrap();
    assert_eq!(list(&db, MARKS), "");
    // The collation of a column does not hide a change of case.
    db.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, c TEXT COLLATE NOCASE); INSERT INTO t VALUES (1, 'a');
         CREATE VIRTUAL TABLE t_index USING rembed_index(client = 'c', content = 't', columns = 'c');
         DELETE FROM t_index_marks; UPDATE t SET c = 'A'",
    )
    .unwrap();
    assert_eq!(list(&db, "SELECT \"row\" || ':' || kind FROM t_index_marks"), "1:1");
}

#[test]
fn a_value_of_another_type_is_another_text() {
    let provider = Provider::new("{}");
    let db = open();
    provider.register(&db, "c", "");
    db.execute_batch("CREATE TABLE docs(id INTEGER PRIMARY KEY, body); INSERT INTO docs(body) VALUES (1)")
        .unwrap();
    db.execute_batch("CREATE VIRTUAL TABLE docs_index USING rembed_index(client = 'c', content = 'docs', columns = 'body')").unwrap();
    for (value, text) in [("1", "1"), ("1.0", "1.0"), ("1", "1"), ("'1.0'", "1.0"), ("1.0", "1.0")] {
        db.execute_batch(&format!("UPDATE docs SET body = {value}")).unwrap();
        sync(&db);
        assert_eq!(list(&db, "SELECT chunk FROM docs_index"), text, "{value}");
        db.execute_batch("INSERT INTO docs_index(docs_index) VALUES ('integrity-check')").unwrap();
    }
    db.execute_batch("UPDATE docs SET body = 1; UPDATE docs SET body = 1").unwrap();
    sync(&db);
    db.execute_batch("UPDATE docs SET body = 1").unwrap();
    assert_eq!(list(&db, MARKS), "");
}

#[test]
fn a_generated_column_is_watched() {
    let provider = Provider::new("{}");
    let db = open();
    provider.register(&db, "c", "");
    db.execute_batch(
        "CREATE TABLE docs(id INTEGER PRIMARY KEY, data TEXT, body TEXT AS (json_extract(data, '$.body')) VIRTUAL, title TEXT AS (upper(data)) STORED);
         INSERT INTO docs(data) VALUES ('{\"body\": \"one\"}');",
    )
    .unwrap();
    db.execute_batch("CREATE VIRTUAL TABLE docs_index USING rembed_index(client = 'c', content = 'docs', columns = 'body')").unwrap();
    assert_eq!(sync(&db).all(), [1, 0, 0, 0, 0]);
    db.execute_batch("UPDATE docs SET data = '{\"body\": \"two\"}'").unwrap();
    assert_eq!(list(&db, MARKS), "1:1");
    sync(&db);
    assert_eq!(list(&db, "SELECT chunk FROM docs_index"), "two");
    check(&db);
}

#[test]
fn a_host_without_us_marks_too() {
    let file = File::new();
    let provider = Provider::new("{}");
    {
        let db = indexed_in(&file, &provider);
        sync(&db);
    }
    let plain = Connection::open(&file.0).unwrap();
    plain
        .execute_batch(
            "PRAGMA recursive_triggers = off; PRAGMA trusted_schema = off;
             UPDATE docs SET body = 'x' WHERE id = 1; DELETE FROM docs WHERE id = 2; INSERT INTO docs(body) VALUES ('new'); VACUUM",
        )
        .unwrap();
    plain.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).unwrap();
    plain.execute_batch("UPDATE docs SET body = 'y' WHERE id = 3").unwrap();
    assert_eq!(list(&plain, MARKS), "1:1|2:2|3:1|4:2");
    let db = file.open();
    provider.register(&db, "c", "");
    assert_eq!(sync(&db).all(), [3, 0, 3, 0, 0]);
    check(&db);
}

#[test]
fn in_defensive_mode_an_index_works_and_its_tables_cannot_be_written() {
    let provider = Provider::new("{}");
    let db = open();
    db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).unwrap();
    provider.register(&db, "c", "");
    db.execute_batch(DOCS).unwrap();
    db.execute_batch(INDEX).unwrap();
    assert_eq!(sync(&db).all(), [3, 0, 0, 0, 0]);
    db.execute_batch("UPDATE docs SET body = 'y' WHERE id = 3").unwrap();
    assert_eq!(sync(&db).all(), [1, 0, 1, 0, 0]);
    check(&db);
    for table in ["config", "rows", "chunks", "vectors", "segments", "errors", "claims", "words_data"] {
        let e = crate::support::error(&db, &format!("DELETE FROM docs_index_{table}"));
        assert!(e.contains("may not be modified"), "{table}: {e}");
    }
    db.execute_batch("ALTER TABLE docs_index RENAME TO other; DROP TABLE other").unwrap();
    assert_eq!(list(&db, "SELECT name FROM sqlite_master"), "docs");
}
