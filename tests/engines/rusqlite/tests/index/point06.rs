//! Point 6: an interrupt or a kill at any moment leaves an index whole, and no lock behind.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_uint, c_void};
use std::process::{Command, Stdio};
use std::time::Duration;

use rusqlite::{Connection, ffi};

use crate::support::{DOCS, File, INDEX, Provider, check, one, sync};

thread_local! {
    /// The statements until the connection is interrupted.
    static LEFT: Cell<i64> = const { Cell::new(-1) };
    /// Who changes the schema right before that, where the lock lets it.
    static OTHER: RefCell<Option<Connection>> = const { RefCell::new(None) };
    /// How often it did.
    static CHANGES: Cell<u32> = const { Cell::new(0) };
}

unsafe extern "C" fn traced(_: c_uint, db: *mut c_void, _: *mut c_void, _: *mut c_void) -> c_int {
    LEFT.set(LEFT.get() - 1);
    if LEFT.get() == 0 {
        OTHER.with_borrow(|other| {
            let changed =
                other.as_ref().map(|other| other.execute_batch("CREATE TABLE other(x); DROP TABLE other"));
            CHANGES.set(CHANGES.get() + u32::from(matches!(changed, Some(Ok(())))));
        });
        // SAFETY: the context is the connection, which runs the statement.
        unsafe { ffi::sqlite3_interrupt(db.cast()) };
    }
    0
}

/// Syncs, and interrupts before the n-th statement; true where it ended before that.
fn sync_interrupted(db: &Connection, n: i64) -> bool {
    // SAFETY: the connection is open.
    unsafe {
        let handle = db.handle();
        ffi::sqlite3_trace_v2(handle, ffi::SQLITE_TRACE_STMT as c_uint, Some(traced), handle.cast());
    }
    LEFT.set(n);
    let done = db.query_row("SELECT rembed_sync('docs_index')", [], |_| Ok(()));
    let is_over = LEFT.get() > 0;
    // SAFETY: as above.
    unsafe { ffi::sqlite3_trace_v2(db.handle(), 0, None, std::ptr::null_mut()) };
    if let Err(e) = &done {
        assert!(e.to_string().contains("interrupted"), "before statement {n}: {e}");
    }
    assert!(done.is_ok() || !is_over, "{done:?}");
    is_over
}

/// What a sync changes of its connection while it is at work.
fn settings(db: &Connection) -> [i64; 3] {
    ["synchronous", "wal_autocheckpoint", "cache_size"].map(|name| one(db, &format!("PRAGMA {name}")))
}

/// Interrupts a sync before each of its statements; by `has_other` while another connection changes the schema.
fn interrupt_everywhere(journal: &str, prepare: &str, has_other: bool) {
    let provider = Provider::new("{\"log\": false}");
    let mut n = 1;
    loop {
        let file = File::new();
        let db = file.open();
        provider.register(&db, "c", "");
        let durable = if journal == "WAL" { "EXTRA" } else { "OFF" };
        db.execute_batch(&format!("PRAGMA journal_mode = {journal}; PRAGMA synchronous = {durable}"))
            .unwrap();
        let before = settings(&db);
        db.execute_batch(DOCS).unwrap();
        db.execute_batch(INDEX).unwrap();
        if !prepare.is_empty() {
            sync(&db);
            db.execute_batch(prepare).unwrap();
        }
        let other = file.open();
        other.busy_timeout(Duration::ZERO).unwrap();
        if has_other {
            OTHER.set(Some(other));
        }
        let is_over = sync_interrupted(&db, n);
        assert!(db.is_autocommit(), "before statement {n}");
        // SAFETY: the connection is open.
        let lock = unsafe { ffi::sqlite3_txn_state(db.handle(), std::ptr::null()) };
        assert_eq!(lock, ffi::SQLITE_TXN_NONE, "before statement {n}");
        OTHER.take();
        if has_other || !prepare.is_empty() {
            // Where the schema had changed, SQLite could not take the settings back: the next function sees to it.
            let _: String = one(&db, "SELECT rembed_version()");
        }
        assert_eq!(settings(&db), before, "before statement {n}");
        let other = file.open();
        other.busy_timeout(Duration::ZERO).unwrap();
        let write = other.execute_batch("BEGIN IMMEDIATE; UPDATE docs SET lang = 'x'; COMMIT");
        assert!(write.is_ok(), "before statement {n}: {write:?}");
        assert_eq!(sync(&db).get("pending"), 0, "before statement {n}");
        check(&db);
        if is_over {
            assert!(n > 60, "only {n} statements");
            assert!(!has_other || CHANGES.get() > 20, "{} changes of the schema", CHANGES.get());
            return;
        }
        n += 1;
    }
}

