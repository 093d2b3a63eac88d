//! Every way to add a row to `temp.rembed_clients`.

use rusqlite::Connection;
use serde_json::json;
use sqlite_host::*;

/// What a client looks like to a SELECT.
type Row = (String, String, String, String, Option<String>, String);

fn row(db: &Connection, name: &str) -> Row {
    let sql = "SELECT name, format, model, url, key, options FROM temp.rembed_clients WHERE name = ?";
    let row =
        db.query_row(sql, [name], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?)));
    row.unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn shown(name: &str, format: &str, model: &str, url: &str, key: Option<&str>, options: &str) -> Row {
    let text = str::to_owned;
    (text(name), text(format), text(model), text(url), key.map(text), text(options))
}

const OPENAI: &str = "https://api.openai.com/v1/embeddings";

#[test]
fn the_statements_of_the_contract() {
    const NOMIC: &str = r#"{"query_prefix":"search_query: ","document_prefix":"search_document: "}"#;
    let db = open();
    for sql in [
        "INSERT INTO temp.rembed_clients(name, format, model, key)
            VALUES ('gpt', 'openai', 'text-embedding-3-small', 'sk-1234')",
        "INSERT INTO temp.rembed_clients(name, format, model, url)
            VALUES ('local', 'ollama', 'nomic-embed-text', 'http://localhost:11434')",
        "INSERT INTO temp.rembed_clients(name, options) VALUES ('text-embedding-3-small', 'openai')",
        "INSERT INTO temp.rembed_clients(name, options) VALUES ('x', rembed_client_options(
            'format', 'openai', 'model', 'm', 'url', 'http://localhost:1', 'key', 'sk-5678'))",
        "INSERT INTO temp.rembed_clients(name, options)
            VALUES ('y', '{\"format\":\"cohere\",\"model\":\"embed-v4.0\"}')",
    ] {
        db.run(sql, ());
    }
    for expected in [
        shown("gpt", "openai", "text-embedding-3-small", OPENAI, Some("***"), "{}"),
        shown("local", "ollama", "nomic-embed-text", "http://localhost:11434", None, NOMIC),
        shown("text-embedding-3-small", "openai", "text-embedding-3-small", OPENAI, None, "{}"),
        shown("x", "openai", "m", "http://localhost:1", Some("***"), "{}"),
        shown("y", "cohere", "embed-v4.0", "https://api.cohere.com/v2/embed", None, "{}"),
    ] {
        assert_eq!(row(&db, &expected.0), expected);
    }
    db.run("UPDATE temp.rembed_clients SET model = 'text-embedding-3-large' WHERE name = 'gpt'", ());
    assert_eq!(row(&db, "gpt").2, "text-embedding-3-large");
    db.run("DELETE FROM temp.rembed_clients WHERE name = 'gpt'", ());
    assert_eq!(db.get::<i64>("SELECT count(*) FROM temp.rembed_clients WHERE name = 'gpt'", ()), 0);
    let sql = "SELECT name, format, model, url, key, json_extract(options, '$.dimensions')
               FROM temp.rembed_clients";
    assert_eq!(db.all::<String>(sql, ()).len(), 4);
}

#[test]
fn every_insert_makes_a_client_that_embeds() {
    let world = world(json!({"width": 4}));
    let url = world.base() + "/v1";
    let db = open();
    db.run("INSERT INTO temp.rembed_clients(name, format, url) VALUES ('a', 'openai', ?)", [&url]);
    db.run("INSERT INTO temp.rembed_clients(name, options, url) VALUES ('b', 'openai', ?)", [&url]);
    db.run(
        "INSERT INTO temp.rembed_clients(name, options)
         VALUES ('c', rembed_client_options('format', 'openai', 'url', ?))",
        [&url],
    );
    db.run(
        "INSERT INTO temp.rembed_clients(options, name) VALUES (json_object('format', 'openai', 'url', ?), 'd')",
        [&url],
    );
    db.run(
        "INSERT INTO temp.rembed_clients VALUES ('e', 'openai', 'm', ?, NULL, '{\"dimensions\":4}')",
        [&url],
    );
    for name in ["a", "b", "c", "d", "e"] {
        assert_eq!(db.vector("SELECT rembed(?, 'text')", [name]).len(), 4, "{name}");
    }
    let models: Vec<_> = world.log().iter().map(|entry| entry["body"]["model"].clone()).collect();
    assert_eq!(models, ["a", "b", "c", "d", "m"], "the model is the name unless one is given");
}

