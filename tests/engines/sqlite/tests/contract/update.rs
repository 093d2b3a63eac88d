//! UPDATE and DELETE of clients, and what a transaction means to them.

use rusqlite::Connection;
use serde_json::json;
use sqlite_host::*;

/// Two clients that embed, `c` with the literal key `sk-first`.
fn two(world: &World) -> Connection {
    let db = open();
    for (name, key) in [("b", None), ("c", Some("sk-first"))] {
        db.run(
            "INSERT INTO temp.rembed_clients(name, format, model, url, key, options)
             VALUES (?, 'openai', 'm', ?, ?, '{\"cache\":\"off\",\"dimensions\":4}')",
            (name, world.url(), key),
        );
    }
    db
}

fn shown(db: &Connection, column: &str) -> Option<String> {
    db.get(&format!("SELECT {column} FROM temp.rembed_clients WHERE name = 'c'"), ())
}

/// Embeds by `c`, and tells the key that arrived.
fn key_sent(db: &Connection, world: &World) -> Option<String> {
    db.embed("a");
    let header = world.log().last().unwrap()["headers"]["authorization"].clone();
    header.as_str().map(str::to_owned)
}

#[test]
fn each_column_can_be_set() {
    let world = world(json!({"width": 4}));
    let db = two(&world);
    let set = |what: &str| db.run(&format!("UPDATE temp.rembed_clients SET {what} WHERE name = 'c'"), ());
    set("model = 'other'");
    assert_eq!(shown(&db, "model").as_deref(), Some("other"));
    set("format = 'jina'");
    assert_eq!(shown(&db, "format").as_deref(), Some("jina"));
    set("url = 'http://localhost:1/v1'");
    assert_eq!(shown(&db, "url").as_deref(), Some("http://localhost:1/v1"));
    set("key = 'env:K'");
    assert_eq!(shown(&db, "key").as_deref(), Some("env:K"));
    set("options = '{\"dimensions\":8}'");
    assert_eq!(shown(&db, "options").as_deref(), Some("{\"dimensions\":8}"));
    set("rowid = 77");
    assert_eq!(shown(&db, "rowid || ''").as_deref(), Some("77"));
    set("name = 'd'");
    let names = db.all::<String>("SELECT name FROM temp.rembed_clients ORDER BY name", ());
    assert_eq!(names, ["b", "d"], "the other row stays as it was");
}

#[test]
fn an_update_takes_effect_in_the_next_call() {
    let world = world(json!({"width": 4}));
    let db = two(&world);
    db.run(
        "UPDATE temp.rembed_clients SET model = 'new', options = '{\"dimensions\":6}' WHERE name = 'c'",
        (),
    );
    assert_eq!(db.embed("a").len(), 6);
    assert_eq!(world.only()["body"]["model"], "new");
    db.run("UPDATE temp.rembed_clients SET name = 'renamed' WHERE name = 'c'", ());
    assert_eq!(db.vector("SELECT rembed('renamed', 'a')", ()).len(), 6);
    assert!(db.embed_error("a").contains("was not registered"));
}

#[test]
fn every_row_can_be_updated_at_once() {
    let world = world(json!({"width": 4}));
    let db = two(&world);
    db.run("UPDATE temp.rembed_clients SET model = name || '-model'", ());
    let models = db.all::<String>("SELECT model FROM temp.rembed_clients ORDER BY name", ());
    assert_eq!(models, ["b-model", "c-model"]);
    db.run("UPDATE temp.rembed_clients SET name = 'x' || name, rowid = rowid + 100", ());
    assert_eq!(db.all::<String>("SELECT name FROM temp.rembed_clients ORDER BY name", ()), ["xb", "xc"]);
    assert_eq!(db.vector("SELECT rembed('xc', 'a')", ()).len(), 4);
}

#[test]
fn an_update_of_anything_else_keeps_the_literal_key() {
    let world = world(json!({"width": 4}));
    let db = two(&world);
    for set in [
        "model = 'm2'",
        "name = 'c'",
        "rowid = 50",
        "format = 'jina'",
        "format = 'openai', model = 'm3'",
        "options = '{\"dimensions\":4}'",
        "options = json_set(options, '$.timeout', 5)",
        "options = NULL",
        "model = upper(model)",
        "url = url",
    ] {
        db.run(&format!("UPDATE temp.rembed_clients SET {set} WHERE name = 'c'"), ());
        assert_eq!(key_sent(&db, &world).as_deref(), Some("Bearer sk-first"), "{set}");
    }
}

