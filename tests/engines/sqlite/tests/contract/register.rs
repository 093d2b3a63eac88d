//! `rembed_register` and `rembed_unregister`: clients without a table, where no table can be written.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use serde_json::json;
use sqlite_host::*;

/// A database file with one row, opened in other ways by each test.
fn database(directory: &Directory) -> std::path::PathBuf {
    let path = directory.path("data.db");
    let db = Connection::open(&path).unwrap();
    db.run("CREATE TABLE docs(text)", ());
    db.run("INSERT INTO docs VALUES ('a')", ());
    path
}

fn open_file(path: &Path, flags: OpenFlags) -> Connection {
    let db = Connection::open_with_flags(path, flags).unwrap();
    load(&db, &library(), None).unwrap();
    db
}

/// Registers by both forms, embeds, and forgets again.
fn registers_and_embeds(db: &Connection, world: &World) {
    register(db, "c", world, "{}");
    assert_eq!(db.vector("SELECT rembed('c', text) FROM docs", ()).len(), 4);
    let pairs = "SELECT rembed_register('d', 'format', 'openai', 'url', ?)";
    assert_eq!(db.get::<String>(pairs, [world.url()]), "d");
    assert_eq!(db.vector("SELECT rembed('d', text) FROM docs", ()).len(), 4);
    assert_eq!(db.get::<i64>("SELECT rembed_unregister('d')", ()), 1);
}

#[test]
fn the_forms_of_the_contract_return_the_name() {
    let world = world(json!({"width": 4}));
    let db = open();
    let json = json!({"format": "openai", "url": world.url()}).to_string();
    assert_eq!(db.get::<String>("SELECT rembed_register('a', ?)", [json]), "a");
    let pairs = "SELECT rembed_register('b', 'format', 'openai', 'url', ?, 'dimensions', 6)";
    assert_eq!(db.get::<String>(pairs, [world.url()]), "b");
    let nested = "SELECT rembed_register('c', rembed_client_options('format', 'openai', 'url', ?))";
    assert_eq!(db.get::<String>(nested, [world.url()]), "c");
    assert_eq!(
        db.get::<String>("SELECT rembed_register('text-embedding-3-small', 'openai')", ()),
        "text-embedding-3-small"
    );
    let lengths = ["a", "b", "c"].map(|name| db.vector("SELECT rembed(?, 'x')", [name]).len());
    assert_eq!(lengths, [4, 6, 4]);
    let shown =
        "SELECT model || ' ' || format FROM temp.rembed_clients WHERE name = 'text-embedding-3-small'";
    assert_eq!(db.get::<String>(shown, ()), "text-embedding-3-small openai");
}

#[test]
fn registering_replaces_the_whole_client() {
    let world = world(json!({"width": 4}));
    let db = open_with(&world, "{\"dimensions\":6,\"key\":\"sk-1\"}");
    register(&db, "c", &world, "{}");
    assert_eq!(db.embed("a").len(), 4);
    assert!(world.only()["body"].get("dimensions").is_none());
    assert_eq!(db.get::<Option<String>>("SELECT key FROM temp.rembed_clients", ()), None);
}

#[test]
fn a_refused_registration_leaves_the_client_as_it_was() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    for options in
        ["'nope'", "'{}'", "'{\"format\":\"openai\",\"modle\":1}'", "'format', 'openai', 'url', 'x'"]
    {
        db.fails(&format!("SELECT rembed_register('c', {options})"), ());
        assert_eq!(db.embed("a").len(), 4, "{options}");
    }
}

#[test]
fn arguments_that_make_no_client_are_refused() {
    let db = open();
    for (arguments, why) in [
        ("", "options"),
        ("'c'", "options"),
        ("NULL, 'openai'", "NULL"),
        ("'', 'openai'", "name"),
        ("x'63', 'openai'", "BLOB"),
        ("'c', NULL", "NULL"),
        ("'c', x'7b7d'", "BLOB"),
        ("'c', 'format', 'openai', 'model'", "pairs"),
        ("'c', 'format', 'openai', 'format', 'openai'", "twice"),
        ("'c', 'model', 'm'", "format"),
    ] {
        let text = error(db.fails(&format!("SELECT rembed_register({arguments})"), ()));
        assert!(text.contains(why), "{arguments}: {text}");
    }
}

#[test]
fn unregistering_tells_whether_it_was_there() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    assert_eq!(db.get::<i64>("SELECT rembed_unregister('nobody')", ()), 0);
    assert_eq!(db.get::<i64>("SELECT rembed_unregister('c')", ()), 1);
    assert_eq!(db.get::<i64>("SELECT rembed_unregister('c')", ()), 0);
    assert!(db.embed_error("a").contains("was not registered"));
}

#[test]
fn a_read_only_database() {
    let directory = Directory::new("read-only");
    let db = open_file(&database(&directory), OpenFlags::SQLITE_OPEN_READ_ONLY);
    registers_and_embeds(&db, &world(json!({"width": 4})));
}

#[test]
fn an_immutable_database() {
    let directory = Directory::new("immutable");
    let path = database(&directory);
    let uri = format!("file:{}?immutable=1", path.display());
    let db = open_file(Path::new(&uri), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI);
    registers_and_embeds(&db, &world(json!({"width": 4})));
}

#[test]
fn a_query_only_connection() {
    let directory = Directory::new("query-only");
    let db = open_file(&database(&directory), OpenFlags::default());
    db.run("PRAGMA query_only = 1", ());
    registers_and_embeds(&db, &world(json!({"width": 4})));
}

#[test]
fn a_database_that_another_connection_writes() {
    let directory = Directory::new("locked");
    let path = database(&directory);
    for mode in ["DELETE", "WAL"] {
        let writer = Connection::open(&path).unwrap();
        writer.get::<String>(&format!("PRAGMA journal_mode = {mode}"), ());
        writer.run("BEGIN IMMEDIATE", ());
        writer.run("INSERT INTO docs VALUES ('b')", ());
        let db = open_file(&path, OpenFlags::default());
        db.busy_timeout(std::time::Duration::ZERO).unwrap();
        registers_and_embeds(&db, &world(json!({"width": 4})));
        let refused = db.fails("INSERT INTO docs VALUES ('c')", ());
        assert_eq!(refused.code, ErrorCode::DatabaseBusy, "the lock was there: {}", refused.text);
        writer.run("ROLLBACK", ());
    }
}

#[test]
fn no_lock_is_taken() {
    let directory = Directory::new("no-lock");
    let path = database(&directory);
    let db = open_file(&path, OpenFlags::default());
    db.run("BEGIN", ());
    db.run("SELECT rembed_register('c', 'openai')", ());
    let other = Connection::open(&path).unwrap();
    other.busy_timeout(std::time::Duration::ZERO).unwrap();
    other.run("BEGIN EXCLUSIVE", ());
    db.run("SELECT rembed_register('d', 'openai'), rembed_unregister('c')", ());
    other.run("COMMIT", ());
}

#[test]
fn a_rollback_keeps_what_was_registered() {
    let world = world(json!({"width": 4}));
    let db = open();
    db.run("BEGIN", ());
    register(&db, "c", &world, "{}");
    db.run("ROLLBACK", ());
    assert_eq!(db.embed("a").len(), 4);
}
