//! What a database file may do by its triggers, views and columns, and what it may not: a hostile file must
//! not redirect where text is sent.

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use serde_json::json;
use sqlite_host::*;

/// The functions and statements that only the user may run.
const DIRECT: [&str; 6] = [
    "SELECT rembed_register('evil', 'openai')",
    "SELECT rembed_unregister('c')",
    "SELECT rembed_client_options('format', 'openai')",
    "INSERT INTO rembed_clients(name, format) VALUES ('evil', 'openai')",
    "UPDATE rembed_clients SET url = 'http://127.0.0.1:9'",
    "DELETE FROM rembed_clients",
];

fn with_table(world: &World) -> Connection {
    let db = open_with_client(world);
    db.run("CREATE TABLE docs(id INTEGER PRIMARY KEY, text TEXT, vector BLOB)", ());
    db
}

fn clients(db: &Connection) -> Vec<String> {
    db.all("SELECT name FROM temp.rembed_clients", ())
}

#[test]
fn a_trigger_of_the_file_cannot_touch_the_clients() {
    let world = world(json!({"width": 4}));
    for action in DIRECT {
        let db = with_table(&world);
        db.run(&format!("CREATE TRIGGER t AFTER INSERT ON docs BEGIN {action}; END"), ());
        let text = error(db.fails("INSERT INTO docs(text) VALUES ('a')", ()));
        assert!(text.contains("unsafe use of"), "{action}: {text}");
        assert_eq!(clients(&db), ["c"], "{action}");
    }
}

#[test]
fn a_view_of_the_file_cannot_read_or_change_the_clients() {
    let world = world(json!({"width": 4}));
    for query in [DIRECT[0], DIRECT[1], DIRECT[2], "SELECT name FROM rembed_clients"] {
        let db = with_table(&world);
        db.run(&format!("CREATE VIEW v AS {query}"), ());
        let text = error(db.fails("SELECT * FROM v", ()));
        assert!(text.contains("unsafe use of"), "{query}: {text}");
        assert_eq!(clients(&db), ["c"], "{query}");
    }
}

#[test]
fn a_default_or_a_check_of_the_file_cannot_touch_the_clients() {
    let world = world(json!({"width": 4}));
    let db = with_table(&world);
    let evil = "rembed_register('evil', 'openai')";
    for definition in [
        format!("CREATE TABLE x(a, b DEFAULT ({evil}))"),
        format!("CREATE TABLE y(a, b CHECK ({evil} <> ''))"),
        format!("CREATE TABLE z(a, b AS ({evil}))"),
    ] {
        // Whether the definition or its first use is refused is SQLite's affair.
        let made = db.try_run(&definition, ());
        let name = &definition["CREATE TABLE ".len()..][..1];
        let used = made.and_then(|()| db.try_run(&format!("INSERT INTO {name}(a) VALUES (1)"), ()));
        assert!(used.is_err(), "{definition}");
    }
    assert_eq!(clients(&db), ["c"]);
}

/// SQLite lets no trigger write a DIRECTONLY table, not even a temporary one; the function is for those.
#[test]
fn temporary_triggers_and_views_are_the_users_own() {
    let world = world(json!({"width": 4}));
    let db = with_table(&world);
    db.run(
        "CREATE TEMP TRIGGER t AFTER INSERT ON docs BEGIN
            SELECT rembed_register(NEW.text, rembed_client_options('format', 'openai'));
         END",
        (),
    );
    db.run("INSERT INTO docs(text) VALUES ('a')", ());
    db.run("CREATE TEMP VIEW v AS SELECT name FROM rembed_clients", ());
    assert_eq!(db.all::<String>("SELECT name FROM v", ()), ["c", "a"]);
    db.run("CREATE TEMP TRIGGER u AFTER DELETE ON docs BEGIN SELECT rembed_unregister(OLD.text); END", ());
    db.run("DELETE FROM docs", ());
    assert_eq!(clients(&db), ["c"]);
}

#[test]
fn a_trigger_embeds_on_insert() {
    let world = world(json!({"width": 4}));
    for temp in ["", "TEMP"] {
        let db = with_table(&world);
        db.run(
            &format!(
                "CREATE {temp} TRIGGER t AFTER INSERT ON docs BEGIN
                    UPDATE docs SET vector = rembed('c', NEW.text) WHERE id = NEW.id;
                 END"
            ),
            (),
        );
        db.run("INSERT INTO docs(text) VALUES ('one'), ('two')", ());
        let vectors = db.all::<Vec<u8>>("SELECT vector FROM docs", ());
        assert_eq!(vectors[0], db.get::<Vec<u8>>("SELECT rembed('c', 'one')", ()), "{temp}");
        assert_eq!(vectors[1].len(), 16, "{temp}");
    }
}