#[test]
fn an_update_from_another_table_keeps_the_literal_key() {
    let world = world(json!({"width": 4}));
    let db = two(&world);
    db.run("CREATE TABLE wanted(client, model)", ());
    db.run("INSERT INTO wanted VALUES ('c', 'm2')", ());
    db.run("UPDATE temp.rembed_clients SET model = wanted.model FROM wanted WHERE wanted.client = name", ());
    assert_eq!(shown(&db, "model").as_deref(), Some("m2"));
    assert_eq!(key_sent(&db, &world).as_deref(), Some("Bearer sk-first"));
}

#[test]
fn a_new_url_drops_a_literal_key() {
    let (old, new) = (world(json!({"width": 4})), world(json!({"width": 4})));
    child().run(|| {
        let db = two(&old);
        db.run("UPDATE temp.rembed_clients SET url = ? WHERE name = 'c'", [new.url()]);
        assert_eq!(shown(&db, "key"), None);
        assert_eq!(key_sent(&db, &new), None, "a key must not follow a URL to another server");
    });
}

#[test]
fn a_new_url_within_the_options_drops_a_literal_key_too() {
    let (old, new) = (world(json!({"width": 4})), world(json!({"width": 4})));
    child().run(|| {
        let db = two(&old);
        let options = json!({"url": new.url()}).to_string();
        db.run("UPDATE temp.rembed_clients SET options = ? WHERE name = 'c'", [options]);
        assert_eq!(key_sent(&db, &new), None);
    });
}

#[test]
fn a_new_url_drops_a_literal_key_in_a_header_too() {
    let (old, new) = (world(json!({"width": 4})), world(json!({"width": 4})));
    let headers = json!({"headers": {"api-key": "sk-header", "x-team": "red"}});
    let db = open_with(&old, &headers.to_string());
    db.run("UPDATE temp.rembed_clients SET url = ? WHERE name = 'c'", [new.url()]);
    db.embed("a");
    let sent = &new.only()["headers"];
    assert!(sent.get("api-key").is_none(), "a key must not follow a URL to another server");
}

#[test]
fn a_new_url_keeps_a_key_that_the_same_statement_sets() {
    let (old, new) = (world(json!({"width": 4})), world(json!({"width": 4})));
    let db = two(&old);
    db.run("UPDATE temp.rembed_clients SET url = ?, key = 'sk-second' WHERE name = 'c'", [new.url()]);
    assert_eq!(key_sent(&db, &new).as_deref(), Some("Bearer sk-second"));
}

#[test]
fn a_new_url_keeps_a_reference_to_a_key() {
    let (old, new) = (world(json!({"width": 4})), world(json!({"width": 4})));
    let directory = Directory::new("reference");
    let file = format!("file:{}", directory.file("key", "sk-file\n"));
    child().env("REMBED_TEST_KEY", "sk-env").run(|| {
        for (reference, key) in [("env:REMBED_TEST_KEY", "Bearer sk-env"), (&file, "Bearer sk-file")] {
            let db = two(&old);
            db.run("UPDATE temp.rembed_clients SET key = ? WHERE name = 'c'", [reference]);
            db.run("UPDATE temp.rembed_clients SET url = ? WHERE name = 'c'", [new.url()]);
            assert_eq!(shown(&db, "key").as_deref(), Some(reference));
            assert_eq!(key_sent(&db, &new).as_deref(), Some(key));
        }
    });
}

#[test]
fn the_stars_of_a_hidden_key_are_no_key() {
    let world = world(json!({"width": 4}));
    let db = two(&world);
    // Written back where it was read, they may be refused or mean what they hide.
    let _ = db.try_run("UPDATE temp.rembed_clients SET key = '***' WHERE name = 'c'", ());
    assert_eq!(key_sent(&db, &world).as_deref(), Some("Bearer sk-first"));
    let insert = "INSERT INTO temp.rembed_clients(name, format, key) VALUES ('d', 'openai', '***')";
    assert!(error(db.fails(insert, ())).contains("***"));
    let nothing_hidden = "UPDATE temp.rembed_clients SET key = '***' WHERE name = 'b'";
    assert!(error(db.fails(nothing_hidden, ())).contains("***"));
}

