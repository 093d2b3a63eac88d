//! `register()` on connections that have something of ours already.

use rusqlite::{Connection, ffi};

fn ask(db: &Connection, sql: &str) -> rusqlite::Result<String> {
    db.query_row(sql, [], |row| row.get(0))
}

unsafe extern "C" fn one(context: *mut ffi::sqlite3_context, _: i32, _: *mut *mut ffi::sqlite3_value) {
    // SAFETY: SQLite passes the context of the call.
    unsafe { ffi::sqlite3_result_int(context, 1) }
}

#[test]
fn what_fails_halfway_can_be_done_again() {
    let db = Connection::open_in_memory().unwrap();
    // SAFETY: the connection is open, and the function needs nothing.
    let rc = unsafe {
        let (name, none) = (c"rembed_stats".as_ptr(), std::ptr::null_mut());
        ffi::sqlite3_create_function_v2(
            db.handle(),
            name,
            0,
            ffi::SQLITE_UTF8,
            none,
            Some(one),
            None,
            None,
            None,
        )
    };
    assert_eq!(rc, ffi::SQLITE_OK);
    {
        // While a statement runs, a function of the connection cannot be replaced.
        let mut running = db.prepare("SELECT rembed_stats() UNION ALL SELECT 2").unwrap();
        let mut rows = running.query([]).unwrap();
        rows.next().unwrap().unwrap();
        let e = sqlite_rembed::rusqlite::register(&db).unwrap_err().to_string();
        assert!(e.contains("cannot register rembed_stats: error 5"), "{e}");
    }
    sqlite_rembed::rusqlite::register(&db).unwrap();
    assert_eq!(ask(&db, "SELECT rembed_stats()").unwrap(), "{}");
    assert_eq!(ask(&db, "SELECT 'rows: ' || count(*) FROM rembed_clients").unwrap(), "rows: 0");
}

#[test]
fn a_loaded_library_keeps_its_clients() {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../target/release/libsqlite_rembed.so");
    let library = std::env::var("REMBED_LIB").unwrap_or_else(|_| built.into());
    let db = Connection::open_in_memory().unwrap();
    // SAFETY: the library is an extension of SQLite.
    unsafe {
        db.load_extension_enable().unwrap();
        db.load_extension(library, None::<&str>).unwrap();
    }
    ask(&db, "SELECT rembed_register('mine', 'openai')").unwrap();
    sqlite_rembed::rusqlite::register(&db).unwrap();
    assert_eq!(ask(&db, "SELECT name FROM rembed_clients").unwrap(), "mine");
}

#[test]
fn a_locked_connection_stays_locked() {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../target/release/libsqlite_rembed.so");
    let library = std::env::var("REMBED_LIB").unwrap_or_else(|_| built.into());
    for loaded_first in [false, true] {
        let db = Connection::open_in_memory().unwrap();
        let load = || {
            // SAFETY: the library is an extension of SQLite.
            unsafe {
                db.load_extension_enable().unwrap();
                db.load_extension(&library, None::<&str>).unwrap();
            }
        };
        if loaded_first {
            load();
        }
        sqlite_rembed::rusqlite::register(&db).unwrap();
        db.query_row("SELECT rembed_lock()", [], |row| row.get::<_, i64>(0)).unwrap();
        load();
        sqlite_rembed::rusqlite::register(&db).unwrap();
        let e = ask(&db, "SELECT rembed_register('mine', 'openai')").unwrap_err().to_string();
        assert!(e.starts_with("locked by rembed_lock(): "), "{e}");
    }
}
