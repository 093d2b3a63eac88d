//! A literal key is gone from the memory of the process when its last user is.
//!
//! Each test runs in a process of its own, which learns the key in a masked form and hands it to SQLite in a
//! buffer (SQLITE_STATIC, so that SQLite makes no copy of its own) that it wipes before it looks.

use std::env;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use rusqlite::{Connection, ffi};
use serde_json::json;
use sqlite_host::*;

const MASKED: &str = "REMBED_TEST_MASKED";

/// A provider that wants a new key, and the key. A child of the test knows it masked and nothing else.
fn guarded() -> (World<'static>, Masked) {
    if let Ok(text) = env::var(MASKED) {
        return (world(json!({})), Masked::from_text(&text));
    }
    let random = || RandomState::new().build_hasher().finish();
    let key = format!("sk-{:016x}{:016x}", random(), random());
    (world(json!({"width": 4, "key": key})), Masked::of(&key))
}

/// Runs `sql` with the key, between `before` and `after`, as parameter 1 and `url` as parameter 2.
fn run(db: &Connection, sql: &std::ffi::CStr, key: &Masked, before: &str, after: &str, url: &str) {
    key.uncovered(before, after, |text| {
        // SAFETY: the statement is finalized before the bytes that it was given go out of scope.
        unsafe {
            let mut statement = std::ptr::null_mut();
            let rc =
                ffi::sqlite3_prepare_v2(db.handle(), sql.as_ptr(), -1, &mut statement, std::ptr::null_mut());
            assert_eq!(rc, ffi::SQLITE_OK, "{sql:?}");
            let static_ = ffi::SQLITE_STATIC();
            assert_eq!(
                ffi::sqlite3_bind_text(statement, 1, text.as_ptr().cast(), -1, static_),
                ffi::SQLITE_OK
            );
            if ffi::sqlite3_bind_parameter_count(statement) > 1 {
                let n = url.len().try_into().unwrap();
                ffi::sqlite3_bind_text(statement, 2, url.as_ptr().cast(), n, static_);
            }
            let rc = ffi::sqlite3_step(statement);
            assert!(rc == ffi::SQLITE_ROW || rc == ffi::SQLITE_DONE, "{sql:?}: {rc}");
            ffi::sqlite3_finalize(statement);
        }
    });
}

/// Registers the client `c` by `sql`, uses it, and looks for the key when the connection is closed.
fn leaves_nothing(world: &World, key: &Masked, sql: &std::ffi::CStr, before: &str, after: &str) {
    let db = open();
    run(&db, sql, key, before, after, &world.url());
    assert_ne!(key.find_in_memory(), [""; 0], "a key in use is what this test must be able to find");
    assert_eq!(db.embed("a").len(), 4);
    db.close().unwrap();
    assert_eq!(key.find_in_memory(), [""; 0]);
}

#[test]
fn a_key_of_the_clients_table() {
    let (world, key) = guarded();
    child().env(MASKED, key.to_text()).run_in(&world, |world| {
        let sql = c"INSERT INTO temp.rembed_clients(name, format, key, url) VALUES ('c', 'openai', ?1, ?2)";
        leaves_nothing(world, &key, sql, "", "");
    });
}

#[test]
fn a_key_of_rembed_register() {
    let (world, key) = guarded();
    child().env(MASKED, key.to_text()).run_in(&world, |world| {
        let sql = c"SELECT rembed_register('c', 'format', 'openai', 'key', ?1, 'url', ?2)";
        leaves_nothing(world, &key, sql, "", "");
    });
}

#[test]
fn a_key_in_a_document_of_options() {
    let (world, key) = guarded();
    child().env(MASKED, key.to_text()).run_in(&world, |world| {
        let after = format!("\",\"url\":\"{}\"}}", world.url());
        leaves_nothing(
            world,
            &key,
            c"SELECT rembed_register('c', ?1)",
            "{\"format\":\"openai\",\"key\":\"",
            &after,
        );
    });
}

#[test]
fn a_key_in_a_header() {
    let (world, key) = guarded();
    child().env(MASKED, key.to_text()).run_in(&world, |world| {
        let sql = c"SELECT rembed_register('c', 'format', 'openai', 'headers', ?1, 'url', ?2)";
        leaves_nothing(world, &key, sql, "{\"api-key\":\"", "\"}");
    });
}

#[test]
fn a_key_that_was_updated() {
    let (world, key) = guarded();
    child().env(MASKED, key.to_text()).run_in(&world, |world| {
        let db = open_with_client(world);
        run(&db, c"UPDATE temp.rembed_clients SET key = ?1 WHERE name = 'c'", &key, "", "", "");
        assert_eq!(db.embed("a").len(), 4);
        db.run("UPDATE temp.rembed_clients SET key = 'sk-other' WHERE name = 'c'", ());
        assert_eq!(key.find_in_memory(), [""; 0], "the old key goes when the new one comes");
    });
}

#[test]
fn a_key_of_a_client_that_is_unregistered() {
    let (world, key) = guarded();
    child().env(MASKED, key.to_text()).run_in(&world, |world| {
        let db = open();
        let sql =
            c"SELECT rembed_register('c', 'format', 'openai', 'scope', 'process', 'key', ?1, 'url', ?2)";
        run(&db, sql, &key, "", "", &world.url());
        assert_eq!(db.embed("a").len(), 4);
        db.run("SELECT rembed_unregister('c')", ());
        assert_eq!(key.find_in_memory(), [""; 0]);
    });
}

#[test]
fn a_key_of_a_registration_that_is_refused() {
    let (world, key) = guarded();
    child().env(MASKED, key.to_text()).run_in(&world, |_| {
        let db = open();
        key.uncovered("{\"format\":\"openai\",\"modle\":\"m\",\"key\":\"", "\"}", |text| {
            // SAFETY: as in run().
            unsafe {
                let mut statement = std::ptr::null_mut();
                let sql = c"SELECT rembed_register('c', ?1)";
                ffi::sqlite3_prepare_v2(db.handle(), sql.as_ptr(), -1, &mut statement, std::ptr::null_mut());
                ffi::sqlite3_bind_text(statement, 1, text.as_ptr().cast(), -1, ffi::SQLITE_STATIC());
                assert_eq!(ffi::sqlite3_step(statement), ffi::SQLITE_ERROR);
                ffi::sqlite3_finalize(statement);
            }
        });
        assert_eq!(key.find_in_memory(), [""; 0]);
    });
}

#[test]
fn a_key_of_a_file_or_of_a_request_that_failed() {
    let (world, key) = guarded();
    let directory = Directory::new("residue");
    let path = directory.path("key");
    child().env(MASKED, key.to_text()).run_in(&world, |world| {
        key.uncovered("", "", |text| std::fs::write(&path, &text[..text.len() - 1]).unwrap());
        let db = open_with(world, &json!({"key": format!("file:{}", path.display())}).to_string());
        assert_eq!(db.embed("a").len(), 4);
        world.reset(json!({"faults": [{"status": 401}]}));
        db.embed_error("b");
        world.reset(json!({"faults": [{"hang": true}]}));
        let short = json!({"key": format!("file:{}", path.display()), "timeout": 0.1});
        open_with(world, &short.to_string()).embed_error("c");
        assert_eq!(key.find_in_memory(), [""; 0]);
    });
}
