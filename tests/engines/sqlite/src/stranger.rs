//! A database file from a stranger, opened with the extension: nothing in its schema may call what is the user's.
//! Shared by the hosts on the newest and on an old SQLite.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ffi};

/// `tests/engines/strangers.txt`.
const STRANGERS: &str = include_str!("../../strangers.txt");

/// How a host takes the extension.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// `SELECT load_extension(…)`.
    Function,
    /// `sqlite3_load_extension()`.
    Api,
    /// `sqlite3_auto_extension()`.
    Auto,
}

/// What a connection may have done before.
#[derive(Debug, Clone, Copy)]
pub enum Before {
    /// Nothing.
    New,
    /// A query. In the way [`Way::Auto`] it is of another extension.
    Read,
    /// A query, and `writable_schema` is on.
    Writable,
}

/// The schemas: a name, their SQL, and what would call a function of theirs.
pub fn schemas() -> impl Iterator<Item = (&'static str, &'static str, Vec<&'static str>)> {
    lines("schema").map(|fields| (fields[0], fields[1], fields[2..].to_vec()))
}

/// The calls that a stranger may not make.
pub fn calls() -> impl Iterator<Item = &'static str> {
    lines("call").map(|fields| fields[0])
}

fn lines(what: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    STRANGERS
        .lines()
        .filter_map(move |line| Some(line.strip_prefix(what)?.strip_prefix(" : ")?.split(" : ").collect()))
}

/// Makes the file: with `schema`, a row, and `call` in the place of `upper('evil')`.
pub fn make(path: &Path, schema: &str, call: &str) {
    let _ = std::fs::remove_file(path);
    let db = Connection::open(path).unwrap();
    db.execute_batch(&format!(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {schema}; INSERT INTO notes(body) VALUES ('a'); PRAGMA writable_schema = ON"
    ))
    .unwrap();
    let written = "UPDATE sqlite_master SET sql = replace(sql, 'upper(''evil'')', ?) WHERE sql LIKE '%upper(''evil'')%'";
    assert_eq!(db.execute(written, [call]).unwrap(), 1, "{schema}");
}

/// Opens the file as the user does, with the extension in the way given.
pub fn open(path: &Path, library: &Path, way: Way, before: Before) -> Connection {
    if let Way::Auto = way {
        // SAFETY: entry points are called by SQLite alone, and both stay mapped.
        unsafe {
            ffi::sqlite3_reset_auto_extension();
            match before {
                Before::New => {}
                Before::Read => assert_eq!(auto_extension(reads as *const c_void), 0),
                Before::Writable => assert_eq!(auto_extension(reads_writable as *const c_void), 0),
            }
            assert_eq!(auto_extension(entry(library)), 0);
            let db = Connection::open(path).unwrap();
            ffi::sqlite3_reset_auto_extension();
            return db;
        }
    }
    let db = Connection::open(path).unwrap();
    match before {
        Before::New => {}
        Before::Read => read(&db),
        Before::Writable => {
            read(&db);
            db.execute_batch("PRAGMA writable_schema = ON").unwrap();
        }
    }
    load(&db, library, way).unwrap();
    db
}

/// Loads the extension into an open connection.
#[allow(unused_unsafe)] // they became unsafe in a newer rusqlite
pub fn load(db: &Connection, library: &Path, way: Way) -> rusqlite::Result<()> {
    // SAFETY: the library is ours.
    unsafe {
        db.load_extension_enable()?;
        let loaded = match way {
            Way::Function => db.query_row("SELECT load_extension(?)", [library.to_str()], |_| Ok(())),
            _ => db.load_extension(library, None::<&str>),
        };
        db.load_extension_disable()?;
        loaded
    }
}

fn read(db: &Connection) {
    db.execute_batch("SELECT body FROM notes").unwrap();
}

