//! The extension on SQLite 3.35: what is newer there than in the host's SQLite it must do without.

// The fake is the one of the other host, which uses more of it.
#[allow(dead_code)]
#[path = "../src/fake.rs"]
mod fake;
#[allow(dead_code)]
#[path = "../src/reload.rs"]
mod reload;
#[allow(dead_code)]
#[path = "../src/stranger.rs"]
mod stranger;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fake::{World, faulty, world};
use rusqlite::{Connection, OpenFlags, Params};
use serde_json::json;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(4).unwrap().to_owned()
}

fn library() -> PathBuf {
    let file = format!("{}sqlite_rembed{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let built = || root().join("target/release").join(file);
    std::env::var_os("REMBED_LIB").map_or_else(built, PathBuf::from)
}

fn load(db: &Connection) {
    stranger::load(db, &library(), stranger::Way::Api).unwrap();
}

fn open(world: &World) -> Connection {
    let db = Connection::open_in_memory().unwrap();
    load(&db);
    register(&db, world);
    db
}

fn register(db: &Connection, world: &World) {
    let options =
        json!({"format": "openai", "model": "m", "url": world.url(), "key": "sk-1", "cache": "off"});
    text(db, "SELECT rembed_register('c', ?)", [options.to_string()]);
}

fn text(db: &Connection, sql: &str, params: impl Params) -> String {
    db.query_row(sql, params, |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

fn bytes(db: &Connection, sql: &str) -> usize {
    db.query_row(sql, [], |row| row.get::<_, Vec<u8>>(0)).unwrap_or_else(|e| panic!("{sql}: {e}")).len()
}

fn fails(db: &Connection, sql: &str) -> String {
    db.execute_batch(sql).expect_err(sql).to_string()
}

#[test]
fn this_is_an_old_sqlite_and_the_extension_knows() {
    let db = open(&world(json!({"width": 4})));
    assert_eq!(rusqlite::version(), "3.35.4");
    assert!(text(&db, "SELECT rembed_debug()", []).contains("SQLite 3.35.4"));
}

#[test]
fn it_embeds_and_a_constant_call_runs_once() {
    let world = world(json!({"width": 4}));
    let db = open(&world);
    let rows = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
                SELECT CAST(count(rembed('c', 'same')) AS TEXT) FROM n";
    assert_eq!(text(&db, rows, []), "1000");
    assert_eq!(world.requests(), 1);
}

#[test]
fn the_clients_table_takes_every_statement() {
    let world = world(json!({"width": 4}));
    let db = open(&world);
    let names =
        "SELECT group_concat(name || '=' || model) FROM (SELECT * FROM temp.rembed_clients ORDER BY name)";
    db.execute_batch(
        "INSERT INTO temp.rembed_clients(name, options) VALUES ('a', 'openai'), ('b', '{\"format\":\"cohere\"}');
         INSERT OR IGNORE INTO temp.rembed_clients(name, format, model) VALUES ('a', 'openai', 'no');
         INSERT OR REPLACE INTO temp.rembed_clients(name, format, model) VALUES ('b', 'openai', 'yes');
         DELETE FROM temp.rembed_clients WHERE name = 'a'",
    )
    .unwrap();
    assert_eq!(text(&db, names, []), "b=yes,c=m");
    db.execute_batch(
        "BEGIN;
         WITH n(x) AS (SELECT 'w') INSERT INTO temp.rembed_clients(name, format) SELECT x, 'openai' FROM n;
         UPDATE temp.rembed_clients SET model = 'v' WHERE name IN (SELECT 'w'); -- a subquery
         EXPLAIN DELETE FROM rembed_clients;
         /* all of it */ DELETE FROM rembed_clients WHERE name = 'w' AND model = 'v';
         COMMIT",
    )
    .unwrap();
    assert_eq!(text(&db, names, []), "b=yes,c=m");
    let twice = "INSERT INTO temp.rembed_clients(name, format) VALUES ('b', 'openai')";
    assert!(fails(&db, twice).contains("UNIQUE constraint failed"));
    let returning = "INSERT INTO temp.rembed_clients(name, format) VALUES ('r', 'openai') RETURNING name";
    assert_eq!(text(&db, returning, []), "r");
    let plan: String = db
        .query_row("EXPLAIN QUERY PLAN SELECT * FROM temp.rembed_clients WHERE name = 'b'", [], |row| {
            row.get(3)
        })
        .unwrap();
    assert!(plan.contains("INDEX 1"), "{plan}");
}

#[test]
fn an_update_keeps_the_literal_key() {
    let world = world(json!({"width": 4}));
    let db = open(&world);
    db.execute_batch("UPDATE temp.rembed_clients SET model = 'other' WHERE name = 'c'").unwrap();
    assert_eq!(bytes(&db, "SELECT rembed('c', 'a')"), 16);
    let sent = world.only();
    assert_eq!(sent["headers"]["authorization"], "Bearer sk-1");
    assert_eq!(sent["body"]["model"], "other");
}

#[test]
fn errors_arrive_whole() {
    let world = faulty(json!({"status": 400}));
    let db = open(&world);
    let error = fails(&db, "SELECT rembed('c', 'a')");
    assert!(error.contains("client 'c' (openai): HTTP 400"), "{error}");
    let error = fails(&db, "INSERT INTO temp.rembed_clients(name, options) VALUES ('d', '{\"modle\":1}')");
    assert!(error.contains("'modle'") && error.contains("allow_http"), "{error}");
}

#[test]
fn a_read_only_database_takes_clients() {
    let path = std::env::temp_dir().join(format!("rembed-old-{}.db", std::process::id()));
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE docs(text)").unwrap();
    let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    load(&db);
    register(&db, &world(json!({"width": 4})));
    assert_eq!(bytes(&db, "SELECT rembed('c', 'a')"), 16);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn the_schema_of_a_file_may_embed_but_not_touch_clients() {
    let db = open(&world(json!({"width": 4})));
    db.execute_batch(
        "CREATE TABLE good(x, v); CREATE TABLE bad(x);
         CREATE TRIGGER g AFTER INSERT ON good BEGIN UPDATE good SET v = rembed('c', NEW.x); END;
         CREATE TRIGGER b AFTER INSERT ON bad BEGIN SELECT rembed_register('evil', 'openai'); END;
         INSERT INTO good(x) VALUES ('a')",
    )
    .unwrap();
    assert_eq!(bytes(&db, "SELECT v FROM good"), 16);
    assert!(fails(&db, "INSERT INTO bad VALUES (1)").contains("unsafe use of"));
    assert_eq!(text(&db, "SELECT group_concat(name) FROM temp.rembed_clients", []), "c");
}

/// SQLite itself refuses this since 3.40 only.
#[test]
fn a_trigger_of_the_file_cannot_write_the_clients_table() {
    for action in [
        "UPDATE rembed_clients SET url = 'http://127.0.0.1:9'",
        "INSERT OR REPLACE INTO rembed_clients(name, format, url) VALUES ('c', 'openai', 'http://127.0.0.1:9')",
        "DELETE FROM rembed_clients",
    ] {
        let db = open(&world(json!({"width": 4})));
        db.execute_batch("CREATE TABLE docs(x)").unwrap();
        db.execute_batch(&format!("CREATE TRIGGER t AFTER INSERT ON docs BEGIN {action}; END")).unwrap();
        // This SQLite crashes where RETURNING is the first to use an eponymous table.
        text(&db, "SELECT name FROM temp.rembed_clients", []);
        let mut running = db
            .prepare("INSERT INTO temp.rembed_clients(name, format) VALUES ('d', 'openai') RETURNING name")
            .unwrap();
        let mut rows = running.query([]).unwrap();
        rows.next().unwrap().unwrap();
        // The word in a text, a comment, or a statement beside it opens nothing.
        for insert in [
            "INSERT INTO docs VALUES (1)",
            "INSERT INTO docs VALUES ('how do I use rembed_clients?')",
            "INSERT INTO docs /* INSERT INTO rembed_clients */ SELECT name FROM rembed_clients",
            "WITH n AS (SELECT name FROM temp.rembed_clients) INSERT INTO docs SELECT * FROM n",
        ] {
            let text = fails(&db, insert);
            assert!(
                text.contains("may not be written by a trigger") && text.contains("SELECT rembed_register("),
                "{text}"
            );
        }
        drop(rows);
        drop(running);
        assert_eq!(bytes(&db, "SELECT rembed('c', 'a')"), 16, "{action}");
        assert_eq!(text(&db, "SELECT group_concat(name) FROM temp.rembed_clients", []), "c,d");
    }
}

/// A newer SQLite refuses this one, too.
#[test]
fn an_fts4_table_of_a_stranger_can_unregister_a_client_and_do_no_more() {
    let folder = stranger::folder("old-fts4");
    assert_eq!(stranger::called_by_fts4(&folder.join("a.db"), &library()), ["rembed_unregister"]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn loading_takes_the_schema_away_and_nothing_else() {
    let (library, folder) = (library(), stranger::folder("old-reload"));
    reload::the_schema_goes_and_the_hosts_settings_stay(&library);
    reload::open_statements_go_on(&library);
    reload::the_statement_that_loads_goes_on(&library);
    reload::a_statement_that_writes_cannot_load(&library);
    reload::a_transaction_goes_on(&library);
    reload::an_authorizer_that_denies_is_told(&library);
    reload::a_file_that_cannot_be_read_does_not_matter(&library, &folder);
    reload::read_only_and_attached_files_are_parsed_anew(&library, &folder);
    std::fs::remove_dir_all(folder).unwrap();
}

/// Before 3.41 no extension can tell that it is interrupted; the time of the call is its end.
#[test]
fn an_interrupt_is_obeyed_when_the_call_is_over() {
    let world = faulty(json!({"hang": true}));
    let db = open(&world);
    text(&db, "SELECT rembed_register('c', 'format', 'openai', 'timeout', 1, 'url', ?)", [world.url()]);
    let handle = db.get_interrupt_handle();
    let start = Instant::now();
    let statement = std::thread::spawn(move || {
        fails(&db, "SELECT rembed('c', 'a')");
        db
    });
    world.wait_for(1);
    handle.interrupt();
    let db = statement.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(text(&db, "SELECT 'alive'", []), "alive");
}

#[test]
fn connections_come_and_go() {
    let world = world(json!({"width": 4}));
    for _ in 0..500 {
        open(&world).close().unwrap();
    }
    assert_eq!(bytes(&open(&world), "SELECT rembed('c', 'a')"), 16);
}

#[test]
fn an_index_is_made_synced_and_rebuilt() {
    let world = world(json!({}));
    let db = open(&world);
    db.execute_batch(
        "CREATE TABLE docs(id INTEGER PRIMARY KEY, title TEXT UNIQUE, body TEXT);
         INSERT INTO docs(title, body) VALUES ('a', 'one'), ('b', 'two'), (NULL, 'three');
         CREATE VIRTUAL TABLE docs_index USING rembed_index(client = 'c', content = 'docs', columns = 'title, body')",
    )
    .unwrap();
    let sync = || {
        let said = text(&db, "SELECT rembed_sync('docs_index')", []);
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        ["embedded", "reused", "deleted", "failed", "pending"].map(|name| said[name].as_i64().unwrap())
    };
    let say = |command: &str| db.execute("INSERT INTO docs_index(docs_index) VALUES (?)", [command]).unwrap();
    assert_eq!(sync(), [3, 0, 0, 0, 0]);
    db.execute_batch(
        "UPDATE OR ABORT docs SET id = 30 WHERE id = 3; INSERT OR REPLACE INTO docs(id, title, body) VALUES (7, 'a', 'other');
         ALTER TABLE docs RENAME COLUMN body TO text",
    )
    .unwrap();
    assert_eq!(sync(), [1, 1, 2, 0, 0]);
    say("integrity-check");
    db.execute_batch(
        "CREATE TABLE n(id INTEGER PRIMARY KEY, title, text); INSERT INTO n SELECT * FROM docs; DROP TABLE docs; ALTER TABLE n RENAME TO docs",
    )
    .unwrap();
    assert!(fails(&db, "SELECT * FROM docs_index").contains("rembed_sync"));
    assert_eq!(sync(), [0; 5]);
    say("rebuild");
    say("optimize");
    assert_eq!(sync(), [0, 3, 0, 0, 0]);
    db.execute_batch(
        "ALTER TABLE docs_index RENAME TO docs_index2; ALTER TABLE docs_index2 RENAME TO docs_index",
    )
    .unwrap();
    say("integrity-check");
    assert_eq!(text(&db, "SELECT group_concat(rowid) FROM docs_index", []), "2,7,30");
    db.execute_batch("DROP TABLE docs_index").unwrap();
    assert_eq!(text(&db, "SELECT group_concat(name) FROM sqlite_master WHERE type = 'table'", []), "docs");
}
