//! A bug of ours must not end the host. The build with feature `rigged` has a format that panics.
//! Each test has a process of its own, since two builds in one process may mix.

use rusqlite::Connection;
use serde_json::json;
use sqlite_host::*;

fn open_rigged() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    load(&db, &rigged_library(), Some("sqlite3_rembed_init")).unwrap();
    db
}

/// SQLite opens extensions with RTLD_GLOBAL, so that a call by symbol within one may end in another.
#[test]
fn another_build_of_the_same_name_is_itself_and_not_the_one_loaded_first() {
    child().run(|| {
        let first = open();
        let db = Connection::open_in_memory().unwrap();
        load(&db, &rigged_library(), None).unwrap();
        let features = |db: &Connection| db.get::<String>("SELECT rembed_debug()", ()).contains("rigged");
        assert_eq!((features(&first), features(&db)), (false, true));
    });
}

/// What is said of a panic: whose it is, what to do, what it was.
fn is_panic(text: &str) -> bool {
    ["rembed", "internal error", "report", "rigged"].iter().all(|part| text.contains(part))
}

#[test]
fn a_panic_while_embedding_is_an_error_and_the_host_goes_on() {
    child().run(|| {
        let world = world(json!({"width": 4}));
        let db = open_rigged();
        register(&db, "good", &world, "{}");
        db.run("SELECT rembed_register('bad', 'panic')", ());
        for _ in 0..3 {
            let text = error(db.fails("SELECT rembed('bad', 'a')", ()));
            assert!(is_panic(&text), "{text}");
            assert_eq!(db.vector("SELECT rembed('good', 'a')", ()).len(), 4);
        }
        db.close().unwrap();
    });
}

/// In a batch the request runs on a thread of its own, and the panic must not leave the rest of the rows waiting.
#[test]
fn a_panic_in_a_batch_is_the_error_of_each_row() {
    child().run(|| {
        let db = open_rigged();
        for concurrency in [1, 4] {
            db.run("SELECT rembed_register('bad', 'format', 'panic', 'concurrency', ?)", [concurrency]);
            let texts: Vec<_> = (0..20).map(|i| format!("text {i}")).collect();
            let failed = "SELECT count(*) FROM rembed_batch('bad', ?) WHERE embedding IS NULL AND error LIKE '%internal%'";
            assert_eq!(db.get::<i64>(failed, [json!(texts).to_string()]), 20);
            let text = error(db.fails("SELECT key FROM rembed_batch('bad', '[\"a\", \"b\"]')", ()));
            assert!(text.contains("internal error"), "{text}");
        }
    });
}

#[test]
fn a_panic_is_the_last_error_too() {
    child().run(|| {
        let db = open_rigged();
        db.run("SELECT rembed_register('bad', 'panic')", ());
        let text = error(db.fails("SELECT rembed('bad', 'a')", ()));
        assert_eq!(db.get::<Option<String>>("SELECT rembed_last_error()", ()), Some(text));
    });
}

#[test]
fn a_panic_while_registering_is_an_error_and_the_host_goes_on() {
    child().run(|| {
        let world = world(json!({"width": 4}));
        let db = open_rigged();
        register(&db, "good", &world, "{}");
        for sql in [
            "INSERT INTO temp.rembed_clients(name, format, model) VALUES ('bad', 'panic', 'now')",
            "UPDATE temp.rembed_clients SET format = 'panic', model = 'now' WHERE name = 'good'",
            "INSERT OR REPLACE INTO temp.rembed_clients(name, format, model) VALUES ('good', 'panic', 'now')",
            "SELECT rembed_register('good', 'format', 'panic', 'model', 'now')",
        ] {
            let text = error(db.fails(sql, ()));
            assert!(is_panic(&text), "{sql}: {text}");
            assert_eq!(db.all::<String>("SELECT name FROM temp.rembed_clients", ()), ["good"], "{sql}");
            assert_eq!(db.vector("SELECT rembed('good', 'a')", ()).len(), 4, "{sql}");
        }
    });
}

#[test]
fn a_panic_in_one_thread_leaves_the_others_alone() {
    child().run(|| {
        let world = world(json!({"width": 4}));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let world = &world;
                scope.spawn(move || {
                    let db = open_rigged();
                    register(&db, "good", world, "{}");
                    db.run("SELECT rembed_register('bad', 'format', 'panic')", ());
                    for _ in 0..20 {
                        let client = if thread % 2 == 0 { "bad" } else { "good" };
                        let failed = db.try_run("SELECT rembed(?, 'a')", [client]).is_err();
                        assert_eq!(failed, client == "bad");
                    }
                });
            }
        });
    });
}
