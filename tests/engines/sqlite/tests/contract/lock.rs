//! `rembed_lock()` and `REMBED_LOCK`: strangers who may run SQL use the clients that are there, and no others.

use std::net::TcpListener;

use rusqlite::Connection;
use serde_json::json;
use sqlite_host::*;

/// What a stranger would have the host tell.
const SECRET: &str = "the-hosts-own-secret";

/// A server of the stranger's, to which nobody may connect.
struct Listener(TcpListener);

impl Listener {
    fn new() -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Listener(listener)
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    fn assert_alone(&self, sql: &str) {
        assert!(self.0.accept().is_err(), "somebody came: {sql}");
    }
}

/// Everything by which SQL could make a client, or lead one that is there elsewhere. ?1 is the stranger's server,
/// ?2 the key.
const ATTACKS: &[&str] = &[
    "SELECT rembed_register('e', 'format', 'openai', 'url', ?1, 'key', ?2, 'scope', 'process')",
    "SELECT rembed_register('e', 'format', 'openai', 'url', ?1, 'key', ?2)",
    "SELECT rembed_register('e', 'format', 'openai', 'url', ?1, 'headers', json_object('x-a', ?2))",
    "SELECT rembed_register('e', json_object('format', 'openai', 'url', ?1, 'key', ?2))",
    "SELECT rembed_register('c', 'format', 'openai', 'url', ?1, 'key', ?2)",
    "INSERT INTO temp.rembed_clients(name, format, url, key) VALUES ('e', 'openai', ?1, ?2)",
    "INSERT OR REPLACE INTO temp.rembed_clients(name, format, url, key) VALUES ('c', 'openai', ?1, ?2)",
    "INSERT OR IGNORE INTO temp.rembed_clients(name, format, url, key) VALUES ('e', 'openai', ?1, ?2)",
    "INSERT INTO rembed_clients(name, options) SELECT 'e', json_object('format', 'openai', 'url', ?1, 'key', ?2)",
    "REPLACE INTO main.rembed_clients(name, format, url, key) VALUES ('c', 'openai', ?1, ?2)",
    "UPDATE temp.rembed_clients SET url = ?1, key = ?2 WHERE name = 'c'",
    "UPDATE OR REPLACE temp.rembed_clients SET name = 'c', url = ?1, key = ?2",
    "UPDATE temp.rembed_clients SET options = json_object('format', 'openai', 'url', ?1, 'key', ?2)",
];

/// Runs every attack on `db`, and whatever it may have made.
fn attack(db: &Connection, by: &str) {
    let listener = Listener::new();
    let directory = Directory::new(&format!("strangers-{by}"));
    let file = format!("file:{}", directory.file("secret", SECRET));
    for sql in ATTACKS {
        for key in ["env:REMBED_TEST_SECRET", &file] {
            let text = error(db.fails(sql, [&listener.url(), key]));
            assert!(text.starts_with(&format!("locked by {by}: ")), "{sql}: {text}");
            let text = error(db.fails("SELECT rembed('e', 'x')", ()));
            assert!(text.contains("was not registered"), "{sql}: {text}");
            let _ = db.try_run("SELECT rembed('c', ?)", [sql]);
            let _ = db.try_run("SELECT * FROM rembed_batch('c', json_array(?))", [sql]);
            listener.assert_alone(sql);
        }
    }
    for sql in [
        "SELECT rembed_unregister('c')",
        "SELECT rembed_unregister('nobody')",
        "DELETE FROM temp.rembed_clients",
        "SELECT rembed_cache_clear()",
    ] {
        let text = error(db.fails(sql, ()));
        assert!(text.starts_with(&format!("locked by {by}: ")), "{sql}: {text}");
    }
    // It reads no secret: what it is given comes back.
    let options = db.get::<String>("SELECT rembed_client_options('format', 'openai', 'key', ?)", [&file]);
    assert!(options.contains(&file) && !options.contains(SECRET), "{options}");
    let everything =
        "SELECT group_concat(name || ifnull(key, '') || url || options) || rembed_debug() || rembed_stats()
                      FROM temp.rembed_clients";
    assert!(!db.get::<String>(everything, ()).contains(SECRET));
}

#[test]
fn a_stranger_on_a_locked_connection_reaches_no_secret_and_no_host() {
    let world = world(json!({"width": 4}));
    child().env("REMBED_TEST_SECRET", SECRET).run(|| {
        let db = open_with_client(&world);
        db.run("SELECT rembed('c', 'cached')", ());
        assert_eq!(db.get::<i64>("SELECT rembed_lock()", ()), 1);
        attack(&db, "rembed_lock()");
        // The client that was there does its work.
        assert_eq!(db.embed("text").len(), 4);
        assert_eq!(db.all::<String>("SELECT name FROM temp.rembed_clients", ()), ["c"]);
        // The attack of a stranger is no attack where nobody locked.
        let listener = Listener::new();
        open().run(ATTACKS[0], [&listener.url(), "env:REMBED_TEST_SECRET"]);
    });
}

