//! An SQLite whose table of functions is too short is refused in words, and not by a crash.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

#[test]
fn an_sqlite_that_is_too_old_is_told_which_it_should_be() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(4).unwrap().to_owned();
    let file = format!("{}sqlite_rembed{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let built = || root.join("target/release").join(file);
    let path = std::env::var_os("REMBED_LIB").map_or_else(built, PathBuf::from);
    let db = Connection::open_in_memory().unwrap();
    db.load_extension_enable().unwrap();
    for _ in 0..2 {
        let error = db.load_extension(&path, None).unwrap_err().to_string();
        assert!(error.contains("SQLite 3.34"), "{} says: {error}", rusqlite::version());
    }
    let version: String =
        db.query_row("SELECT sqlite_version()", rusqlite::NO_PARAMS, |row| row.get(0)).unwrap();
    assert_eq!(version, "3.33.0");
}
