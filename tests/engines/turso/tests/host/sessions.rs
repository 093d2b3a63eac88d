//! Connections, and what they share.

use serde_json::json;
use turso_host::{Way, error, in_file, in_memory, library, plain, run, text, world};

#[test]
fn each_connection_has_its_clients() {
    for way in Way::all() {
        let url = world(json!({"width": 4})).url();
        let database = in_memory();
        let (one, other) = (way.connect(&database).unwrap(), way.connect(&database).unwrap());
        run(
            &one,
            &format!("INSERT INTO temp.rembed_clients(name, format, url) VALUES ('own', 'openai', '{url}')"),
        );
        assert_eq!(text(&one, "SELECT length(rembed('own', 'x'))"), "16");
        assert!(error(&other, "SELECT rembed('own', 'x')").contains("was not registered"));
        drop(other);
        assert_eq!(text(&one, "SELECT length(rembed('own', 'y'))"), "16");
    }
}

#[test]
fn a_second_time_changes_nothing() {
    for first in Way::all() {
        for second in Way::all() {
            let db = first.open();
            run(&db, "INSERT INTO temp.rembed_clients(name, options) VALUES ('a', 'openai')");
            second.set_up(&db).unwrap();
            assert_eq!(text(&db, "SELECT name FROM temp.rembed_clients"), "a");
            assert_eq!(text(&db, "SELECT rembed_clients_shown('a', 'format')"), "openai");
            assert!(text(&db, "SELECT rembed_version()").starts_with('v'));
        }
    }
}

#[test]
fn a_second_time_keeps_the_lock() {
    for first in Way::all() {
        for second in Way::all() {
            let db = first.open();
            run(&db, "INSERT INTO temp.rembed_clients(name, options) VALUES ('a', 'openai')");
            assert_eq!(text(&db, "SELECT rembed_lock()"), "1");
            second.set_up(&db).unwrap();
            for sql in [
                "SELECT rembed_register('b', 'openai')",
                "SELECT rembed_clients_set(NULL, 'b', 'openai', NULL, NULL, NULL, NULL)",
                "INSERT INTO temp.rembed_clients(name, options) VALUES ('b', 'openai')",
                "UPDATE temp.rembed_clients SET model = 'm'",
                "DELETE FROM temp.rembed_clients",
            ] {
                let e = error(&db, sql);
                assert!(e.contains("locked by rembed_lock()"), "{sql}: {e}");
            }
            assert_eq!(text(&db, "SELECT group_concat(name) FROM temp.rembed_clients"), "a");
        }
    }
}

#[test]
fn a_statement_outlives_its_functions() {
    let db = plain(&in_memory()).unwrap();
    db.load_extension(library()).unwrap();
    let mut statement = db.prepare("SELECT rembed_version()").unwrap();
    db.load_extension(library()).unwrap();
    drop(db);
    assert_eq!(statement.run_collect_rows().unwrap().len(), 1);
}

#[test]
fn a_connection_may_move_between_threads() {
    for way in Way::all() {
        let db = way.open_with_client(&world(json!({"width": 4})));
        let moved = std::thread::spawn(move || text(&db, "SELECT length(rembed('c', 'x'))"));
        assert_eq!(moved.join().unwrap(), "16");
    }
}

#[test]
fn a_read_only_database_embeds() {
    for (n, way) in Way::all().iter().enumerate() {
        let path = std::env::temp_dir().join(format!("rembed-read-only-{}-{n}.db", std::process::id()));
        let file = path.to_str().unwrap();
        let db = plain(&in_file(file, false).unwrap()).unwrap();
        run(&db, "CREATE TABLE t(x)");
        run(&db, "PRAGMA wal_checkpoint(TRUNCATE)");
        drop(db);
        let db = way.connect(&in_file(file, true).unwrap()).unwrap();
        assert!(error(&db, "INSERT INTO t VALUES (1)").contains("readonly"));
        let url = world(json!({"width": 4})).url();
        run(&db, &format!("SELECT rembed_register('a', 'format', 'openai', 'url', '{url}')"));
        assert_eq!(text(&db, "SELECT length(rembed('a', 'x'))"), "16");
        assert!(error(&db, "INSERT INTO temp.rembed_clients(name) VALUES ('b')").contains("no such table"));
        drop(db);
        for end in ["", "-wal"] {
            let _ = std::fs::remove_file(format!("{file}{end}"));
        }
    }
}