#[test]
fn an_error_in_a_trigger_undoes_the_insert() {
    let world = faulty(json!({"text": "bad", "status": 400}));
    let db = with_table(&world);
    db.run(
        "CREATE TRIGGER t AFTER INSERT ON docs BEGIN
            UPDATE docs SET vector = rembed('c', NEW.text) WHERE id = NEW.id;
         END",
        (),
    );
    let text = error(db.fails("INSERT INTO docs(text) VALUES ('good'), ('bad')", ()));
    assert!(text.contains("client 'c'") && text.contains("HTTP 400"), "{text}");
    assert_eq!(db.get::<i64>("SELECT count(*) FROM docs", ()), 0);
}

#[test]
fn views_and_generated_columns_embed() {
    let world = world(json!({"width": 4}));
    let db = with_table(&world);
    db.run("INSERT INTO docs(text) VALUES ('a')", ());
    db.run("CREATE VIEW v AS SELECT id, rembed('c', text) AS vector FROM docs", ());
    assert_eq!(db.vector("SELECT vector FROM v", ()).len(), 4);
    for kind in ["STORED", "VIRTUAL"] {
        db.run(&format!("CREATE TABLE {kind}(x TEXT, v BLOB AS (rembed('c', x)) {kind})"), ());
        db.run(&format!("INSERT INTO {kind}(x) VALUES ('a')"), ());
        assert_eq!(db.vector(&format!("SELECT v FROM {kind}"), ()), db.embed("a"), "{kind}");
    }
}

#[test]
fn an_untrusted_schema_may_not_embed_but_the_user_may() {
    let world = world(json!({"width": 4}));
    let db = with_table(&world);
    db.run("INSERT INTO docs(text) VALUES ('a')", ());
    db.run("CREATE VIEW v AS SELECT rembed('c', text) FROM docs", ());
    db.run("CREATE TRIGGER t AFTER DELETE ON docs BEGIN SELECT rembed('c', OLD.text); END", ());
    db.run("CREATE TABLE g(x TEXT, v AS (rembed('c', x)))", ());
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false).unwrap();
    for sql in ["SELECT * FROM v", "DELETE FROM docs", "SELECT v FROM g"] {
        let text = error(db.fails(sql, ()));
        assert!(text.contains("unsafe use of rembed()"), "{sql}: {text}");
    }
    assert_eq!(world.requests(), 0);
    assert_eq!(db.vector("SELECT rembed('c', text) FROM docs", ()).len(), 4);
    db.run("CREATE TEMP VIEW mine AS SELECT rembed('c', text) FROM docs", ());
    assert_eq!(db.vector("SELECT * FROM mine", ()).len(), 4);
}

#[test]
fn a_table_of_the_file_with_the_same_name_is_told_no_key() {
    let world = world(json!({"width": 4}));
    let db = with_table(&world);
    db.run("CREATE TABLE main.rembed_clients(name, format, model, url, key, options)", ());
    let insert = "INSERT INTO temp.rembed_clients(name, format, url, key) VALUES ('d', 'openai', ?, 'sk-1')";
    db.run(insert, [world.url()]);
    assert_eq!(db.get::<i64>("SELECT count(*) FROM main.rembed_clients", ()), 0);
    assert_eq!(clients(&db), ["c", "d"]);
    assert_eq!(db.vector("SELECT rembed('d', 'a')", ()).len(), 4);
}

/// `temp.` is what makes it ours.
#[test]
fn a_name_without_temp_is_the_files_table_where_it_has_one() {
    let world = world(json!({"width": 4}));
    for file in ["main", "other"] {
        let db = with_table(&world);
        let insert = "INSERT INTO rembed_clients(name, format, key) VALUES ('d', 'openai', 'sk-1')";
        db.run(insert, ());
        assert_eq!(clients(&db), ["c", "d"]);
        db.run("SELECT rembed_unregister('d')", ());
        let embed = "SELECT rembed('d', 'a')";
        assert!(!error(db.fails(embed, ())).contains("of its own"));
        db.run("ATTACH ':memory:' AS other", ());
        db.run(&format!("CREATE TABLE {file}.rembed_clients(name, format, model, url, key, options)"), ());
        db.run(insert, ());
        assert_eq!(db.get::<String>(&format!("SELECT key FROM {file}.rembed_clients"), ()), "sk-1");
        assert_eq!(clients(&db), ["c"]);
        let text = error(db.fails(embed, ()));
        assert!(text.contains("A database file has a table rembed_clients of its own"), "{text}");
        db.run("INSERT INTO temp.rembed_clients(name, format) VALUES ('e', 'openai')", ());
        assert_eq!(clients(&db), ["c", "e"]);
    }
}

#[test]
fn defensive_mode_and_attached_databases_change_nothing() {
    let world = world(json!({"width": 4}));
    let db = with_table(&world);
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).unwrap();
    db.run("ATTACH ':memory:' AS other", ());
    db.run("CREATE TABLE other.t AS SELECT 'a' AS text", ());
    db.run("UPDATE temp.rembed_clients SET model = 'm2'", ());
    assert_eq!(db.vector("SELECT rembed('c', text) FROM other.t", ()).len(), 4);
}