#[test]
fn a_locked_process_has_the_clients_of_the_config_alone() {
    let directory = Directory::new("locked-config");
    let world = world(json!({"width": 4}));
    let clients = json!({"clients": {"c": {"format": "openai", "url": world.url(), "cache": "off"}}});
    let config = directory.file("rembed.json", &clients.to_string());
    let child = child().env("REMBED_LOCK", "1").env("REMBED_CONFIG", config);
    child.env("REMBED_TEST_SECRET", SECRET).run_in(&world, |_| {
        for db in [open(), open()] {
            assert!(db.get::<String>("SELECT rembed_debug()", ()).contains("\nLocked: by REMBED_LOCK\n"));
            attack(&db, "REMBED_LOCK");
            db.run("SELECT rembed_lock()", ());
            attack(&db, "REMBED_LOCK");
            assert_eq!(db.embed("text").len(), 4);
        }
    });
}

#[test]
fn debug_tells_whether_a_connection_is_locked() {
    child().run(|| {
        let (db, other) = (open(), open());
        let debug = |db: &Connection| db.get::<String>("SELECT rembed_debug()", ());
        assert!(debug(&db).contains("\nLocked: no\n"));
        db.run("SELECT rembed_lock()", ());
        assert!(debug(&db).contains("\nLocked: by rembed_lock()\n"));
        assert!(debug(&other).contains("\nLocked: no\n"), "the lock is that of the connection");
        register(&other, "c", &world(json!({})), "{}");
    });
}

/// A client of the process is what it was when the connection was locked, whoever else may change it.
#[test]
fn nobody_else_changes_the_clients_of_a_locked_connection() {
    let (first, second) = (world(json!({"width": 4})), world(json!({"width": 4})));
    child().run(|| {
        let (db, other) = (open(), open());
        let share = |world, name| register(&other, name, world, "{\"scope\":\"process\"}");
        share(&first, "shared");
        db.run("SELECT rembed_lock()", ());
        share(&second, "late");
        share(&second, "shared");
        let text = error(db.fails("SELECT rembed('late', 'a')", ()));
        assert!(text.contains("Registered are: shared"), "{text}");
        assert_eq!(db.all::<String>("SELECT name FROM temp.rembed_clients", ()), ["shared"]);
        db.run("SELECT rembed('shared', 'from the locked one')", ());
        other.run("SELECT rembed_unregister('shared')", ());
        db.run("SELECT rembed('shared', 'still')", ());
        assert_eq!(
            (first.texts(), second.requests()),
            (vec!["from the locked one".into(), "still".into()], 0)
        );
        other.run("SELECT rembed_unregister('late')", ());
    });
}

#[test]
fn loading_the_library_again_keeps_the_lock() {
    child().run(|| {
        let world = world(json!({"width": 4}));
        let db = open_with_client(&world);
        db.run("SELECT rembed_lock()", ());
        let directory = Directory::new("locked-copy");
        let copy = directory.path("copy.so");
        std::fs::copy(library(), &copy).unwrap();
        for (path, entry) in
            [(library(), None), (library(), Some("sqlite3_rembed_init")), (copy, Some("sqlite3_rembed_init"))]
        {
            load(&db, &path, entry).unwrap();
            let text = error(db.fails("SELECT rembed_register('c', 'openai')", ()));
            assert!(text.starts_with("locked by "), "{text}");
            assert_eq!(db.embed("a").len(), 4);
        }
        assert_eq!(db.get::<i64>("SELECT rembed_lock()", ()), 1, "once more does no harm");
    });
}

/// Another version of the library would register everything anew. It does not take over what is locked.
#[test]
fn another_version_of_the_library_keeps_the_lock() {
    child().run(|| {
        for (debug, taken_over) in
            [("Version: v0\nLocked: by rembed_lock()\n", false), ("Version: v0\nLocked: no\n", true)]
        {
            let db = Connection::open_in_memory().unwrap();
            let flags = rusqlite::functions::FunctionFlags::SQLITE_UTF8;
            for (name, text) in [("rembed_version", "v0"), ("rembed_debug", debug)] {
                db.create_scalar_function(name, 0, flags, move |_| Ok(text)).unwrap();
            }
            load(&db, &library(), None).unwrap();
            assert_eq!(db.get::<String>("SELECT rembed_version()", ()) != "v0", taken_over);
            assert_eq!(db.try_run("SELECT rembed_register('c', 'openai')", ()).is_ok(), taken_over);
        }
    });
}

/// A file of a stranger's must not lock its host out either.
#[test]
fn the_schema_of_a_file_cannot_lock() {
    let db = open();
    db.run("CREATE TABLE t(a)", ());
    db.run("CREATE VIEW v AS SELECT rembed_lock()", ());
    db.run("CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT rembed_lock(); END", ());
    for sql in ["SELECT * FROM v", "INSERT INTO t VALUES (1)"] {
        assert!(error(db.fails(sql, ())).contains("unsafe use of rembed_lock()"), "{sql}");
    }
    db.run("SELECT rembed_register('c', 'openai')", ());
}

#[test]
fn a_lock_that_is_spelt_another_way_locks_and_an_empty_one_does_not() {
    for (word, locked) in
        [("yes", true), ("on", true), ("locked", true), ("0", false), ("", false), ("off", false)]
    {
        // Each in a process of its own, which runs this test again.
        child().env("REMBED_LOCK", word).env("REMBED_TEST_LOCKED", if locked { "1" } else { "" }).run(|| {
            let locked = std::env::var("REMBED_TEST_LOCKED").unwrap() == "1";
            assert_eq!(open().try_run("SELECT rembed_register('c', 'openai')", ()).is_err(), locked);
        });
    }
}
