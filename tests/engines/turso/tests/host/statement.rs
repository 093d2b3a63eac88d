//! What becomes of the clients of a statement that fails, or is rolled back.

use std::sync::Arc;

use serde_json::json;
use turso_core::{Connection, Value};
use turso_host::{Way, error, in_memory, rows, run, text};

/// The clients as the table has them, and as rembed() knows them. Their names are letters: other tests, which run beside
/// these, have clients of the process.
fn clients(db: &Arc<Connection>) -> (String, String) {
    clients_named(db, "length(key) = 1")
}

fn clients_named(db: &Arc<Connection>, which: &str) -> (String, String) {
    let table = format!(
        "SELECT group_concat(key || model) \
         FROM (SELECT name AS key, model FROM temp.rembed_clients ORDER BY name) WHERE {which}"
    );
    let known = format!(
        "SELECT group_concat(key || rembed_clients_shown(key, 'model')) \
         FROM (SELECT key FROM json_each(rembed_stats()) WHERE {which} ORDER BY key)"
    );
    (text(db, &table), text(db, &known))
}

fn both(clients: &str) -> (String, String) {
    (clients.into(), clients.into())
}

/// `INSERT OR … INTO` the table, of rows of name, format and model.
fn insert(or: &str, rows: &str) -> String {
    format!("INSERT {or} INTO temp.rembed_clients(name, format, model) VALUES {rows}")
}

#[test]
fn a_statement_that_fails_changes_no_client() {
    let rows = [
        "('b', 'openai', 1), ('c', 'nonsense', 1)",
        "('b', 'openai', 1), ('c', 'openai', 1), ('d', NULL, NULL)",
        "('b', 'openai', 1), ('c', 'openai', x'00')",
        "('b', 'openai', 1), (x'00', 'openai', 1)",
        "('b', 'openai', 1), (NULL, 'openai', 1)",
        "('b', 'openai', 1), (NULL, NULL, NULL)",
        "('b', 'openai', 1), ('c', 'openai', json('{'))",
    ];
    let all = ["", "OR IGNORE", "OR REPLACE", "OR FAIL"];
    let mut statements: Vec<_> = rows.iter().flat_map(|rows| all.map(|or| insert(or, rows))).collect();
    statements.extend([
        // A name that is taken: before the statement, and by it.
        insert("", "('b', 'openai', 1), ('a', 'openai', 2)"),
        insert("", "('b', 'openai', 1), ('b', 'openai', 2)"),
        insert("", "('b', 'openai', 1), ('a', 'openai', 2) ON CONFLICT DO NOTHING"),
        insert(
            "OR IGNORE",
            "('a', 'openai', 2), ('b', 'openai', 1), ('a', 'openai', 2), ('c', 'nonsense', 1)",
        ),
        insert(
            "OR REPLACE",
            "('b', 'openai', 1), ('a', 'cohere', 2), ('a', 'openai', 3), ('c', 'nonsense', 1)",
        ),
        "INSERT INTO temp.rembed_clients(name, format) SELECT value, iif(value = 'c', 'nonsense', 'openai') \
         FROM json_each('[\"b\", \"c\"]')"
            .into(),
        "UPDATE temp.rembed_clients SET model = 2, format = iif(name = 'z', 'nonsense', format)".into(),
        "UPDATE temp.rembed_clients SET name = name || 2, format = iif(name = 'z', 'nonsense', format)"
            .into(),
        "UPDATE temp.rembed_clients SET name = 'b'".into(),
        "UPDATE temp.rembed_clients SET model = 2, name = iif(name = 'z', NULL, name)".into(),
    ]);
    for way in Way::all() {
        let db = way.open();
        run(&db, &insert("", "('a', 'openai', 1), ('z', 'openai', 1)"));
        for statement in &statements {
            error(&db, statement);
            assert_eq!(clients(&db), both("a1,z1"), "{statement}");
        }
        // What fails beside the table concerns no statement on it.
        run(&db, &insert("", "('b', 'openai', 1), ('c', 'openai', 1)"));
        error(&db, "SELECT rembed_clients_set(NULL, 'd', 'nonsense', NULL, NULL, NULL, NULL)");
        error(&db, "SELECT rembed_register('d', 'nonsense')");
        assert_eq!(clients(&db), both("a1,b1,c1,z1"));
    }
}

