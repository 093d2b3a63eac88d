//! Each function by what it takes and gives.

use rusqlite::Connection;
use serde_json::{Value, json};
use sqlite_host::*;

#[test]
fn rembed_gives_a_blob_of_little_endian_f32() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    let row = db.query_row("SELECT typeof(v), length(v), v FROM (SELECT rembed('c', 'a') v)", (), |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?))
    });
    let (kind, bytes, blob) = row.unwrap();
    assert_eq!((kind.as_str(), bytes), ("blob", 16));
    // The fake's vectors have length 1, which another order of bytes or another type would not show.
    assert!((length(&floats(&blob)) - 1.0).abs() < 1e-6);
}

#[test]
fn the_result_has_the_subtype_of_a_vector() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    assert_eq!(db.get::<i64>("SELECT subtype(rembed('c', 'a'))", ()), 223);
}

#[test]
fn a_constant_call_runs_once_a_statement() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    let rows = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
                SELECT rembed('c', 'same') FROM n";
    let vectors = db.all::<Vec<u8>>(rows, ());
    assert_eq!(vectors.len(), 1000);
    assert!(vectors.iter().all(|vector| *vector == vectors[0]));
    assert_eq!(world.requests(), 1);
}

#[test]
fn rembed_can_be_indexed_since_it_is_deterministic() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    db.run("CREATE TABLE t(x TEXT)", ());
    db.run("CREATE INDEX i ON t(rembed('c', x))", ());
    db.run("INSERT INTO t VALUES ('a')", ());
    assert_eq!(db.get::<String>("SELECT x FROM t WHERE rembed('c', x) = rembed('c', 'a')", ()), "a");
}

#[test]
fn a_wrong_number_of_arguments_is_an_error() {
    let db = open();
    for call in [
        "rembed()",
        "rembed('c')",
        "rembed('c', 'a', 'query', 1)",
        "rembed_unregister()",
        "rembed_unregister('a', 'b')",
        "rembed_version(1)",
        "rembed_tokens('c')",
        "rembed_chunks_json()",
        "rembed_debug(1)",
        "rembed_last_error(1)",
    ] {
        let text = error(db.fails(&format!("SELECT {call}"), ()));
        assert!(text.contains("wrong number of arguments"), "{call}: {text}");
    }
}

#[test]
fn the_version_is_that_of_the_crate() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = ")).unwrap();
    assert_eq!(
        open().get::<String>("SELECT rembed_version()", ()),
        format!("v{}", version.trim_matches('"'))
    );
}

#[test]
fn debug_tells_what_a_report_needs() {
    let db = open();
    let text = db.get::<String>("SELECT rembed_debug()", ());
    assert!(text.lines().count() >= 5, "{text}");
    let sqlite = format!("SQLite {}", rusqlite::version());
    let version = db.get::<String>("SELECT rembed_version()", ());
    let formats = ["openai", "nomic", "cohere", "jina", "mixedbread", "ollama", "llamafile"];
    for part in [sqlite.as_str(), version.as_str(), "Source: ", "sqlite"].iter().chain(&formats) {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn the_last_error_is_null_until_there_is_one_and_stays_after_success() {
    let world = world(json!({"width": 4, "faults": [{"text": "bad", "status": 400}]}));
    let (db, other) = (open_with_client(&world), open());
    let last = |db: &Connection| db.get::<Option<String>>("SELECT rembed_last_error()", ());
    assert_eq!(last(&db), None);
    let text = db.embed_error("bad");
    assert_eq!(last(&db), Some(text.clone()));
    db.embed("good");
    assert_eq!(last(&db), Some(text));
    assert_eq!(last(&other), None, "another connection has a session of its own");
}

#[test]
fn the_last_error_is_also_that_of_the_clients_table() {
    let db = open();
    let text = error(db.fails("INSERT INTO temp.rembed_clients(name, format) VALUES ('c', 'nope')", ()));
    assert_eq!(db.get::<String>("SELECT rembed_last_error()", ()), text);
}

#[test]
fn client_options_are_json_text() {
    let db = open();
    let call = "rembed_client_options('format', 'openai', 'dimensions', 256, 'timeout', 1.5, 'normalize', 1,
                'headers', '{\"x-a\":\"b\"}', 'body', json_object('user', 'u'), 'url', 'http://[::1]/ü\"')";
    assert_eq!(db.get::<String>(&format!("SELECT typeof({call})"), ()), "text");
    let text = db.get::<String>(&format!("SELECT {call}"), ());
    let expected = json!({
        "format": "openai", "dimensions": 256, "timeout": 1.5, "normalize": 1, "headers": {"x-a": "b"},
        "body": {"user": "u"}, "url": "http://[::1]/ü\""
    });
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
}

#[test]
fn client_options_refuse_what_no_option_is() {
    let db = open();
    for (arguments, why) in [
        ("'format'", "pairs"),
        ("'modle', 'm'", "'modle'"),
        ("NULL, 'm'", "NULL"),
        ("x'00', 'm'", "BLOB"),
        ("'key', x'00'", "BLOB"),
        ("'dimensions', 'many'", "'dimensions'"),
        ("'model', 'a', 'model', 'b'", "twice"),
        ("'body', '[1]'", "'body'"),
        ("'headers', '{'", "'headers'"),
    ] {
        let text = error(db.fails(&format!("SELECT rembed_client_options({arguments})"), ()));
        assert!(text.contains(why), "{arguments}: {text}");
    }
}

#[test]
fn functions_of_schema_and_version_need_no_client_and_send_nothing() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    db.run("SELECT rembed_version(), rembed_debug(), rembed_last_error()", ());
    db.run("SELECT * FROM temp.rembed_clients", ());
    assert_eq!(world.requests(), 0);
}
