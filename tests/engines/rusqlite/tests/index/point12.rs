//! Point 12: what cannot be indexed says why, and what is unusual works.

use rusqlite::Connection;

use crate::support::{
    DOCS, File, INDEX, Provider, check, check_of, error, indexed, indexed_in, list, one, open, sync, sync_of,
};

#[test]
fn what_cannot_be_indexed_says_why() {
    let db = open();
    db.execute_batch(
        "CREATE TABLE without(id INTEGER PRIMARY KEY, c) WITHOUT ROWID; CREATE TABLE plain(c); CREATE TABLE words(id TEXT PRIMARY KEY, c);
         CREATE TABLE two(a, b, c, PRIMARY KEY(a, b)); CREATE TABLE short(id INT PRIMARY KEY, c);
         CREATE TABLE falling(id INTEGER PRIMARY KEY DESC, c); CREATE TABLE t(id INTEGER PRIMARY KEY, c);
         CREATE VIEW v AS SELECT * FROM t; CREATE VIRTUAL TABLE f USING fts5(c)",
    )
    .unwrap();
    let before = list(&db, "SELECT name FROM sqlite_master");
    for (arguments, part) in [
        ("content = 'without', columns = 'c'", "it is WITHOUT ROWID"),
        (
            "content = 'plain', columns = 'c'",
            "it has no primary key, and an index needs an INTEGER PRIMARY KEY: VACUUM",
        ),
        ("content = 'words', columns = 'c'", "its primary key 'id' is not of the type INTEGER"),
        ("content = 'short', columns = 'c'", "its primary key 'id' is not of the type INTEGER"),
        ("content = 'two', columns = 'c'", "its primary key has several columns"),
        ("content = 'falling', columns = 'c'", "its key 'id' is declared DESC"),
        ("content = 'v', columns = 'c'", "it is a view"),
        ("content = 'f', columns = 'c'", "it is a virtual table"),
        ("content = 'none', columns = 'c'", "the schema 'main' has no such table"),
        ("content = 't', columns = 'd'", "it has no column 'd'. It has: id, c"),
        (
            "content = 't', columns = 'c', content_rowid = 'c'",
            "content_rowid is 'c', and its INTEGER PRIMARY KEY is 'id'",
        ),
        ("content = 't', columns = 'c', tokenize = 'nonesuch'", "tokenize = 'nonesuch'"),
    ] {
        for begin in ["", "BEGIN;"] {
            db.execute_batch(begin).unwrap();
            let e =
                error(&db, &format!("CREATE VIRTUAL TABLE i USING rembed_index(client = 'c', {arguments})"));
            assert!(e.contains(part), "{arguments}: {e}");
            if !begin.is_empty() {
                db.execute_batch("COMMIT").unwrap();
            }
            assert_eq!(list(&db, "SELECT name FROM sqlite_master"), before, "{arguments}");
        }
    }
    let e = error(
        &db,
        "CREATE VIRTUAL TABLE score USING rembed_index(client = 'c', content = 't', columns = 'c')",
    );
    assert!(e.contains("an index cannot have the name 'score'"), "{e}");
    db.execute_batch("CREATE TABLE i_rows(x)").unwrap();
    let e =
        error(&db, "CREATE VIRTUAL TABLE i USING rembed_index(client = 'c', content = 't', columns = 'c')");
    assert!(e.contains("needs the name 'i_rows', which is taken"), "{e}");
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM i_rows"), 0);
}

#[test]
fn names_that_need_quotes_work() {
    let provider = Provider::new("{}");
    let db = open();
    provider.register(&db, "it''s", "");
    db.execute_batch(
        "CREATE TABLE \"my \"\"docs\"(\"the id\" INTEGER PRIMARY KEY, \"a, b\" TEXT, [order] TEXT);
         INSERT INTO \"my \"\"docs\" VALUES (5, 'x', 'y');
         CREATE VIRTUAL TABLE \"select\" USING rembed_index(client = 'it''s', content = 'MY \"docs', content_rowid = 'THE ID', columns = '\"A, B\", order')",
    )
    .unwrap();
    assert_eq!(sync_of(&db, "\"SELECT\"").all(), [1, 0, 0, 0, 0]);
    assert_eq!(list(&db, "SELECT rowid || chunk FROM \"select\""), "5x\n\ny");
    db.execute_batch("UPDATE \"my \"\"docs\" SET [order] = 'z'").unwrap();
    assert_eq!(sync_of(&db, "main.select").all(), [1, 0, 1, 0, 0]);
    check_of(&db, "select");
}

