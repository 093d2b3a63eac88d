//! Who sees a client: its connection, or every connection of the process. Each test has a process of its own.

use rusqlite::Connection;
use serde_json::json;
use sqlite_host::*;

fn share(db: &Connection, name: &str, world: &World) {
    register(db, name, world, "{\"scope\":\"process\"}");
}

fn model_sent(db: &Connection, name: &str, world: &World) -> String {
    db.run("SELECT rembed(?, 'a')", [name]);
    world.log().last().unwrap()["body"]["model"].as_str().unwrap().to_owned()
}

#[test]
fn a_connection_keeps_its_clients_to_itself() {
    child().run(|| {
        let world = world(json!({"width": 4}));
        let db = open();
        register(&db, "private", &world, "{\"scope\":\"connection\"}");
        let text = error(open().fails("SELECT rembed('private', 'a')", ()));
        assert!(text.contains("was not registered"), "{text}");
    });
}

#[test]
fn every_connection_sees_a_client_of_the_process() {
    child().run(|| {
        let world = world(json!({"width": 4}));
        let (before, db) = (open(), open());
        share(&db, "shared", &world);
        db.close().unwrap();
        for other in [before, open()] {
            assert_eq!(other.vector("SELECT rembed('shared', 'a')", ()).len(), 4);
            let row =
                "SELECT json_extract(options, '$.scope') FROM temp.rembed_clients WHERE name = 'shared'";
            assert_eq!(other.get::<String>(row, ()), "process");
        }
        assert_eq!(open().get::<i64>("SELECT rembed_unregister('shared')", ()), 1);
        assert!(open().try_run("SELECT rembed('shared', 'a')", ()).is_err());
    });
}

#[test]
fn another_thread_sees_it_too() {
    child().run(|| {
        let world = world(json!({"width": 4}));
        share(&open(), "shared", &world);
        let other = std::thread::spawn(|| open().vector("SELECT rembed('shared', 'a')", ()).len());
        assert_eq!(other.join().unwrap(), 4);
    });
}

#[test]
fn a_connection_may_shadow_a_client_of_the_process() {
    child().run(|| {
        let world = world(json!({"width": 4}));
        let (db, other) = (open(), open());
        share(&db, "shadowed", &world);
        db.run(
            "INSERT INTO temp.rembed_clients(name, format, model, url) VALUES ('shadowed', 'openai', 'own', ?)",
            [world.url()],
        );
        assert_eq!(model_sent(&db, "shadowed", &world), "own");
        assert_eq!(model_sent(&other, "shadowed", &world), "m");
        let rows = "SELECT count(*) FROM temp.rembed_clients WHERE name = 'shadowed'";
        assert_eq!(db.get::<i64>(rows, ()), 1, "one name is one row");
        assert_eq!(db.get::<i64>("SELECT rembed_unregister('shadowed')", ()), 1);
        assert_eq!(model_sent(&db, "shadowed", &world), "m", "what was shadowed is seen again");
    });
}

#[test]
fn the_table_can_share_a_client_and_change_it_for_all() {
    child().run(|| {
        let world = world(json!({"width": 4}));
        let (db, other) = (open(), open());
        db.run(
            "INSERT INTO temp.rembed_clients(name, format, url, options)
             VALUES ('shared', 'openai', ?, '{\"scope\":\"process\"}')",
            [world.url()],
        );
        assert_eq!(model_sent(&other, "shared", &world), "shared");
        other.run("UPDATE temp.rembed_clients SET model = 'changed' WHERE name = 'shared'", ());
        assert_eq!(model_sent(&db, "shared", &world), "changed");
        let again = "INSERT INTO temp.rembed_clients(name, options)
                     VALUES ('shared', '{\"format\":\"openai\",\"scope\":\"process\"}')";
        let text = constraint(other.fails(again, ()));
        assert!(text.contains("UNIQUE"), "{text}");
        db.run("DELETE FROM temp.rembed_clients WHERE name = 'shared'", ());
        assert!(other.try_run("SELECT rembed('shared', 'a')", ()).is_err());
    });
}

#[test]
fn rowids_tell_own_and_shared_clients_apart() {
    child().run(|| {
        let world = world(json!({"width": 4}));
        let db = open();
        share(&db, "shared", &world);
        register(&db, "own", &world, "{}");
        let names = "SELECT name FROM temp.rembed_clients WHERE rowid =
                     (SELECT rowid FROM temp.rembed_clients WHERE name = ?)";
        for name in ["shared", "own"] {
            assert_eq!(db.all::<String>(names, [name]), [name]);
        }
    });
}

#[test]
fn a_client_may_change_its_scope() {
    child().run(|| {
        let world = world(json!({"width": 4}));
        let (db, other) = (open(), open());
        register(&db, "moving", &world, "{}");
        db.run(
            "UPDATE temp.rembed_clients SET options = json_set(options, '$.scope', 'process') WHERE name = 'moving'",
            (),
        );
        assert_eq!(model_sent(&other, "moving", &world), "m");
        other.run(
            "UPDATE temp.rembed_clients SET options = json_set(options, '$.scope', 'connection') WHERE name = 'moving'",
            (),
        );
        assert_eq!(model_sent(&other, "moving", &world), "m");
        assert!(db.try_run("SELECT rembed('moving', 'a')", ()).is_err());
    });
}

#[test]
fn another_scope_is_refused() {
    child().run(|| {
        let text =
            error(open().fails("SELECT rembed_register('c', 'format', 'openai', 'scope', 'galaxy')", ()));
        assert!(
            text.contains("'scope'") && text.contains("connection") && text.contains("process"),
            "{text}"
        );
    });
}