#[test]
fn a_statement_that_fails_leaves_those_before_alone() {
    for way in Way::all() {
        let db = way.open();
        run(&db, &insert("", "('a', 'openai', 1)"));
        error(&db, &insert("", "('b', 'nonsense', 1)"));
        error(&db, &insert("", "('b', NULL, NULL)"));
        assert_eq!(clients(&db), both("a1"));
        // One that is prepared once is another statement each time that it runs.
        let mut prepared = db.prepare(insert("", "(?1, ?2, 1)")).unwrap();
        for (name, format, fine) in [("c", "openai", true), ("d", "nonsense", false), ("e", "openai", true)] {
            for (place, value) in [(1, name), (2, format)] {
                prepared.bind_at(place.try_into().unwrap(), Value::build_text(value)).unwrap();
            }
            assert_eq!(prepared.run_collect_rows().is_ok(), fine, "{name}");
            prepared.reset().unwrap();
        }
        assert_eq!(clients(&db), both("a1,c1,e1"));
        // The same statement, mended, is not refused for what the first has left.
        error(&db, &insert("", "('f', 'openai', 1), ('g', 'nonsense', 1)"));
        run(&db, &insert("", "('f', 'openai', 1), ('g', 'ollama', 1)"));
        assert_eq!(clients(&db), both("a1,c1,e1,f1,g1"));
    }
}

#[test]
fn rows_that_stand_keep_their_clients() {
    for way in Way::all() {
        let db = way.open();
        run(&db, &insert("", "('t', 'openai', 1)"));
        run(&db, &insert("OR IGNORE", "('a', 'openai', 1), ('t', 'openai', 2), ('b', 'openai', 1)"));
        assert_eq!(clients(&db), both("a1,b1,t1"));
        // OR FAIL keeps the rows before the one whose name is taken.
        let fails = insert("OR FAIL", "('c', 'openai', 1), ('t', 'openai', 2), ('d', 'openai', 1)");
        assert!(error(&db, &fails).contains("UNIQUE"));
        assert_eq!(clients(&db), both("a1,b1,c1,t1"));
        error(&db, &insert("", "('e', NULL, NULL)"));
        error(&db, &insert("", "('e', 'nonsense', NULL)"));
        assert_eq!(clients(&db), both("a1,b1,c1,t1"));
    }
}

#[test]
fn a_client_that_was_replaced_comes_back() {
    let clients = |db: &Arc<Connection>| clients_named(db, "key LIKE 'undo-%'");
    for way in Way::all() {
        let database = in_memory();
        let (one, other) = (way.connect(&database).unwrap(), way.connect(&database).unwrap());
        let register = "SELECT rembed_register('undo-r', 'format', 'openai', 'model', 'm'";
        run(&one, &format!("{register})"));
        run(&other, &format!("{register}, 'scope', 'process')"));
        let process = json!({"scope": "process"});
        let fails = format!(
            "INSERT INTO temp.rembed_clients(name, format, model, options) VALUES ('undo-r', 'openai', 'n', '{process}'), \
             ('undo-s', 'openai', 'n', '{process}'), ('undo-t', 'nonsense', 'n', NULL)"
        );
        error(&one, &fails);
        for db in [&one, &other] {
            assert_eq!(clients(db), (String::new(), "undo-rm".into()));
        }
        run(&one, "SELECT rembed_unregister('undo-r')");
        assert_eq!(clients(&one).1, "undo-rm", "that of the process");
        run(&one, "SELECT rembed_unregister('undo-r')");
        assert_eq!(clients(&other).1, "");
    }
}

#[test]
fn a_rollback_undoes_the_row_but_not_the_client() {
    for way in Way::all() {
        let db = way.open();
        run(&db, "BEGIN");
        run(&db, &insert("", "('a', 'openai', 1)"));
        run(&db, "ROLLBACK");
        assert_eq!(clients(&db), (String::new(), "a1".into()));
        run(&db, &insert("", "('a', 'ollama', 2)"));
        assert_eq!(clients(&db), both("a2"));
        assert!(
            error(&db, &insert("OR ROLLBACK", "('b', 'openai', 1), ('a', 'openai', 3)")).contains("UNIQUE")
        );
        assert_eq!(clients(&db), ("a2".into(), "a2,b1".into()));
    }
}

#[test]
fn a_statement_that_fails_in_a_transaction() {
    for way in Way::all() {
        let db = way.open();
        run(&db, "BEGIN");
        run(&db, &insert("", "('a', 'openai', 1)"));
        error(&db, &insert("", "('b', 'openai', 1), ('a', 'openai', 2)"));
        assert_eq!(clients(&db), both("a1"));
        // The engine rolls the transaction back when a function fails, as ROLLBACK does.
        error(&db, &insert("", "('b', 'openai', 1), ('c', 'nonsense', 1)"));
        assert_eq!(clients(&db), (String::new(), "a1".into()));
        assert!(rows(&db, "COMMIT").is_err());
    }
}
