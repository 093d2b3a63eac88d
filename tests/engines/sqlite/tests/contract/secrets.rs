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
    [shown, debug, last].join("\n")
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
fn the_values_of_headers_are_not_shown() {
    let db = open();
    let options = json!({"format": "openai", "headers": {"api-key": KEY, "X-Team": KEY, "x-ref": "env:REF"}});
    db.run("SELECT rembed_register('c', ?)", [options.to_string()]);
    let shown = all_that_is_shown(&db);
    assert!(!shown.contains(KEY) && shown.contains("api-key") && shown.contains("env:REF"), "{shown}");
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
fn a_server_that_repeats_the_key_does_not_make_us_repeat_it() {
    for body in [
        json!({"error": {"message": format!("Incorrect API key provided: {KEY}. See our site.")}}),
        json!(format!("no such key: Bearer {KEY}")),
        json!({"detail": [{"msg": KEY}, {"msg": format!("<{KEY}>")}]}),
        json!({"unknown": {"envelope": KEY}}),
    ] {
        for status in [200, 400, 401, 500] {
            let world = faulty(json!({"status": status, "body": body}));
            let db = open_with(&world, &json!({"key": KEY, "retries": 0}).to_string());
            let text = db.embed_error("a");
            assert!(!text.contains(KEY), "{text}");
            assert!(!all_that_is_shown(&db).contains(KEY));
        }
    }
}

#[test]
fn a_server_that_repeats_a_header_does_not_make_us_repeat_it() {
    let world = faulty(json!({"status": 403, "body": {"message": format!("who is {KEY}?")}}));
    let options = json!({"headers": {"x-secret": KEY}});
    let text = open_with(&world, &options.to_string()).embed_error("a");
    assert!(text.contains("who is") && !text.contains(KEY), "{text}");
}

/// The provider's message is cut at 500 characters: a key that stands there must not be cut in two and its
/// first half repeated.
#[test]
fn no_part_of_a_key_is_left_where_a_long_message_is_cut() {
    for before in (440..500).step_by(7) {
        let message = format!("{} {KEY} and so on {}", "x".repeat(before), "y".repeat(300));
        let world = faulty(json!({"status": 401, "body": {"error": {"message": message}}}));
        let db = open_with(&world, &json!({"key": KEY}).to_string());
        let text = db.embed_error("a");
        assert!(!text.contains("sk-ne"), "{before}: {text}");
    }
}
