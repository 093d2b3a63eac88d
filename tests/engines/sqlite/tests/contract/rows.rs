//! `rembed_rows()`: what it reads, and how deep it may stand in itself.

use rusqlite::Connection;
use serde_json::json;
use sqlite_host::*;

/// In one database of each encoding.
fn encoded() -> impl Iterator<Item = Connection> {
    ["UTF-8", "UTF-16le", "UTF-16be"].into_iter().map(|encoding| {
        let db = open();
        db.run(&format!("PRAGMA encoding = '{encoding}'"), ());
        db.run("CREATE TABLE docs(id, body)", ());
        db
    })
}

#[test]
fn a_key_comes_as_it_is_in_every_encoding() {
    let world = world(json!({"width": 4}));
    for db in encoded() {
        register(&db, "c", &world, "{}");
        db.run("INSERT INTO docs VALUES ('kéy', 'a'), ('', 'b'), (x'00ff', 'c'), (1, 'd'), (1.5, 'e'), (NULL, 'f')", ());
        let same = "SELECT count(*) FROM docs JOIN rembed_rows('c', 'SELECT id, body FROM docs') AS r
                    ON r.text = body AND r.key IS id AND typeof(r.key) = typeof(id)";
        assert_eq!(db.get::<i64>(same, ()), 6);
        let long = "SELECT key FROM rembed_rows('c', 'SELECT ''kéy'', ''a''')";
        assert_eq!(db.get::<String>(long, ()), "kéy");
    }
}

/// What reads itself: a table whose row holds the statement that reads the table, a view, and either by way of `rembed_batch`
/// and of `rembed`. Run on a stack of a size that threads have.
#[test]
fn what_reads_itself_is_an_error() {
    let world = world(json!({"width": 4}));
    child().run_in(&world, |world| {
        for (setup, sql) in [
            (
                "INSERT INTO held VALUES ('SELECT r.key, r.text FROM held, rembed_rows(''c'', sql) AS r')",
                "SELECT r.key FROM held, rembed_rows('c', sql) AS r",
            ),
            (
                "CREATE TEMP VIEW v AS SELECT key, text FROM rembed_rows('c', 'SELECT key, text FROM v')",
                "SELECT key FROM v",
            ),
            (
                "CREATE TEMP VIEW v AS SELECT b.key, b.text FROM rembed_batch('c', (
                     SELECT json_group_array(text) FROM rembed_rows('c', 'SELECT * FROM v'))) AS b",
                "SELECT error FROM rembed_batch('c', (SELECT json_group_array(text) FROM v))",
            ),
            (
                "CREATE TEMP VIEW v AS SELECT 1 AS key, hex(rembed('c', (
                     SELECT text FROM rembed_rows('c', 'SELECT * FROM v')))) AS text",
                "SELECT error FROM rembed_rows('c', 'SELECT * FROM v')",
            ),
            (
                "CREATE TEMP VIEW v AS SELECT 1 AS key, rembed_prefetch('c', (
                     SELECT json_group_array(text) FROM rembed_rows('c', 'SELECT * FROM v'))) AS text",
                "SELECT text FROM v",
            ),
        ] {
            let db = open_with_client(world);
            db.run("CREATE TABLE held(sql)", ());
            db.run(setup, ());
            let text = error(db.fails(sql, ()));
            let said = "rembed_rows: nested more than 8 deep";
            assert!(text.starts_with(said) && text.contains("reads itself"), "{sql}: {text}");
            // And the connection goes on.
            assert_eq!(db.get::<i64>("SELECT count(embedding) FROM rembed_rows('c', 'SELECT 1, 2')", ()), 1);
        }
        assert_eq!(world.requests(), 5);
    });
}

#[test]
fn some_levels_are_fine() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    let mut sql = "SELECT 1, ''a''".replace("''", "'");
    for _ in 0..8 {
        sql = format!("SELECT key, text FROM rembed_rows('c', '{}')", sql.replace('\'', "''"));
    }
    assert_eq!(db.all::<i64>(&sql, ()), [1]);
    let sql = format!("SELECT key, text FROM rembed_rows('c', '{}')", sql.replace('\'', "''"));
    assert!(error(db.fails(&sql, ())).contains("nested more than 8 deep"));
}

/// The text that the outer one has claimed and not sent yet, asked for by what it reads: nobody waits for himself.
#[test]
fn the_same_text_inside_and_outside() {
    let world = world(json!({"width": 4}));
    child().run_in(&world, |world| {
        let db = open();
        register(&db, "c", world, "{\"cache\":\"memory\"}");
        db.run("CREATE TABLE docs(id, body)", ());
        db.run("INSERT INTO docs VALUES (1, 'a'), (2, 'b'), (3, 'a')", ());
        for inner in [
            "SELECT id, body FROM docs WHERE length(rembed(''c'', body)) = 16",
            "SELECT id, body FROM docs WHERE rembed_prefetch(''c'', json_array(body)) = 1",
            "SELECT key, text FROM rembed_rows(''c'', ''SELECT id, body FROM docs'')",
            "SELECT id, body FROM docs WHERE (SELECT count(embedding) FROM rembed_batch(''c'', json_array(body))) = 1",
        ] {
            let sql = format!("SELECT count(embedding) FROM rembed_rows('c', '{inner}')");
            assert_eq!(db.get::<i64>(&sql, ()), 3, "{inner}");
            db.run("SELECT rembed_cache_clear()", ());
        }
    });
}

/// What else could nest without end: JSON in an argument, and a trigger that embeds for itself.
#[test]
fn nothing_else_nests_without_end() {
    let world = world(json!({"width": 4}));
    child().run_in(&world, |world| {
        let db = open_with_client(world);
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"id\":", ",\"text\":\"a\"}]")] {
            let deep = open.repeat(100_000) + "1" + &close.repeat(100_000);
            for sql in [
                "SELECT * FROM rembed_batch('c', ?)",
                "SELECT rembed_prefetch('c', ?)",
                "SELECT rembed_register('d', ?)",
                "SELECT rembed_register('d', 'format', 'openai', 'body', ?)",
                "SELECT rembed_client_options('format', 'openai', 'headers', ?)",
                "INSERT INTO temp.rembed_clients(name, options) VALUES ('d', ?)",
            ] {
                let text = error(db.fails(sql, [&deep]));
                assert!(text.len() < 2000, "{sql}: {} bytes", text.len());
            }
        }
        db.run("PRAGMA recursive_triggers = ON", ());
        db.run("CREATE TABLE n(i, v)", ());
        db.run(
            "CREATE TEMP TRIGGER again AFTER INSERT ON n BEGIN INSERT INTO n VALUES (NEW.i + 1, rembed('c', NULL)); END",
            (),
        );
        let text = error(db.fails("INSERT INTO n VALUES (1, NULL)", ()));
        assert!(text.contains("trigger"), "{text}");
        assert_eq!(world.requests(), 0);
    });
}
