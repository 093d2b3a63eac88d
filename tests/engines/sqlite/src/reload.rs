//! Loading throws away what SQLite has parsed of the schema, and changes nothing else of the host's.
//! Shared by the hosts on the newest and on an old SQLite.

use std::ffi::{c_char, c_int, c_void};
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ffi};

use crate::stranger::{Way, load};

const NOTES: &str = "CREATE TABLE notes(body); INSERT INTO notes VALUES ('a'), ('b'), ('c')";

fn with_notes() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(NOTES).unwrap();
    assert!(parsed(&db) > 0);
    db
}

fn int(db: &Connection, sql: &str) -> i64 {
    db.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

fn writable(db: &Connection) -> bool {
    db.db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA).unwrap()
}

fn has_functions(db: &Connection) -> bool {
    db.prepare("SELECT rembed_version()").is_ok()
}

/// It throws it away, once, and leaves `writable_schema` and the defensive mode as they were.
pub fn the_schema_goes_and_the_hosts_settings_stay(library: &Path) {
    for (on, defensive) in [(false, false), (true, false), (false, true), (true, true)] {
        let db = with_notes();
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, on).unwrap();
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, defensive).unwrap();
        load(&db, library, Way::Api).unwrap();
        assert_eq!((parsed(&db), writable(&db)), (0, on), "{defensive}");
        assert_eq!(int(&db, "SELECT count(*) FROM notes"), 3);
        load(&db, library, Way::Api).unwrap();
        load(&db, library, Way::Function).unwrap();
        assert!(parsed(&db) > 0, "what is complete is not done again");
        assert_eq!(writable(&db), on);
    }
}

/// SELECTs that are under way go on; those that were prepared work.
pub fn open_statements_go_on(library: &Path) {
    for way in [Way::Api, Way::Function] {
        let db = with_notes();
        db.execute_batch("CREATE TABLE n(i); INSERT INTO n VALUES (1), (2), (3)").unwrap();
        let mut prepared = db.prepare("SELECT group_concat(body) FROM notes").unwrap();
        let mut insert = db.prepare("INSERT INTO notes VALUES (?)").unwrap();
        // It opens a table anew for each row.
        let sql = "SELECT i, (SELECT group_concat(body) FROM notes WHERE i > 0) FROM n";
        let mut running = db.prepare(sql).unwrap();
        let mut rows = running.query([]).unwrap();
        let text = |row: &rusqlite::Row<'_>| row.get::<_, String>(1).unwrap();
        assert_eq!(text(rows.next().unwrap().unwrap()), "a,b,c");
        load(&db, library, way).unwrap();
        assert_eq!(text(rows.next().unwrap().unwrap()), "a,b,c");
        assert_eq!(text(rows.next().unwrap().unwrap()), "a,b,c");
        assert!(rows.next().unwrap().is_none());
        insert.execute(["d"]).unwrap();
        assert_eq!(prepared.query_row([], |row| row.get::<_, String>(0)).unwrap(), "a,b,c,d");
    }
}

/// The statement that loads goes on as well.
#[allow(unused_unsafe)] // it became unsafe in a newer rusqlite
pub fn the_statement_that_loads_goes_on(library: &Path) {
    let db = with_notes();
    // SAFETY: the library is ours.
    unsafe { db.load_extension_enable() }.unwrap();
    let sql = "SELECT load_extension(?1), body, (SELECT count(*) FROM notes n WHERE n.body <= notes.body) FROM notes";
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([library.to_str()], |row| Ok((row.get(1)?, row.get(2)?))).unwrap();
    let rows: Vec<(String, i64)> = rows.map(|row| row.unwrap()).collect();
    assert_eq!(rows, [("a".into(), 1), ("b".into(), 2), ("c".into(), 3)]);
    assert!(has_functions(&db));
}

/// A statement that writes has pointers into the parsed schema: SQLite would follow them (heap-use-after-free with an
/// update hook).
#[allow(unused_unsafe)] // it became unsafe in a newer rusqlite
pub fn a_statement_that_writes_cannot_load(library: &Path) {
    let db = with_notes();
    // SAFETY: the library is ours.
    unsafe { db.load_extension_enable() }.unwrap();
    for sql in
        ["INSERT INTO notes SELECT load_extension(?1)", "CREATE TABLE made AS SELECT load_extension(?1)"]
    {
        let e = db.execute(sql, [library.to_str()]).unwrap_err().to_string();
        assert!(e.contains("rembed: cannot be loaded while a statement writes"), "{e}");
        assert!(!has_functions(&db));
    }
    assert_eq!(int(&db, "SELECT count(*) FROM notes"), 3);
    load(&db, library, Way::Function).unwrap();
    assert!(has_functions(&db));
}

/// What was written before, by an FTS table too, which keeps it back until COMMIT, stays; ROLLBACK takes it away.
pub fn a_transaction_goes_on(library: &Path) {
    for end in ["COMMIT", "ROLLBACK"] {
        for (fts, way) in [("fts4", Way::Api), ("fts5", Way::Api), ("fts5", Way::Function)] {
            let db = with_notes();
            if db.execute_batch(&format!("CREATE VIRTUAL TABLE words USING {fts}(word)")).is_err() {
                continue;
            }
            db.execute_batch("BEGIN; INSERT INTO words VALUES ('one'); INSERT INTO notes VALUES ('d'); CREATE TABLE made(x)").unwrap();
            load(&db, library, way).unwrap();
            assert_eq!(parsed(&db), 0);
            let found = |word| int(&db, &format!("SELECT count(*) FROM words WHERE words MATCH '{word}'"));
            db.execute_batch("INSERT INTO words VALUES ('two'); INSERT INTO made VALUES (1)").unwrap();
            assert_eq!((found("one"), found("two")), (1, 1), "{fts}");
            db.execute_batch(end).unwrap();
            let (words, notes, made) = if end == "COMMIT" { (1, 4, 1) } else { (0, 3, 0) };
            assert_eq!((found("one"), found("two")), (words, words), "{fts} {end}");
            assert_eq!(int(&db, "SELECT count(*) FROM notes"), notes);
            assert_eq!(int(&db, "SELECT count(*) FROM sqlite_master WHERE name = 'made'"), made);
            assert_eq!(db.prepare("SELECT * FROM made").is_ok(), made == 1, "{fts} {end}");
            db.execute_batch("INSERT INTO words(words) VALUES ('integrity-check')").unwrap();
            assert!(has_functions(&db));
        }
    }
}