#[test]
fn any_qualifier_or_none_names_the_table() {
    let db = open();
    for (name, table) in [("a", "rembed_clients"), ("b", "main.rembed_clients"), ("c", "temp.rembed_clients")]
    {
        db.run(&format!("INSERT INTO {table}(name, format) VALUES (?, 'openai')"), [name]);
    }
    assert_eq!(db.all::<String>("SELECT name FROM temp.rembed_clients", ()), ["a", "b", "c"]);
}

#[test]
fn several_rows_and_the_rows_of_a_select() {
    let db = open();
    db.run(
        "INSERT INTO temp.rembed_clients(name, format) VALUES ('a', 'openai'), ('b', 'ollama'), ('c', 'nomic')",
        (),
    );
    db.run("CREATE TABLE wanted(n, f, m)", ());
    db.run("INSERT INTO wanted VALUES ('d', 'jina', 'j3'), ('e', 'cohere', NULL)", ());
    db.run("INSERT INTO temp.rembed_clients(name, format, model) SELECT n, f, m FROM wanted", ());
    db.run(
        "INSERT INTO temp.rembed_clients(name, format) SELECT name || '2', format FROM temp.rembed_clients",
        (),
    );
    let names = db.all::<String>("SELECT name || ' ' || format FROM temp.rembed_clients ORDER BY rowid", ());
    let five = ["a openai", "b ollama", "c nomic", "d jina", "e cohere"].map(str::to_owned);
    let doubled = five.clone().map(|name| name.replacen(' ', "2 ", 1));
    assert_eq!(names, [five, doubled].concat());
    assert_eq!(row(&db, "d").2, "j3");
    assert_eq!(row(&db, "e").2, "e", "a NULL model is the default, the name");
}

#[test]
fn a_taken_name_is_a_unique_error() {
    let db = open();
    db.run("INSERT INTO temp.rembed_clients(name, format) VALUES ('c', 'openai')", ());
    for verb in ["INSERT", "INSERT OR ABORT", "INSERT OR FAIL"] {
        let sql = format!("{verb} INTO temp.rembed_clients(name, format) VALUES ('c', 'ollama')");
        let text = constraint(db.fails(&sql, ()));
        assert!(text.contains("UNIQUE constraint failed: rembed_clients.name"), "{text}");
    }
    assert_eq!(row(&db, "c").1, "openai");
}

#[test]
fn or_replace_replaces_all_of_a_client() {
    let world = world(json!({"width": 4}));
    let db = open();
    db.run(
        "INSERT INTO temp.rembed_clients(name, format, url, key, options)
         VALUES ('c', 'openai', ?, 'sk-1234', '{\"dimensions\":8}')",
        [world.base()],
    );
    for verb in ["INSERT OR REPLACE", "REPLACE"] {
        db.run(&format!("{verb} INTO temp.rembed_clients(name, format) VALUES ('c', 'ollama')"), ());
        assert_eq!(row(&db, "c"), shown("c", "ollama", "c", "http://localhost:11434/api/embed", None, "{}"));
    }
    assert_eq!(db.get::<i64>("SELECT count(*) FROM temp.rembed_clients", ()), 1);
}

#[test]
fn or_ignore_leaves_a_client_and_goes_on() {
    let db = open();
    db.run("INSERT INTO temp.rembed_clients(name, format) VALUES ('c', 'openai')", ());
    db.run(
        "INSERT OR IGNORE INTO temp.rembed_clients(name, format) VALUES ('c', 'ollama'), ('d', 'ollama')",
        (),
    );
    assert_eq!(row(&db, "c").1, "openai");
    assert_eq!(row(&db, "d").1, "ollama");
}

#[test]
fn or_ignore_does_not_hide_other_errors() {
    let db = open();
    let sql = "INSERT OR IGNORE INTO temp.rembed_clients(name, format) VALUES ('c', 'nope')";
    assert!(error(db.fails(sql, ())).contains("'nope'"));
}

#[test]
fn a_rowid_may_be_chosen() {
    let db = open();
    db.run("INSERT INTO temp.rembed_clients(rowid, name, format) VALUES (7, 'a', 'openai')", ());
    db.run("INSERT INTO temp.rembed_clients(rowid, name, format) VALUES (3, 'b', 'openai')", ());
    db.run("INSERT INTO temp.rembed_clients(name, format) VALUES ('c', 'openai')", ());
    let ids = db.all::<i64>("SELECT rowid FROM temp.rembed_clients ORDER BY name", ());
    assert_eq!(ids[..2], [7, 3]);
    assert_eq!(db.last_insert_rowid(), ids[2]);
    assert_eq!(db.get::<String>("SELECT name FROM temp.rembed_clients WHERE rowid = 7", ()), "a");
    let taken = "INSERT INTO temp.rembed_clients(rowid, name, format) VALUES (7, 'd', 'openai')";
    let text = constraint(db.fails(taken, ()));
    assert!(text.contains("UNIQUE constraint failed: rembed_clients.rowid"), "{text}");
    db.run(&taken.replace("INSERT", "INSERT OR REPLACE"), ());
    assert_eq!(db.all::<String>("SELECT name FROM temp.rembed_clients ORDER BY name", ()), ["b", "c", "d"]);
}