#[test]
fn an_interrupt_before_any_statement_leaves_no_lock() {
    interrupt_everywhere("WAL", "", false);
}

/// What gives a second sync everything to do that one may have.
const EVERYTHING: &str =
    "UPDATE docs SET body = 'x' WHERE id = 1; UPDATE docs SET id = 20 WHERE id = 2; DELETE FROM docs WHERE id = 3;
     DROP TRIGGER docs_index_move; INSERT INTO docs_index(docs_index) VALUES ('rebuild');
     INSERT INTO docs_index(docs_index) VALUES ('optimize')";

#[test]
fn an_interrupt_of_a_second_sync_leaves_no_lock() {
    interrupt_everywhere("DELETE", EVERYTHING, false);
}

#[test]
fn an_interrupt_leaves_no_lock_where_another_has_just_changed_the_schema() {
    interrupt_everywhere("WAL", EVERYTHING, true);
}

#[test]
fn it_leaves_none_in_a_rollback_journal_either() {
    interrupt_everywhere("DELETE", "", true);
}

/// The child of the test below, which is killed.
#[test]
fn child() {
    let (Some(path), Some(register)) = (std::env::var_os("INDEX_CHILD"), std::env::var_os("INDEX_REGISTER"))
    else {
        return;
    };
    let db = Connection::open(path).unwrap();
    sqlite_rembed::rusqlite::register(&db).unwrap();
    db.query_row(&register.into_string().unwrap(), [], |_| Ok(())).unwrap();
    sync(&db);
}

#[test]
fn a_kill_leaves_an_index_whole() {
    let provider = Provider::new("{\"log\": false, \"latency_ms\": 3}");
    let file = File::new();
    let db = file.open();
    let more = ", 'batch_size', 10, 'concurrency', 4";
    provider.register(&db, "c", more);
    db.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    db.execute_batch(DOCS).unwrap();
    db.execute_batch(INDEX).unwrap();
    db.execute_batch(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
         INSERT INTO docs(body) SELECT 'text number ' || i FROM n",
    )
    .unwrap();
    let kills = 8;
    for kill in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "point06::child", "--nocapture"])
            .env("INDEX_CHILD", &file.0)
            .env("INDEX_REGISTER", provider.registration("c", more))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(60 + 37 * kill));
        child.kill().unwrap();
        child.wait().unwrap();
        // On a new connection: FTS5's part of this check (SQLite 3.51) goes by what the connection has seen before.
        assert_eq!(one::<String>(&file.open(), "PRAGMA integrity_check"), "ok");
    }
    // Whoever was killed has claimed some rows, for half a minute.
    db.execute_batch("UPDATE docs_index_claims SET until = 0").unwrap();
    assert_eq!(sync(&db).get("pending"), 0);
    check(&db);
    db.execute_batch("INSERT INTO docs_index(docs_index) VALUES ('integrity-check')").unwrap();
    // A round is 64 texts here.
    let sent = provider.texts();
    assert!((2003..=2003 + 64 * i64::try_from(kills).unwrap()).contains(&sent), "{sent} texts sent");
}