/// An authorizer that denies, or lets the statement do nothing: an error, and no function.
pub fn an_authorizer_that_denies_is_told(library: &Path) {
    let transaction = "BEGIN; INSERT INTO notes VALUES ('d')";
    for (what, before, statement) in [
        (ffi::SQLITE_PRAGMA, "SELECT 1", "PRAGMA writable_schema = RESET"),
        (ffi::SQLITE_SAVEPOINT, transaction, "SAVEPOINT rembed_load"),
    ] {
        for (answer, why) in [(ffi::SQLITE_DENY, "not authorized"), (ffi::SQLITE_IGNORE, "had no effect")] {
            if (what, answer) == (ffi::SQLITE_SAVEPOINT, ffi::SQLITE_IGNORE) {
                // To SQLite this is a denial without a word.
                continue;
            }
            for on in [false, true] {
                let db = with_notes();
                db.execute_batch(before).unwrap();
                db.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, on).unwrap();
                authorize(&db, what, answer);
                if answer == ffi::SQLITE_IGNORE && ffi::SQLITE_VERSION_NUMBER < 3_040_000 {
                    // There is another way there, which asks nobody.
                    load(&db, library, Way::Api).unwrap();
                    assert_eq!((parsed(&db), writable(&db)), (0, on));
                    continue;
                }
                let e = load(&db, library, Way::Api).unwrap_err().to_string();
                assert!(
                    e.contains(statement) && e.contains(why) && e.contains("let the authorizer allow it"),
                    "{e}"
                );
                assert!(!has_functions(&db), "{statement}");
                assert_eq!(writable(&db), on);
                authorize(&db, 0, 0);
                load(&db, library, Way::Api).unwrap();
                assert!(has_functions(&db));
                assert_eq!(int(&db, "SELECT count(*) > 2 FROM notes"), 1);
            }
        }
    }
}

/// A file that is no database, or whose schema is malformed, is not read.
pub fn a_file_that_cannot_be_read_does_not_matter(library: &Path, folder: &Path) {
    let path = folder.join("unreadable.db");
    std::fs::write(&path, [7; 8192]).unwrap();
    let db = Connection::open(&path).unwrap();
    assert!(db.execute_batch("SELECT * FROM notes").is_err());
    load(&db, library, Way::Api).unwrap();
    load(&Connection::open(&path).unwrap(), library, Way::Api).unwrap();

    let path = folder.join("malformed.db");
    let _ = std::fs::remove_file(&path);
    let db = Connection::open(&path).unwrap();
    db.execute_batch(NOTES).unwrap();
    db.execute_batch("PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = 'CREATE TABLE notes('")
        .unwrap();
    let db = Connection::open(&path).unwrap();
    let malformed = |db: &Connection| db.execute_batch("SELECT * FROM notes").unwrap_err().to_string();
    assert!(malformed(&db).contains("malformed database schema"));
    load(&db, library, Way::Function).unwrap();
    assert!(has_functions(&db) && malformed(&db).contains("malformed database schema"));
}

/// A read-only file, and two databases more.
pub fn read_only_and_attached_files_are_parsed_anew(library: &Path, folder: &Path) {
    let path = folder.join("read-only.db");
    let _ = std::fs::remove_file(&path);
    Connection::open(&path).unwrap().execute_batch(NOTES).unwrap();
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = Connection::open_with_flags(&path, flags).unwrap();
    let query = "SELECT (SELECT count(*) FROM main.notes) + (SELECT count(*) FROM o.notes) + (SELECT count(*) FROM mine)";
    db.execute_batch(&format!("ATTACH '{}' AS o; CREATE TEMP TABLE mine AS SELECT 1", path.display()))
        .unwrap();
    assert_eq!(int(&db, query), 7);
    load(&db, library, Way::Api).unwrap();
    assert_eq!(parsed(&db), 0);
    assert_eq!(int(&db, query), 7);
}

/// An authorizer that gives `answer` for `what` (<https://www.sqlite.org/c3ref/set_authorizer.html>).
pub fn authorize(db: &Connection, what: c_int, answer: c_int) {
    unsafe extern "C" fn ask(
        both: *mut c_void,
        action: c_int,
        _: *const c_char,
        _: *const c_char,
        _: *const c_char,
        _: *const c_char,
    ) -> c_int {
        let both = both.addr() as c_int;
        if action == both >> 8 { both & 0xff } else { 0 }
    }
    let both = std::ptr::without_provenance_mut(((what << 8) | answer) as usize);
    // SAFETY: the connection is open; the number is no pointer to anything.
    unsafe { ffi::sqlite3_set_authorizer(db.handle(), Some(ask), both) };
}

/// How many bytes the parsed schema takes.
pub fn parsed(db: &Connection) -> c_int {
    let (mut now, mut most) = (0, 0);
    // SAFETY: the connection is open.
    unsafe { ffi::sqlite3_db_status(db.handle(), ffi::SQLITE_DBSTATUS_SCHEMA_USED, &mut now, &mut most, 0) };
    now
}
