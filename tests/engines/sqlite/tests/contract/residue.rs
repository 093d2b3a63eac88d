//! A literal key is gone from the memory of the process when its last user is.
//!
//! Each test runs in a process of its own, which learns the key in a masked form and hands it to SQLite in a
//! buffer (SQLITE_STATIC, so that SQLite makes no copy of its own) that it wipes before it looks.

use std::env;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use rusqlite::{Connection, ffi};
use serde_json::{Value, json};
use sqlite_host::*;

const MASKED: &str = "REMBED_TEST_MASKED";

/// A provider that wants a new key, and the key. A child of the test knows it masked and nothing else.
fn guarded() -> (World<'static>, Masked) {
    guarded_as("key", json!({}))
}

/// The same, where the fake knows the key by the setting `name`.
fn guarded_as(name: &str, mut settings: Value) -> (World<'static>, Masked) {
    if let Ok(text) = env::var(MASKED) {
        return (world(json!({})), Masked::from_text(&text));
    }
    let random = || RandomState::new().build_hasher().finish();
    let key = format!("sk-{:016x}{:016x}", random(), random());
    (settings["width"], settings[name]) = (4.into(), key.as_str().into());
    (world(settings), Masked::of(&key))
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
fn a_key_that_is_exchanged() {
    let (world, key) = guarded_as("api_key", json!({"key": "token-of-the-fake"}));
    child().env(MASKED, key.to_text()).run_in(&world, |world| {
        let sql = c"SELECT rembed_register('c', 'format', 'watsonx', 'key', ?1, 'url', replace(?2, '/v1/embeddings', '/ml/v1'),
                                           'token_url', replace(?2, '/v1/embeddings', '/identity/token'))";
        leaves_nothing(world, &key, sql, "", "");
    });
}

