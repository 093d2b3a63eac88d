//! Reading `temp.rembed_clients`: which rows come, by which way, and that no key does.

use rusqlite::Connection;
use serde_json::json;
use sqlite_host::*;

fn many() -> Connection {
    let db = open();
    for (name, model, dimensions) in [("gpt", "m1", 256), ("GPT", "m2", 512), ("local", "m3", 768)] {
        db.run(
            "INSERT INTO temp.rembed_clients(name, format, model, options)
             VALUES (?1, 'openai', ?2, json_object('dimensions', ?3))",
            (name, model, dimensions),
        );
    }
    db
}

fn models(db: &Connection, condition: &str) -> Vec<String> {
    db.all(&format!("SELECT model FROM temp.rembed_clients WHERE {condition} ORDER BY model"), ())
}

fn plan(db: &Connection, condition: &str) -> String {
    let sql = format!("EXPLAIN QUERY PLAN SELECT model FROM temp.rembed_clients WHERE {condition}");
    db.query_row(&sql, (), |row| row.get(3)).unwrap()
}

#[test]
fn the_columns_have_the_names_and_the_order_of_the_contract() {
    let db = many();
    let statement = db.prepare("SELECT * FROM temp.rembed_clients").unwrap();
    let columns: Vec<_> = statement.column_names().collect();
    assert_eq!(columns, ["name", "format", "model", "url", "key", "options"]);
    let types = "SELECT group_concat(typeof(name) || typeof(format) || typeof(model) || typeof(url)
                 || typeof(key) || typeof(options)) FROM temp.rembed_clients WHERE name = 'gpt'";
    assert_eq!(db.get::<String>(types, ()), "texttexttexttextnulltext");
}

#[test]
fn a_name_is_found_without_a_scan() {
    let db = many();
    let scan = plan(&db, "model = 'm1'");
    assert_eq!(plan(&db, "1"), scan);
    let search = plan(&db, "name = 'gpt'");
    assert!(search.contains("VIRTUAL TABLE INDEX") && search != scan, "{search}");
    // Names are compared byte by byte there, so that another collation needs the scan.
    assert_eq!(plan(&db, "name = 'gpt' COLLATE NOCASE"), scan);
}

#[test]
fn conditions_on_the_name() {
    let db = many();
    for (condition, expected) in [
        ("name = 'gpt'", &["m1"][..]),
        ("'gpt' = name", &["m1"]),
        ("name == 'Gpt'", &[]),
        ("name = 'gpt' COLLATE NOCASE", &["m1", "m2"]),
        ("name COLLATE NOCASE = 'gPt'", &["m1", "m2"]),
        ("name = 'gpt ' COLLATE RTRIM", &["m1"]),
        ("name IN ('gpt', 'local', 'nobody')", &["m1", "m3"]),
        ("name = 'gpt' OR name = 'local'", &["m1", "m3"]),
        ("name = 'gpt' AND model = 'm2'", &[]),
        ("name = 'gpt' AND name = 'local'", &[]),
        ("name LIKE 'G%'", &["m1", "m2"]),
        ("name > 'a'", &["m1", "m3"]),
        ("name IS 'gpt'", &["m1"]),
        ("name IS NOT 'gpt'", &["m2", "m3"]),
        ("name = NULL", &[]),
        ("name IS NULL", &[]),
        ("name = x'677074'", &[]),
        ("name = 5", &[]),
        ("name = (SELECT 'gpt')", &["m1"]),
    ] {
        assert_eq!(models(&db, condition), expected, "{condition}");
    }
}

#[test]
fn a_number_finds_the_name_that_is_its_text() {
    let db = many();
    db.run("SELECT rembed_register('5', '{\"format\":\"openai\",\"model\":\"five\"}')", ());
    for condition in ["name = '5'", "name = 5", "name IN (4, 5)"] {
        assert_eq!(models(&db, condition), ["five"], "{condition}");
    }
    assert_eq!(models(&db, "name = 5.5"), [""; 0]);
}

