//! Points 1 and 4: a sync is called by itself, and holds no lock while a request is out.

use std::time::Duration;

use rusqlite::Connection;

use crate::support::{
    DOCS, File, INDEX, Provider, Synced, check, error, indexed, list, one, sync, sync_with,
};

/// A file with an index, not synced, and a connection to it.
fn file(provider: &Provider, more: &str) -> (File, Connection) {
    let file = File::new();
    let db = file.open();
    provider.register(&db, "c", more);
    db.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    db.execute_batch(DOCS).unwrap();
    db.execute_batch(INDEX).unwrap();
    (file, db)
}

/// A sync on a thread of its own.
fn in_background(db: Connection) -> std::thread::JoinHandle<(Connection, Synced)> {
    std::thread::spawn(move || {
        let synced = sync(&db);
        (db, synced)
    })
}

fn wait_for_requests(provider: &Provider, n: i64) {
    while provider.told::<i64>("$.requests") < n {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn it_is_refused_within_a_transaction() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    let part = "a transaction is open: COMMIT first, or call it on a connection in autocommit mode";
    for begin in ["BEGIN", "BEGIN IMMEDIATE", "SAVEPOINT s"] {
        db.execute_batch(begin).unwrap();
        assert!(error(&db, "SELECT rembed_sync('docs_index')").contains(part), "{begin}");
        db.execute_batch(if begin == "SAVEPOINT s" { "RELEASE s" } else { "COMMIT" }).unwrap();
    }
    // No COMMIT ends these.
    let part = "a statement is still reading on this connection: read it to its end or close its cursor";
    for sql in [
        "SELECT rembed_sync('docs_index') FROM docs",
        "INSERT INTO docs(title) SELECT rembed_sync('docs_index')",
        "SELECT * FROM docs WHERE rembed_sync('docs_index')",
    ] {
        assert!(error(&db, sql).contains(part), "{sql}");
    }
    {
        let mut open = db.prepare("SELECT * FROM docs").unwrap();
        let mut rows = open.query([]).unwrap();
        rows.next().unwrap().unwrap();
        assert!(error(&db, "SELECT rembed_sync('docs_index')").contains(part));
    }
    // A statement that is open and reads nothing is none of these.
    {
        let mut open = db.prepare("SELECT 1 UNION ALL SELECT 2").unwrap();
        let mut rows = open.query([]).unwrap();
        rows.next().unwrap().unwrap();
        assert_eq!(sync(&db).all(), [3, 0, 0, 0, 0]);
    }
    check(&db);
}

#[test]
fn what_is_wrong_with_the_call_is_said() {
    let db = indexed(&Provider::new("{}"));
    for (sql, part) in [
        ("SELECT rembed_sync(NULL)", "the name of the index is NULL"),
        ("SELECT rembed_sync('docs')", "there is no index 'docs'"),
        ("SELECT rembed_sync('other.docs_index')", "there is no index 'other.docs_index'"),
        ("SELECT rembed_sync('docs_index', '{\"limt\": 1}')", "Did you mean 'limit'?"),
        ("SELECT rembed_sync('docs_index', 'reembed')", "are a JSON object"),
        ("SELECT rembed_unregister('c'); ", ""),
        ("SELECT rembed_sync('docs_index')", "'c' was not registered with rembed_clients"),
    ] {
        if part.is_empty() {
            let _: i64 = one(&db, sql);
        } else {
            let e = error(&db, sql);
            assert!(e.contains(part), "{sql}: {e}");
        }
    }
}

#[test]
fn a_limit_bounds_the_rows() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    assert_eq!(sync_with(&db, "{\"limit\": 2}").all(), [2, 0, 0, 0, 1]);
    assert_eq!(sync_with(&db, "{\"limit\": 2}").all(), [1, 0, 0, 0, 0]);
    check(&db);
}

