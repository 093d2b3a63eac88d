//! What needs a process of its own: the driver, and REMBED_CONFIG.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use turso_host::library;

/// What the driver answers to these statements, its greeting first.
fn ask(config: Option<&str>, loaded: bool, lines: &[Value]) -> Vec<Value> {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("rembed-driver-{}-{run}", std::process::id()));
    let (file, document) = (path.with_extension("db"), path.with_extension("json"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_turso-driver"));
    command.arg(&file).stdin(Stdio::piped()).stdout(Stdio::piped());
    if loaded {
        command.arg(library());
    }
    if let Some(text) = config {
        std::fs::write(&document, text).unwrap();
        command.env("REMBED_CONFIG", &document);
    }
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for line in lines {
        writeln!(stdin, "{line}").unwrap();
    }
    drop(stdin);
    let answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let answers = answers.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert!(child.wait().unwrap().success());
    for left in [file.clone(), document, format!("{}-wal", file.display()).into()] {
        let _ = std::fs::remove_file(left);
    }
    answers
}

fn ways() -> &'static [bool] {
    if cfg!(feature = "static") { &[true, false] } else { &[true] }
}

#[test]
fn the_driver_speaks_the_protocol() {
    for loaded in ways() {
        let line = |connection: &str, sql: &str| json!({"connection": connection, "sql": sql});
        let answers = ask(
            None,
            *loaded,
            &[
                line("default", "SELECT 1, 'a', x'00ff', 1.5, NULL, 2.0, 'ü'"),
                line("default", "CREATE TABLE t(x)"),
                line("second", "INSERT INTO t VALUES (7)"),
                line("default", "SELECT * FROM t"),
                line("default", "SELECT nonsense"),
                line("readonly", "SELECT * FROM t"),
                line("readonly", "INSERT INTO t VALUES (8)"),
            ],
        );
        let host = if *loaded { "turso_core, loaded" } else { "turso_core, linked" };
        assert_eq!(answers[0]["host"], host);
        assert!(answers[0]["engine"].as_str().unwrap().starts_with("Turso 0."), "{}", answers[0]);
        let all = json!({"rows": [[1, "a", {"blob": "00ff"}, {"real": 1.5}, null, {"real": 2.0}, "ü"]]});
        assert_eq!(answers[1], all);
        assert_eq!(answers[3], json!({"rows": []}));
        assert_eq!(answers[4], json!({"rows": [[7]]}));
        assert!(answers[5]["error"].as_str().unwrap().contains("nonsense"));
        for refused in [6, 7] {
            assert!(answers[refused]["error"].as_str().unwrap().starts_with("no read-only connections"));
        }
    }
}

#[test]
fn clients_of_a_file_are_in_the_table() {
    let config = r#"{"clients": {"shop": {"format": "openai", "model": "m", "key": "sk-0123456789"}}}"#;
    for loaded in ways() {
        let line = |sql: &str| json!({"connection": "default", "sql": sql});
        let answers = ask(
            Some(config),
            *loaded,
            &[
                line("SELECT name, format, model, key FROM temp.rembed_clients"),
                line("DELETE FROM temp.rembed_clients"),
                line("UPDATE temp.rembed_clients SET model = 'n'"),
                line("SELECT name, model FROM temp.rembed_clients"),
                line("INSERT INTO temp.rembed_clients(name, options) VALUES ('shop', 'ollama')"),
                line("INSERT OR REPLACE INTO temp.rembed_clients(name, options) VALUES ('shop', 'ollama')"),
                line("SELECT name, format FROM temp.rembed_clients"),
            ],
        );
        assert_eq!(answers[1], json!({"rows": [["shop", "openai", "m", "***"]]}));
        for refused in [2, 3] {
            let message = answers[refused]["error"].as_str().unwrap();
            assert!(message.contains("comes from REMBED_CONFIG, which is read-only here"), "{message}");
        }
        assert_eq!(answers[4], json!({"rows": [["shop", "m"]]}));
        assert!(answers[5]["error"].as_str().unwrap().contains("UNIQUE"));
        assert_eq!(answers[6], json!({"rows": []}));
        assert_eq!(answers[7], json!({"rows": [["shop", "ollama"]]}));
    }
}

#[test]
fn a_delete_that_fails_removes_no_client() {
    let config = r#"{"clients": {"shop": {"format": "openai", "model": "m"}}}"#;
    for loaded in ways() {
        let line = |sql: &str| json!({"connection": "default", "sql": sql});
        let answers = ask(
            Some(config),
            *loaded,
            &[
                line(
                    "INSERT INTO temp.rembed_clients(name, options) VALUES ('a', 'openai'), ('b', 'openai')",
                ),
                // The row of the client that cannot be removed becomes the last one.
                line("INSERT OR REPLACE INTO temp.rembed_clients(name, options) VALUES ('shop', 'ollama')"),
                line("SELECT rembed_unregister('shop')"),
                line("SELECT group_concat(name) FROM (SELECT name FROM temp.rembed_clients ORDER BY rowid)"),
                line("DELETE FROM temp.rembed_clients"),
                line("SELECT count(*) FROM temp.rembed_clients"),
                line("SELECT count(*) FROM json_each(rembed_stats())"),
                line("DELETE FROM temp.rembed_clients WHERE name <> 'shop'"),
                line("SELECT count(*) FROM json_each(rembed_stats())"),
            ],
        );
        assert_eq!(answers[4], json!({"rows": [["a,b,shop"]]}));
        assert!(answers[5]["error"].as_str().unwrap().contains("comes from REMBED_CONFIG"), "{}", answers[5]);
        assert_eq!(answers[6], json!({"rows": [[3]]}));
        assert_eq!(answers[7], json!({"rows": [[3]]}));
        assert_eq!(answers[9], json!({"rows": [[1]]}));
    }
}

#[test]
fn clients_of_the_process() {
    for loaded in ways() {
        let line = |connection: &str, sql: &str| json!({"connection": connection, "sql": sql});
        let all = "'all', 'openai', 'http://localhost:1', '{\"scope\":\"process\"}'";
        let answers = ask(
            None,
            *loaded,
            &[
                line("early", "SELECT count(*) FROM temp.rembed_clients"),
                line(
                    "default",
                    &format!("INSERT INTO temp.rembed_clients(name, format, url, options) VALUES ({all})"),
                ),
                line("early", "SELECT rembed_clients_shown('all', 'url')"),
                line("early", "SELECT count(*) FROM temp.rembed_clients"),
                line("later", "SELECT name, url FROM temp.rembed_clients"),
                line("later", "DELETE FROM temp.rembed_clients"),
                line("default", "SELECT rembed('all', 'x')"),
            ],
        );
        assert_eq!(answers[3], json!({"rows": [["http://localhost:1"]]}));
        // A table has what was there when it was made, and what its own statements did.
        assert_eq!(answers[4], json!({"rows": [[0]]}));
        assert_eq!(answers[5], json!({"rows": [["all", "http://localhost:1"]]}));
        assert!(answers[7]["error"].as_str().unwrap().contains("was not registered"));
    }
}