#[test]
fn returning_gives_the_row() {
    let db = open();
    let sql =
        "INSERT INTO temp.rembed_clients(name, format) VALUES (?, 'openai') RETURNING name || ' ' || format";
    assert_eq!(db.get::<String>(sql, ["a"]), "a openai");
    let sql =
        "INSERT INTO temp.rembed_clients(rowid, name, format) VALUES (9, 'b', 'openai') RETURNING rowid";
    assert_eq!(db.get::<i64>(sql, ()), 9);
    assert_eq!(db.all::<String>("SELECT name FROM temp.rembed_clients", ()), ["a", "b"]);
}

#[test]
fn an_upsert_is_refused_clearly_and_changes_nothing() {
    let db = open();
    db.run("INSERT INTO temp.rembed_clients(name, format) VALUES ('c', 'openai')", ());
    for action in ["NOTHING", "UPDATE SET format = excluded.format"] {
        let sql = format!(
            "INSERT INTO temp.rembed_clients(name, format) VALUES ('c', 'ollama') ON CONFLICT(name) DO {action}"
        );
        let text = error(db.fails(&sql, ()));
        assert!(text.contains("UPSERT") && text.contains("rembed_clients"), "{text}");
    }
    assert_eq!(row(&db, "c").1, "openai");
}

#[test]
fn a_client_without_name_or_format_is_refused() {
    let db = open();
    for (columns, values, why) in [
        ("format", "'openai'", "name"),
        ("name, format", "NULL, 'openai'", "name"),
        ("name, format", "'', 'openai'", "name"),
        ("name, format", "x'63', 'openai'", "BLOB"),
        ("name", "'c'", "format"),
        ("name, format", "'c', 'nope'", "'nope'"),
        ("name, format, model", "'c', 'openai', x'00'", "BLOB"),
        ("name, options", "'c', ''", "options"),
        ("name, options", "'c', '[\"openai\"]'", "options"),
        ("name, options", "'c', '{\"format\":'", "JSON"),
        ("name, options", "'c', 'open ai'", "options"),
    ] {
        let sql = format!("INSERT INTO temp.rembed_clients({columns}) VALUES ({values})");
        let text = db.fails(&sql, ()).text;
        assert!(text.contains(why), "{values}: {text}");
    }
    assert_eq!(db.get::<i64>("SELECT count(*) FROM temp.rembed_clients", ()), 0);
}

#[test]
fn a_rowid_that_cannot_be_had_is_refused() {
    let db = open();
    for rowid in ["0", "-1", "9223372036854775807"] {
        let sql =
            format!("INSERT INTO temp.rembed_clients(rowid, name, format) VALUES ({rowid}, 'c', 'openai')");
        assert!(db.fails(&sql, ()).text.contains("rowid"), "{rowid}");
    }
    assert_eq!(db.get::<i64>("SELECT count(*) FROM temp.rembed_clients", ()), 0);
}

#[test]
fn a_prepared_insert_can_be_run_again() {
    let db = open();
    let mut insert =
        db.prepare("INSERT INTO temp.rembed_clients(name, format, model) VALUES (?, ?, ?)").unwrap();
    insert.execute(("a", "openai", "m")).unwrap();
    assert!(insert.execute(("a", "openai", "m")).is_err());
    assert!(insert.execute(("b", "nope", "m")).is_err());
    insert.execute(("b", "ollama", None::<String>)).unwrap();
    assert_eq!(row(&db, "b").2, "b");
}

#[test]
fn unusual_names_are_names() {
    let world = world(json!({"width": 4}));
    let db = open();
    let long = "n".repeat(10_000);
    for name in ["it's", "\"q\"", "a b", "Größe ☕", "%s%n", "5", "a\nb", long.as_str()] {
        db.run("INSERT INTO temp.rembed_clients(name, options) VALUES (?, 'ollama')", [name]);
        db.run("UPDATE temp.rembed_clients SET url = ? WHERE name = ?", [&world.base(), name]);
        assert_eq!(db.vector("SELECT rembed(?, 'a')", [name]).len(), 4);
        assert_eq!(db.get::<String>("SELECT name FROM temp.rembed_clients WHERE name = ?", [name]), name);
    }
}
