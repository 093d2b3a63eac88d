//! The file is found under every name and loads as often as it likes.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::PathBuf;

use rusqlite::{Connection, ffi};
use serde_json::json;
use sqlite_host::*;

/// The extension as a file of this name.
fn named(directory: &Directory, file: &str) -> PathBuf {
    let path = directory.path(file);
    std::fs::copy(library(), &path).unwrap();
    path
}

fn loaded(path: &std::path::Path, entry_point: Option<&str>) -> Connection {
    let db = Connection::open_in_memory().unwrap();
    load(&db, path, entry_point).unwrap();
    db
}

#[test]
fn the_file_names_of_the_documentation_need_no_entry_point() {
    let directory = Directory::new("names");
    for file in ["rembed0.so", "libsqlite_rembed.so"] {
        let db = loaded(&named(&directory, file), None);
        assert!(db.get::<String>("SELECT rembed_version()", ()).starts_with('v'), "{file}");
    }
}

#[test]
fn any_other_name_works_with_the_entry_point() {
    let directory = Directory::new("other-name");
    let path = named(&directory, "my vectors (2).so");
    let db = loaded(&path, Some("sqlite3_rembed_init"));
    assert!(db.get::<String>("SELECT rembed_version()", ()).starts_with('v'));
}

#[test]
fn loading_twice_keeps_the_clients() {
    // In a process of its own, because the extension has been seen to wait for itself here.
    child().run(|| {
        let world = world(json!({"width": 4}));
        let db = open_with_client(&world);
        load(&db, &library(), None).unwrap();
        load(&db, &library(), Some("sqlite3_rembed_init")).unwrap();
        assert_eq!(db.embed("a").len(), 4);
    });
}

#[test]
fn a_second_copy_of_the_file_can_be_loaded_too() {
    let directory = Directory::new("copy");
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    load(&db, &named(&directory, "rembed0.so"), None).unwrap();
    register(&db, "c", &world, "{}");
    assert_eq!(db.embed("a").len(), 4);
    db.close().unwrap();
    assert_eq!(open_with_client(&world).embed("a").len(), 4);
}

#[test]
fn two_connections_have_clients_of_their_own() {
    let world = world(json!({"width": 4}));
    let one = open_with_client(&world);
    let other = open();
    assert_eq!(one.embed("a").len(), 4);
    assert!(other.embed_error("a").contains("was not registered with rembed_clients"));
}

#[test]
fn a_closed_connection_leaves_nothing_to_the_next() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    assert_eq!(db.embed("a").len(), 4);
    db.close().unwrap();
    let db = open();
    assert_eq!(db.get::<i64>("SELECT count(*) FROM temp.rembed_clients", ()), 0);
    register(&db, "c", &world, "{}");
    assert_eq!(db.embed("a").len(), 4);
}

#[test]
fn nothing_is_written_to_the_database() {
    let directory = Directory::new("untouched");
    let path = directory.path("a.db");
    let db = Connection::open(&path).unwrap();
    load(&db, &library(), None).unwrap();
    db.run("INSERT INTO temp.rembed_clients(name, format, key) VALUES ('c', 'openai', 'sk-needle')", ());
    for schema in ["main", "temp"] {
        assert_eq!(db.get::<i64>(&format!("SELECT count(*) FROM {schema}.sqlite_master"), ()), 0);
    }
    db.close().unwrap();
    let file = std::fs::read(&path).unwrap_or_default();
    assert!(!file.windows(9).any(|bytes| bytes == b"sk-needle"));
}

/// SQLite built with SQLITE_OMIT_LOAD_EXTENSION passes no API table to an auto-extension.
#[test]
fn an_entry_point_without_the_api_table_fails_and_does_not_crash() {
    type Init = unsafe extern "C" fn(*mut ffi::sqlite3, *mut *mut c_char, *const c_void) -> c_int;
    unsafe extern "C" {
        fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
        fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    let path = std::ffi::CString::new(library().to_str().unwrap()).unwrap();
    let db = Connection::open_in_memory().unwrap();
    for name in [c"sqlite3_rembed_init", c"sqlite3_sqliterembed_init"] {
        let mut text = std::ptr::null_mut();
        // SAFETY: the symbols are those of the C library and of the extension, of the types they have there.
        let rc = unsafe {
            let library = dlopen(path.as_ptr(), 2);
            let init: *mut c_void = dlsym(library, CStr::as_ptr(name));
            assert!(!init.is_null(), "{name:?}");
            std::mem::transmute::<*mut c_void, Init>(init)(db.handle(), &mut text, std::ptr::null())
        };
        assert_eq!(rc, ffi::SQLITE_ERROR, "{name:?}");
    }
    load(&db, &library(), None).unwrap();
}
