//! A key is never read back, wherever one looks.

use rusqlite::Connection;
use serde_json::json;
use sqlite_host::*;

const KEY: &str = "sk-needle-0123456789";

/// Everything that SQL can read of the clients, in one text.
fn all_that_is_shown(db: &Connection) -> String {
    let table = "SELECT group_concat(quote(name) || quote(format) || quote(model) || quote(url) || quote(key)
                 || quote(options), '; ') FROM temp.rembed_clients";
    let shown = db.get::<Option<String>>(table, ()).unwrap_or_default();
    let debug = db.get::<String>("SELECT rembed_debug()", ());
    let last = db.get::<Option<String>>("SELECT rembed_last_error()", ()).unwrap_or_default();
    let stats = db.get::<String>("SELECT rembed_stats()", ());
    [shown, debug, last, stats].join("\n")
}

#[test]
fn a_literal_shows_as_stars_and_a_reference_as_written() {
    let db = open();
    for (name, key) in [("a", KEY), ("b", "env:SOME_KEY"), ("c", "file:/run/secrets/key"), ("d", "")] {
        db.run("INSERT INTO temp.rembed_clients(name, format, key) VALUES (?, 'openai', ?)", [name, key]);
    }
    db.run("INSERT INTO temp.rembed_clients(name, format) VALUES ('e', 'openai')", ());
    let keys = db.all::<Option<String>>("SELECT key FROM temp.rembed_clients ORDER BY name", ());
    let keys: Vec<_> = keys.iter().map(Option::as_deref).collect();
    assert_eq!(keys, [Some("***"), Some("env:SOME_KEY"), Some("file:/run/secrets/key"), Some(""), None]);
}

#[test]
fn no_way_to_register_shows_the_key() {
    let db = open();
    let json = json!({"format": "openai", "key": KEY}).to_string();
    db.run("INSERT INTO temp.rembed_clients(name, format, key) VALUES ('a', 'openai', ?)", [KEY]);
    db.run("INSERT INTO temp.rembed_clients(name, options) VALUES ('b', ?)", [&json]);
    db.run("SELECT rembed_register('c', ?)", [&json]);
    db.run("SELECT rembed_register('d', 'format', 'openai', 'key', ?)", [KEY]);
    db.run("UPDATE temp.rembed_clients SET key = ? || 'x' WHERE name = 'a'", [KEY]);
    db.run("UPDATE temp.rembed_clients SET options = ? WHERE name = 'b'", [&json]);
    let shown = all_that_is_shown(&db);
    assert_eq!(shown.matches("***").count(), 4, "{shown}");
    assert!(!shown.contains(KEY), "{shown}");
}