/// Every schema × every call × every way in: nothing is called, nothing is sent. Returns how many were tried.
pub fn attack_all(folder: &Path, library: &Path, url: &str, requests: impl Fn() -> u64) -> usize {
    let path = folder.join("stranger.db");
    let mut tried = 0;
    for (name, schema, statements) in schemas() {
        for call in calls() {
            // A DEFAULT names no column, which would be another reason to refuse it.
            if name == "DEFAULT" && call.contains("body") {
                continue;
            }
            make(&path, schema, &call.replace("URL", url));
            for way in [Way::Function, Way::Api, Way::Auto] {
                for before in [Before::New, Before::Read, Before::Writable] {
                    let case = format!("{name}, {call}, {way:?}, {before:?}");
                    let db = open(&path, library, way, before);
                    // Without a table, so that a schema that is refused does not matter.
                    let ask = |sql: &str| -> i64 {
                        db.query_row(sql, [], |row| row.get(0))
                            .unwrap_or_else(|e| panic!("{case}: {sql}: {e}"))
                    };
                    ask(&format!(
                        "SELECT rembed_register('c', 'format', 'openai', 'url', '{url}', 'key', 'k') = 'c'"
                    ));
                    for statement in &statements {
                        let done = db.execute_batch(statement);
                        if matches!(before, Before::Writable) {
                            // SQLite goes on without the CHECK then, without the index, or without the column's expression.
                            continue;
                        }
                        let text = done.expect_err(&format!("{case}: {statement}")).to_string();
                        let refused =
                            ["unsafe use of", "malformed database schema", "no such table", "no such column"];
                        assert!(refused.iter().any(|why| text.contains(why)), "{case}: {statement}: {text}");
                    }
                    let _ = db.execute_batch("PRAGMA integrity_check");
                    // Views, triggers and defaults are refused where they are used, the rest with the whole file.
                    let whole = !["view", "trigger", "DEFAULT"].contains(&name);
                    let selected = db.execute_batch("SELECT body FROM notes").map_err(|e| e.to_string());
                    match selected {
                        Err(text) => {
                            assert!(whole && text.contains("malformed database schema"), "{case}: {text}")
                        }
                        Ok(()) => assert!(!whole || matches!(before, Before::Writable), "{case}"),
                    }
                    assert_eq!(ask("SELECT rembed_unregister('evil')"), 0, "{case}");
                    assert_eq!(ask("SELECT rembed_unregister('c')"), 1, "{case}");
                    tried += 1;
                }
            }
            assert_eq!(requests(), 0, "{name}, {call}");
        }
    }
    tried
}

/// Which functions of one argument an FTS4 table of the file calls, which is what its option `compress` names.
#[allow(dead_code)] // a test file of the oldest host includes this one, and does not ask
pub fn called_by_fts4(path: &Path, library: &Path) -> Vec<&'static str> {
    let all =
        ["rembed_register", "rembed_client_options", "rembed_prefetch", "rembed_stats", "rembed_unregister"];
    let called = all.into_iter().filter(|function| {
        let _ = std::fs::remove_file(path);
        let table = format!(
            "CREATE VIRTUAL TABLE notes USING fts4(body, compress={function}, uncompress={function})"
        );
        Connection::open(path).unwrap().execute_batch(&table).unwrap();
        let db = open(path, library, Way::Api, Before::New);
        db.query_row("SELECT rembed_register('gpt', 'openai')", [], |_| Ok(())).unwrap();
        db.execute_batch("INSERT INTO notes(body) VALUES ('gpt')").is_ok()
    });
    called.collect()
}

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    /// By this declaration, since rusqlite's differs from version to version.
    fn sqlite3_auto_extension(entry: *const c_void) -> c_int;
}

/// `sqlite3_auto_extension()`.
///
/// # Safety
/// `entry` is an entry point.
pub unsafe fn auto_extension(entry: *const c_void) -> c_int {
    // SAFETY: the same contract.
    unsafe { sqlite3_auto_extension(entry) }
}

/// The entry point of the library.
pub fn entry(library: &Path) -> *const c_void {
    let path = CString::new(library.to_str().unwrap()).unwrap();
    // SAFETY: the names are C strings.
    let entry = unsafe { dlsym(dlopen(path.as_ptr(), 2), c"sqlite3_rembed_init".as_ptr()) };
    assert!(!entry.is_null(), "{}", library.display());
    entry
}

/// Another extension, which reads the schema.
unsafe extern "C" fn reads(db: *mut ffi::sqlite3, _: *mut *mut c_char, _: *const c_void) -> c_int {
    // SAFETY: SQLite passes an open connection.
    unsafe { run(db, c"SELECT body FROM notes") };
    0
}

unsafe extern "C" fn reads_writable(db: *mut ffi::sqlite3, _: *mut *mut c_char, _: *const c_void) -> c_int {
    // SAFETY: SQLite passes an open connection.
    unsafe { run(db, c"SELECT body FROM notes; PRAGMA writable_schema = ON") };
    0
}

unsafe fn run(db: *mut ffi::sqlite3, sql: &CStr) {
    let null = std::ptr::null_mut();
    // SAFETY: the connection is open, the text a C string.
    unsafe { ffi::sqlite3_exec(db, sql.as_ptr(), None, null, std::ptr::null_mut()) };
}

/// A folder for one test.
pub fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("rembed-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}