#[test]
fn a_failed_update_changes_nothing() {
    let world = world(json!({"width": 4}));
    let db = two(&world);
    for (set, why) in [
        ("format = 'nope'", "'nope'"),
        ("name = NULL", "name"),
        ("url = 'ftp://h'", "http"),
        ("options = '{\"dimensions\":0}'", "'dimensions'"),
        ("format = 'nope', model = 'm9'", "'nope'"),
        ("model = x'00'", "BLOB"),
    ] {
        let sql = format!("UPDATE temp.rembed_clients SET {set} WHERE name = 'c'");
        let text = db.fails(&sql, ()).text;
        assert!(text.contains(why), "{set}: {text}");
        assert_eq!(shown(&db, "model").as_deref(), Some("m"), "{set}");
        assert_eq!(db.embed("a").len(), 4, "{set}");
    }
}

#[test]
fn an_update_to_a_taken_name_or_rowid_is_a_unique_error() {
    let world = world(json!({"width": 4}));
    let db = two(&world);
    let other = db.get::<i64>("SELECT rowid FROM temp.rembed_clients WHERE name = 'b'", ());
    let text = constraint(db.fails("UPDATE temp.rembed_clients SET name = 'b' WHERE name = 'c'", ()));
    assert!(text.contains("UNIQUE constraint failed: rembed_clients.name"), "{text}");
    let text = constraint(db.fails("UPDATE temp.rembed_clients SET rowid = ? WHERE name = 'c'", [other]));
    assert!(text.contains("UNIQUE constraint failed: rembed_clients.rowid"), "{text}");
    db.run("UPDATE OR IGNORE temp.rembed_clients SET name = 'b' WHERE name = 'c'", ());
    assert_eq!(db.all::<String>("SELECT name FROM temp.rembed_clients ORDER BY name", ()), ["b", "c"]);
    db.run("UPDATE OR REPLACE temp.rembed_clients SET name = 'b', model = 'won' WHERE name = 'c'", ());
    assert_eq!(db.all::<String>("SELECT name || model FROM temp.rembed_clients", ()), ["bwon"]);
}

#[test]
fn rows_can_be_deleted_one_and_all() {
    let world = world(json!({"width": 4}));
    let db = two(&world);
    db.run("DELETE FROM temp.rembed_clients WHERE name = 'nobody'", ());
    db.run("DELETE FROM temp.rembed_clients WHERE name = 'c'", ());
    assert!(db.embed_error("a").contains("Registered are: b"));
    db.run("SELECT rembed_register('c', 'openai'), rembed_register('d', 'openai')", ());
    db.run("DELETE FROM temp.rembed_clients WHERE model <> 'm'", ());
    assert_eq!(db.all::<String>("SELECT name FROM temp.rembed_clients", ()), ["b"]);
    db.run("DELETE FROM temp.rembed_clients", ());
    assert_eq!(db.get::<i64>("SELECT count(*) FROM temp.rembed_clients", ()), 0);
}

#[test]
fn rollback_undoes_nothing() {
    let world = world(json!({"width": 4}));
    let db = two(&world);
    for undo in ["ROLLBACK", "ROLLBACK TO s"] {
        db.run("BEGIN", ());
        db.run("SAVEPOINT s", ());
        db.run("INSERT INTO temp.rembed_clients(name, format) VALUES ('new', 'openai')", ());
        db.run("UPDATE temp.rembed_clients SET model = ? WHERE name = 'c'", [undo]);
        db.run("DELETE FROM temp.rembed_clients WHERE name = 'b'", ());
        db.run(undo, ());
        assert_eq!(db.all::<String>("SELECT name FROM temp.rembed_clients ORDER BY name", ()), ["c", "new"]);
        assert_eq!(shown(&db, "model").as_deref(), Some(undo));
        if !db.is_autocommit() {
            db.run("COMMIT", ());
        }
        db.run("DELETE FROM temp.rembed_clients WHERE name = 'new'", ());
        db.run("SELECT rembed_register('b', 'openai')", ());
    }
}

#[test]
fn the_table_cannot_be_dropped() {
    let world = world(json!({"width": 4}));
    let db = two(&world);
    assert!(db.try_run("DROP TABLE rembed_clients", ()).is_err());
    assert!(db.try_run("DROP TABLE temp.rembed_clients", ()).is_err());
    assert_eq!(db.embed("a").len(), 4);
}