#[test]
fn headers_that_authenticate_are_not_shown() {
    let db = open();
    let options = json!({"format": "openai", "headers": {
        "api-key": KEY, "Authorization": KEY, "X-Session-Token": KEY, "cookie": KEY, "x-ref": "env:REF", "x-title": "shown"
    }});
    db.run("SELECT rembed_register('c', ?)", [options.to_string()]);
    let shown = all_that_is_shown(&db);
    assert!(!shown.contains(KEY), "{shown}");
    for part in [r#""api-key":"***""#, r#""x-ref":"env:REF""#, r#""x-title":"shown""#] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn a_key_in_the_url_is_not_shown() {
    let world = world(json!({"width": 4}));
    let db =
        open_with(&world, &json!({"url": format!("{}?api-version=1&key={KEY}", world.url())}).to_string());
    let shown = all_that_is_shown(&db);
    assert!(!shown.contains(KEY) && shown.contains("?api-version=1&key=***"), "{shown}");
    db.run("UPDATE temp.rembed_clients SET url = url, model = 'n'", ());
    db.embed("a");
    assert!(world.only()["path"].as_str().unwrap().ends_with(&format!("?api-version=1&key={KEY}")));
    let elsewhere = "SELECT rembed_register('d', 'format', 'openai', 'url', 'http://192.0.2.1/v1?key=' || ?)";
    let text = error(db.fails(elsewhere, [KEY]));
    assert!(text.contains("allow_http") && !text.contains(KEY), "{text}");
}

#[test]
fn no_refusal_repeats_the_key() {
    let db = open();
    for options in [
        json!({"format": "nope", "key": KEY}),
        json!({"format": "openai", "key": KEY, "url": "http://192.0.2.1"}),
        json!({"format": "openai", "key": KEY, "url": "ftp://h"}),
        json!({"format": "openai", "key": KEY, "modle": "m"}),
        json!({"format": "openai", "key": KEY, "dimensions": "many"}),
        json!({"format": "openai", "key": [KEY]}),
        json!({"format": "openai", "key": {"k": KEY}}),
        json!({"format": "openai", "headers": {"api-key": KEY}, "url": "http://192.0.2.1"}),
        json!({"format": "openai", "headers": {"api-key": [KEY]}}),
        json!({"format": "openai", "headers": KEY}),
        json!({"format": "openai", "timeout": KEY}),
        json!({"format": "openai", "url": format!("https://user:{KEY}@host")}),
    ] {
        let refused = [
            error(db.fails("SELECT rembed_register('c', ?)", [options.to_string()])),
            error(db.fails(
                "INSERT INTO temp.rembed_clients(name, options) VALUES ('c', ?)",
                [options.to_string()],
            )),
        ];
        assert!(refused.iter().all(|text| !text.contains(KEY)), "{options}: {refused:?}");
    }
    let broken = format!("{{\"key\":\"{KEY}\"");
    let text = error(db.fails("SELECT rembed_register('c', ?)", [broken]));
    assert!(!text.contains(KEY), "{text}");
    assert!(!all_that_is_shown(&db).contains(KEY));
}

#[test]
fn a_key_where_something_else_belongs_is_not_repeated() {
    let db = open();
    db.run("SELECT rembed_register('c', 'format', 'ollama', 'model', 'm')", ());
    db.run(
        "SELECT rembed_register('typed', 'format', 'cohere', 'url', 'http://127.0.0.1:9', 'retries', 0)",
        (),
    );
    for sql in [
        "SELECT rembed_register('d', ?1)",
        "SELECT rembed_register('d', 'format', ?1)",
        "SELECT rembed_register('d', ?1, 'openai')",
        "SELECT rembed_register('d', 'model', ?1, 'format', ?1)",
        "SELECT rembed_register('d', 'format', 'openai', ?1, 1, ?1, 2)",
        "SELECT rembed_register('d', 'format', 'openai', 'url', ?1)",
        "SELECT rembed_register('d', 'format', 'openai', 'url', 'https://h:' || ?1)",
        "SELECT rembed_register('d', 'format', 'openai', 'url', 'http://' || ?1 || ':x')",
        "SELECT rembed_register('d', 'format', 'openai', 'url', 'https://h/' || ?1 || '#a')",
        "SELECT rembed_register('d', 'format', 'openai', 'cache', ?1)",
        "SELECT rembed_register('d', 'format', 'openai', 'scope', ?1)",
        "SELECT rembed_register('d', 'format', 'ollama', 'input_type', ?1)",
        "SELECT rembed_register('d', 'format', 'openai', 'dimensions', ?1)",
        "SELECT rembed_register('d', 'format', 'openai', 'headers', ?1)",
        "SELECT rembed_register('d', json_object(?1, 1))",
        "SELECT rembed_client_options(?1, 'x')",
        "SELECT rembed_client_options('format', 'openai', ?1)",
        "INSERT INTO temp.rembed_clients(name, format) VALUES ('d', ?1)",
        "INSERT INTO temp.rembed_clients(name, options) VALUES ('d', ?1)",
        "UPDATE temp.rembed_clients SET format = ?1 WHERE name = 'c'",
        "UPDATE temp.rembed_clients SET options = ?1 WHERE name = 'c'",
        "SELECT rembed('c', 'text', ?1)",
        "SELECT rembed(?1, 'text')",
        "SELECT * FROM rembed_batch('c', '[]', ?1)",
        "SELECT rembed_prefetch('c', '[]', ?1)",
    ] {
        for key in [KEY, "0a1b2c3d4e5f60718293a4b5c6d7e8f9"] {
            let text = error(db.fails(sql, [key]));
            assert!(!text.contains(key), "{sql}: {text}");
            assert!(!all_that_is_shown(&db).contains(key), "{sql}");
        }
    }
}

#[test]
fn no_key_is_written_to_the_database() {
    let directory = Directory::new("database");
    let file = directory.file("key", KEY);
    let world = world(json!({"width": 4}));
    let db = Connection::open(directory.path("data.db")).unwrap();
    load(&db, &library(), None).unwrap();
    for (name, key) in [("literal", KEY), ("file", &format!("file:{file}"))] {
        let insert =
            "INSERT INTO temp.rembed_clients(name, format, model, url, key) VALUES (?, 'openai', 'm', ?, ?)";
        db.run(insert, [name, &world.url(), key]);
        db.run(&format!("CREATE TABLE {name} AS SELECT *, rembed(name, 'a') FROM temp.rembed_clients"), ());
    }
    assert_eq!(world.log()[0]["headers"]["authorization"], format!("Bearer {KEY}"));
    for name in ["data.db", "data.db-journal", "data.db-wal"] {
        let kept = std::fs::read(directory.path(name)).unwrap_or_default();
        assert!(!kept.windows(KEY.len()).any(|bytes| bytes == KEY.as_bytes()), "{name}");
    }
}