#[test]
fn a_token_that_a_key_was_exchanged_for() {
    let (world, token) = guarded_as("key", json!({"api_key": "api-key-of-the-fake"}));
    child().env(MASKED, token.to_text()).run_in(&world, |world| {
        let db = open();
        let url = world.url();
        let options = json!({"format": "watsonx", "key": "api-key-of-the-fake", "url": url.replace("/v1/embeddings", "/ml/v1"),
                             "token_url": url.replace("/v1/embeddings", "/identity/token")});
        db.run("SELECT rembed_register('c', ?1)", [options.to_string()]);
        assert_eq!(db.embed("a").len(), 4);
        assert_ne!(token.find_in_memory(), [""; 0], "a token in use is what this test must be able to find");
        db.close().unwrap();
        assert_eq!(token.find_in_memory(), [""; 0]);
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

/// Texts, and how a server that repeats the key answers each.
fn echoes(key: &str) -> Vec<(&'static str, Value)> {
    let good = json!([{"embedding": [1, 2, 3, 4], "index": 0}]);
    let escapes = format!("\"{key}\" is\nnot known");
    vec![
        ("json", json!({"status": 401, "body": {"error": {"message": format!("bad key {key}")}}})),
        ("escapes", json!({"status": 403, "body": {"error": {"message": escapes}, "code": key}})),
        ("list", json!({"status": 422, "body": {"detail": [{"msg": key}, {"msg": format!("no {key}")}]}})),
        ("object", json!({"status": 400, "body": {"message": {"key": key, "also": [key]}}})),
        ("key", json!({"status": 400, "body": {key: key}})),
        ("plain", json!({"status": 500, "body": format!("no such key: Bearer {key}")})),
        ("long", json!({"status": 500, "body": format!("{key} {} {key}", "x".repeat(200_000))})),
        ("binary", json!({"status": 500, "body": format!("\u{0}é{key}\u{1}")})),
        ("cut off", json!({"status": 401, "body": format!("{key} {}", "x".repeat(9000)), "truncate": 5000})),
        ("slow", json!({"status": 401, "body": format!("{key} {}", "x".repeat(9000)), "drip_ms": 50})),
        ("page", json!({"status": 200, "body": format!("<html>{key}</html>")})),
        ("text", json!({"status": 200, "body": {"data": key}})),
        ("escaped text", json!({"status": 200, "body": {"data": escapes}})),
        ("vector", json!({"status": 200, "body": {"data": [{"embedding": key}]}})),
        ("number", json!({"status": 200, "body": {"data": [{"embedding": [1, key]}]}})),
        ("index", json!({"status": 200, "body": {"data": [{"index": key, "embedding": [1]}]}})),
        (
            "usage",
            json!({"status": 200, "body": {"data": good, "usage": {"total_tokens": key, key: escapes}}}),
        ),
        ("skipped", json!({"status": 200, "body": {"data": good, "request": {"key": escapes, key: key}}})),
        ("top", json!({"status": 200, "body": {key: 1, "data": good}})),
    ]
}

#[test]
fn a_key_that_a_server_repeats() {
    let random = || RandomState::new().build_hasher().finish();
    let (world, key) = match env::var(MASKED) {
        Ok(text) => (world(json!({})), Masked::from_text(&text)),
        Err(_) => {
            let key = format!("sk-{:016x}{:016x}", random(), random());
            let faults = echoes(&key).into_iter().map(|(text, mut fault)| {
                fault["text"] = json!(format!("[{text}]"));
                fault
            });
            let faults: Vec<_> = faults.collect();
            (world(json!({"width": 4, "key": key, "faults": faults})), Masked::of(&key))
        }
    };
    let directory = Directory::new("residue-echoes");
    let path = directory.path("key");
    child().env(MASKED, key.to_text()).run_in(&world, |world| {
        key.uncovered("", "", |text| std::fs::write(&path, &text[..text.len() - 1]).unwrap());
        let options = json!({"key": format!("file:{}", path.display()), "retries": 0, "timeout": 1.0});
        let db = open_with(world, &options.to_string());
        assert_eq!(db.embed("a").len(), 4);
        let mut left = Vec::new();
        for (text, _) in echoes("") {
            let asked = format!("[{text}]");
            let failed = db.try_run("SELECT rembed('c', ?)", [&asked]).is_err();
            assert_eq!(failed, !["usage", "skipped", "top"].contains(&text), "{text}");
            left.extend(key.find_in_memory().into_iter().map(|place| format!("{text}: {place}")));
            let rows = "SELECT count(error) FROM rembed_batch('c', json_array(?1, ?1 || '2'))";
            db.run(rows, [&asked]);
            left.extend(key.find_in_memory().into_iter().map(|place| format!("{text}, rows: {place}")));
        }
        assert_eq!(left, [""; 0]);
    });
}

#[test]
fn a_key_that_no_request_can_carry() {
    let (world, key) = guarded();
    let directory = Directory::new("residue-unfit");
    let path = directory.path("key");
    child().env(MASKED, key.to_text()).run_in(&world, |world| {
        for (before, after) in [("", "\u{7f}"), ("\n\n", "\nX-Evil: 1"), ("é", "")] {
            key.uncovered(before, after, |text| std::fs::write(&path, &text[..text.len() - 1]).unwrap());
            let db = open_with(world, &json!({"key": format!("file:{}", path.display())}).to_string());
            let text = db.embed_error("a");
            assert!(text.contains("cannot stand in an HTTP header"), "{text}");
        }
        let large = "x".repeat(64 << 10);
        key.uncovered(&large, "", |text| std::fs::write(&path, &text[..text.len() - 1]).unwrap());
        let db = open_with(world, &json!({"key": format!("file:{}", path.display())}).to_string());
        assert!(db.embed_error("a").contains("larger than 64 KiB"));
        assert_eq!(key.find_in_memory(), [""; 0]);
        // A server that cannot be reached.
        key.uncovered("", "", |text| std::fs::write(&path, &text[..text.len() - 1]).unwrap());
        let options =
            json!({"key": format!("file:{}", path.display()), "url": "http://127.0.0.1:9", "retries": 0});
        let db = open_with(world, &options.to_string());
        db.embed_error("a");
        db.run("SELECT count(error) FROM rembed_batch('c', '[\"a\",\"b\"]')", ());
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