#[test]
fn no_lock_is_held_while_a_request_is_out_and_a_row_that_changes_stays_marked() {
    for journal in ["WAL", "DELETE"] {
        let provider = Provider::new("{\"latency_ms\": 400}");
        let (file, db) = file(&provider, "");
        db.execute_batch(&format!("PRAGMA journal_mode = {journal}")).unwrap();
        let syncing = in_background(db);
        wait_for_requests(&provider, 1);
        let other = file.open();
        other.busy_timeout(Duration::ZERO).unwrap();
        other
            .execute_batch("BEGIN IMMEDIATE; UPDATE docs SET body = 'Meanwhile.' WHERE id = 1; DELETE FROM docs WHERE id = 2; COMMIT")
            .unwrap();
        let (db, synced) = syncing.join().unwrap();
        assert_eq!(synced.all(), [1, 0, 0, 0, 2], "{journal}");
        assert_eq!(list(&db, "SELECT chunk FROM docs_index"), "Third.");
        assert_eq!(sync(&db).all(), [1, 0, 0, 0, 0]);
        check(&db);
        assert_eq!(list(&db, "SELECT chunk FROM docs_index ORDER BY rowid"), "Match\n\nMeanwhile.|Third.");
    }
}

#[test]
fn the_lock_of_another_schema_is_none_of_ours() {
    let provider = Provider::new("{}");
    let (_file, db) = file(&provider, "");
    let attached = File::new();
    db.execute_batch(&format!("ATTACH '{}' AS aux", attached.0.display())).unwrap();
    let other = attached.open();
    other.execute_batch("CREATE TABLE t(x); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
    assert_eq!(sync(&db).all(), [3, 0, 0, 0, 0]);
}

#[test]
fn a_lock_is_waited_for() {
    let provider = Provider::new("{}");
    let (file, db) = file(&provider, "");
    db.busy_timeout(Duration::ZERO).unwrap();
    let other = file.open();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let syncing = in_background(db);
    std::thread::sleep(Duration::from_millis(200));
    other.execute_batch("COMMIT").unwrap();
    let (db, synced) = syncing.join().unwrap();
    assert_eq!(synced.all(), [3, 0, 0, 0, 0]);
    check(&db);
}

#[test]
fn a_lock_that_lets_nobody_read_is_waited_for() {
    let provider = Provider::new("{}");
    let (file, db) = file(&provider, "");
    db.execute_batch("PRAGMA journal_mode = DELETE").unwrap();
    drop(db);
    // Whose schema is not read yet.
    let db = file.open();
    provider.register(&db, "c", "");
    db.busy_timeout(Duration::ZERO).unwrap();
    let other = file.open();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let syncing = in_background(db);
    std::thread::sleep(Duration::from_millis(200));
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(syncing.join().unwrap().1.all(), [3, 0, 0, 0, 0]);
}

#[test]
fn a_lock_that_others_keep_is_an_error_that_is_not_busy() {
    let provider = Provider::new("{}");
    let (file, db) = file(&provider, ", 'timeout', 0.3");
    db.busy_timeout(Duration::ZERO).unwrap();
    let other = file.open();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let failed = db.query_row("SELECT rembed_sync('docs_index')", [], |_| Ok(())).unwrap_err();
    let rusqlite::Error::SqliteFailure(code, Some(text)) = failed else { panic!("{failed}") };
    assert_eq!(code.extended_code, rusqlite::ffi::SQLITE_ERROR);
    assert!(text.contains("others have kept the lock of the database for 0.3 s (option timeout"), "{text}");
    assert!(db.is_autocommit());
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(sync(&db).get("embedded"), 3);
}

#[test]
fn an_index_that_is_changed_meanwhile_is_read_again() {
    let provider = Provider::new("{\"latency_ms\": 400}");
    let (file, db) = file(&provider, "");
    let syncing = in_background(db);
    wait_for_requests(&provider, 1);
    let other = file.open();
    other.execute_batch("INSERT INTO docs_index(docs_index, rank) VALUES ('chunk_size', 12); ALTER TABLE docs RENAME TO texts").unwrap();
    let (db, synced) = syncing.join().unwrap();
    assert_eq!(synced.get("pending"), 0);
    check(&db);
    assert!(one::<i64>(&db, "SELECT max(length(chunk)) FROM docs_index") <= 12);
    // What had come by then was not sent again.
    assert_eq!(provider.texts(), 3 + synced.get("embedded") - 1);
}

#[test]
fn a_text_that_comes_twice_is_sent_once() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    db.execute_batch("DELETE FROM docs; INSERT INTO docs(body) VALUES ('Same.'), ('Same.'), ('Same.')")
        .unwrap();
    assert_eq!(sync(&db).all(), [1, 2, 0, 0, 0]);
    db.execute_batch("INSERT INTO docs(body) VALUES ('Same.'); DELETE FROM docs WHERE id < 3").unwrap();
    assert_eq!(sync(&db).all(), [0, 1, 2, 0, 0]);
    check(&db);
    assert_eq!(provider.texts(), 1);
}