#[test]
fn attached_and_temporary_schemas_work() {
    let (file, other) = (File::new(), File::new());
    let provider = Provider::new("{}");
    let db = file.open();
    provider.register(&db, "c", "");
    db.execute_batch(&format!("ATTACH '{}' AS \"an other\"", other.0.display())).unwrap();
    db.execute_batch(DOCS).unwrap();
    for schema in ["\"an other\"", "temp"] {
        db.execute_batch(&format!(
            "CREATE TABLE {schema}.docs(id INTEGER PRIMARY KEY, body); INSERT INTO {schema}.docs(body) VALUES ('text');
             CREATE VIRTUAL TABLE {schema}.docs_index USING rembed_index(client = 'c', content = 'docs', columns = 'body')"
        ))
        .unwrap();
        assert_eq!(sync_of(&db, &format!("{schema}.docs_index")).all(), [1, 0, 0, 0, 0]);
        assert_eq!(list(&db, &format!("SELECT chunk FROM {schema}.docs_index")), "text");
        db.execute_batch(&format!("UPDATE {schema}.docs SET body = 'other'")).unwrap();
        assert_eq!(sync_of(&db, &format!("{schema}.docs_index")).all(), [1, 0, 1, 0, 0]);
    }
    let e = error(&db, "SELECT rembed_sync('main.docs_index')");
    assert!(e.contains("there is no index 'main.docs_index'"), "{e}");
    // Found without a schema, temp first.
    assert_eq!(sync_of(&db, "docs_index").all(), [0; 5]);
    for schema in ["temp", "\"an other\""] {
        db.execute_batch(&format!("DROP TABLE {schema}.docs_index")).unwrap();
        assert_eq!(list(&db, &format!("SELECT name FROM {schema}.sqlite_master")), "docs");
    }
}

#[test]
fn utf16_works() {
    let provider = Provider::new("{}");
    let db = open();
    provider.register(&db, "c", "");
    db.execute_batch("PRAGMA encoding = 'UTF-16le'").unwrap();
    db.execute_batch(DOCS).unwrap();
    db.execute_batch(INDEX).unwrap();
    db.execute_batch("INSERT INTO docs(body) VALUES ('naïve 漢字 🎉')").unwrap();
    assert_eq!(sync(&db).all(), [4, 0, 0, 0, 0]);
    assert_eq!(list(&db, "SELECT chunk FROM docs_index WHERE rowid = 4"), "naïve 漢字 🎉");
    db.execute_batch("UPDATE docs SET body = body || '!' WHERE id = 4").unwrap();
    assert_eq!(sync(&db).all(), [1, 0, 1, 0, 0]);
    check(&db);
}

#[test]
fn a_backup_and_vacuum_keep_an_index() {
    let file = File::new();
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    db.execute_batch("DELETE FROM docs WHERE id = 1").unwrap();
    sync(&db);
    db.execute_batch("VACUUM").unwrap();
    check(&db);
    db.execute_batch(&format!("VACUUM INTO '{}'", file.0.display())).unwrap();
    let copy = file.open();
    provider.register(&copy, "c", "");
    assert_eq!(sync(&copy).all(), [0; 5]);
    check(&copy);
}

#[test]
fn a_read_only_database_is_read_and_not_synced() {
    let file = File::new();
    let provider = Provider::new("{}");
    {
        let db = indexed_in(&file, &provider);
        sync(&db);
        db.execute_batch("UPDATE docs SET body = 'x'").unwrap();
    }
    let db = Connection::open_with_flags(&file.0, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    sqlite_rembed::rusqlite::register(&db).unwrap();
    provider.register(&db, "c", "");
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index"), 3);
    let e = error(&db, "SELECT rembed_sync('docs_index')");
    assert!(e.contains("readonly database"), "{e}");
    assert!(db.is_autocommit());
}

#[test]
fn a_database_opened_without_us_works_but_for_the_index() {
    let file = File::new();
    {
        let db = file.open();
        db.execute_batch(DOCS).unwrap();
        db.execute_batch(INDEX).unwrap();
    }
    let db = Connection::open(&file.0).unwrap();
    db.execute_batch("INSERT INTO docs(body) VALUES ('x'); DELETE FROM docs; ALTER TABLE docs ADD COLUMN y")
        .unwrap();
    assert!(error(&db, "SELECT * FROM docs_index").contains("no such module"));
    assert_eq!(one::<String>(&db, "PRAGMA integrity_check"), "ok");
}
