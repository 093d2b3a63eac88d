//! Point 13: without FTS5, or without a tokenizer, there are vectors alone.

use rusqlite::{Connection, ffi};

use crate::support::{DOCS, File, INDEX, Provider, check, error, list, matches, open, sync};

/// A connection whose SQLite has no FTS5.
fn open_without(file: &File, provider: &Provider) -> Connection {
    let db = file.open();
    let mut kept = [c"rembed_index".as_ptr(), c"rembed_clients".as_ptr(), std::ptr::null()];
    // SAFETY: the connection is open, and the list ends with NULL.
    unsafe { ffi::sqlite3_drop_modules(db.handle(), kept.as_mut_ptr()) };
    provider.register(&db, "c", "");
    db
}

fn open_with(file: &File, provider: &Provider) -> Connection {
    let db = file.open();
    provider.register(&db, "c", "");
    db
}

#[test]
fn an_index_without_words_is_of_vectors_alone() {
    let provider = Provider::new("{}");
    let db = open();
    provider.register(&db, "c", "");
    db.execute_batch(DOCS).unwrap();
    db.execute_batch(&INDEX.replace("columns =", "tokenize = '', columns =")).unwrap();
    assert_eq!(sync(&db).all(), [3, 0, 0, 0, 0]);
    db.execute_batch("UPDATE docs SET body = 'x' WHERE id = 1; DELETE FROM docs WHERE id = 2").unwrap();
    assert_eq!(sync(&db).all(), [1, 0, 2, 0, 0]);
    assert_eq!(list(&db, "SELECT name FROM sqlite_master WHERE name LIKE '%words%'"), "");
    db.execute_batch("INSERT INTO docs_index(docs_index) VALUES ('integrity-check'); ALTER TABLE docs_index RENAME TO i; DROP TABLE i").unwrap();
}

#[test]
fn an_index_of_a_host_without_fts5_gets_its_words_later() {
    let (file, provider) = (File::new(), Provider::new("{}"));
    {
        let db = open_without(&file, &provider);
        db.execute_batch(DOCS).unwrap();
        db.execute_batch(INDEX).unwrap();
        assert_eq!(sync(&db).all(), [3, 0, 0, 0, 0]);
        assert_eq!(list(&db, "SELECT name FROM sqlite_master WHERE name LIKE '%words%'"), "");
        // Nothing is left of it: a connection at the same address would have no functions.
        db.close().unwrap();
        assert_eq!(list(&open(), "SELECT rembed_version() > ''"), "1");
    }
    let db = open_with(&file, &provider);
    assert_eq!(sync(&db).all(), [0; 5]);
    check(&db);
}

#[test]
fn a_host_without_fts5_syncs_an_index_with_words() {
    let (file, provider) = (File::new(), Provider::new("{}"));
    {
        let db = open_with(&file, &provider);
        db.execute_batch(DOCS).unwrap();
        db.execute_batch(INDEX).unwrap();
        sync(&db);
    }
    {
        let db = open_without(&file, &provider);
        db.execute_batch("UPDATE docs SET body = 'Changed.' WHERE id = 1; DELETE FROM docs WHERE id = 3")
            .unwrap();
        assert_eq!(sync(&db).all(), [1, 0, 2, 0, 0]);
        // SQLite has a text of its own for what DROP TABLE fails with.
        error(&db, "DROP TABLE docs_index");
        assert_eq!(list(&db, "SELECT rembed_last_error()"), "no such module: fts5");
        db.close().unwrap();
    }
    let db = open_with(&file, &provider);
    assert_eq!(sync(&db).get("embedded"), 0);
    check(&db);
    assert_eq!((matches(&db, "third OR team"), matches(&db, "changed")), (String::new(), "4".into()));
}