#[test]
fn conditions_on_the_rowid() {
    let db = many();
    for (condition, expected) in [
        ("rowid = 2", &["m2"][..]),
        ("rowid = '2'", &["m2"]),
        ("rowid = 2.0", &["m2"]),
        ("rowid = 2.5", &[]),
        ("rowid = 99", &[]),
        ("rowid IN (1, 3, 5)", &["m1", "m3"]),
        ("rowid >= 2", &["m2", "m3"]),
        ("rowid = NULL", &[]),
        ("rowid = 2 AND name = 'gpt'", &[]),
        ("rowid = 1 AND name = 'gpt'", &["m1"]),
    ] {
        assert_eq!(models(&db, condition), expected, "{condition}");
    }
}

#[test]
fn a_join_looks_each_name_up() {
    let db = many();
    db.run("CREATE TABLE uses(client)", ());
    db.run("INSERT INTO uses VALUES ('local'), ('gpt'), ('gpt'), (NULL), (3), ('nobody')", ());
    let sql = "SELECT model FROM uses JOIN temp.rembed_clients ON name = client ORDER BY model";
    assert_eq!(db.all::<String>(sql, ()), ["m1", "m1", "m3"]);
    let sql = "SELECT count(*) FROM temp.rembed_clients a JOIN temp.rembed_clients b ON a.name = b.name";
    assert_eq!(db.get::<i64>(sql, ()), 3);
}

#[test]
fn options_are_json_with_the_options_that_have_no_column() {
    let db = many();
    let sql = "SELECT json_extract(options, '$.dimensions') FROM temp.rembed_clients ORDER BY rowid";
    assert_eq!(db.all::<i64>(sql, ()), [256, 512, 768]);
    let all = json!({
        "format": "openai", "model": "m", "url": "http://localhost:1", "key": "env:K", "input_type": "query",
        "normalize": true, "headers": {"x-a": "env:A"}, "body": {"user": "u"}, "timeout": 1.5, "retries": 0
    });
    db.run("INSERT INTO temp.rembed_clients(name, options) VALUES ('all', ?)", [all.to_string()]);
    let shown = db.get::<String>("SELECT options FROM temp.rembed_clients WHERE name = 'all'", ());
    let expected = json!({
        "input_type": "query", "normalize": true, "headers": {"x-a": "env:A"}, "body": {"user": "u"},
        "timeout": 1.5, "retries": 0
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), expected);
}

#[test]
fn a_row_read_can_be_written_back_under_another_name() {
    let world = world(json!({"width": 4}));
    let db = open();
    db.run(
        "INSERT INTO temp.rembed_clients VALUES ('c', 'openai', 'm', ?, 'env:NO_SUCH_KEY',
            '{\"dimensions\":8,\"headers\":{\"x-a\":\"env:PATH\"}}')",
        [world.url()],
    );
    db.run(
        "INSERT INTO temp.rembed_clients
         SELECT 'copy', format, model, url, NULL, options FROM temp.rembed_clients WHERE name = 'c'",
        (),
    );
    assert_eq!(db.vector("SELECT rembed('copy', 'a')", ()).len(), 8);
}

#[test]
fn rows_may_change_while_they_are_read() {
    let db = many();
    let mut select = db.prepare("SELECT name FROM temp.rembed_clients").unwrap();
    let mut rows = select.query(()).unwrap();
    let mut seen = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let name: String = row.get(0).unwrap();
        db.run("DELETE FROM temp.rembed_clients WHERE name = ?", [&name]);
        db.run("SELECT rembed_register(? || '+', 'openai')", [&name]);
        seen.push(name);
    }
    assert_eq!(seen, ["gpt", "GPT", "local"]);
    let names = db.all::<String>("SELECT name FROM temp.rembed_clients ORDER BY name", ());
    assert_eq!(names, ["GPT+", "gpt+", "local+"]);
}
