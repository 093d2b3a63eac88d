//! The semantic index as a script: ordinary tables and triggers, a sync and a search.

use std::sync::Arc;

use serde_json::json;
use turso_core::{Connection, Value};
use turso_host::{Way, error, run, text, world};

const INDEX: &str = "SELECT rembed_index_sql('docs_index', 'client', 'c', 'content', 'my docs', 'content_rowid', 'id', \
                     'columns', 'title, [the body]', 'chunk_size', 20, 'chunk_overlap', 0)";

/// The statements of the parts `create`, `sync` and `search`.
fn parts(script: &str) -> [Vec<String>; 3] {
    ["create", "sync", "search"].map(|part| {
        let (_, after) = script.split_once(&format!("-- {part}:")).unwrap();
        let lines: Vec<&str> = after.lines().skip(1).take_while(|line| !line.contains("-- s")).collect();
        let lines = lines.into_iter().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
        lines.split_inclusive(";\n").map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect()
    })
}

fn all(db: &Arc<Connection>, statements: &[String]) {
    for statement in statements {
        run(db, statement);
    }
}

fn search(db: &Arc<Connection>, statements: &[String], question: &str) -> String {
    let mut statement = db.prepare(&statements[0]).unwrap();
    statement.bind_at(1.try_into().unwrap(), Value::build_text(question.to_owned())).unwrap();
    let rows = statement.run_collect_rows().unwrap();
    let first = rows.first().map(|row| format!("{}|{}|{}", row[0], row[1], row[2]));
    first.unwrap_or_default()
}

#[test]
fn a_sync_embeds_what_changed_and_a_search_finds_it() {
    for way in Way::all() {
        let world = world(json!({"width": 8}));
        let db = way.open_with_client(&world);
        run(
            &db,
            "CREATE TABLE \"my docs\"(id INTEGER PRIMARY KEY, title TEXT, \"the body\" TEXT, lang TEXT)",
        );
        run(
            &db,
            "INSERT INTO \"my docs\" VALUES (1, 'A', 'The cat sat. On the mat.', 'en'), (2, 'B', NULL, 'en'), (3, NULL, NULL, 'en')",
        );
        let [create, sync, find] = parts(&text(&db, INDEX));
        all(&db, &create);
        all(&db, &sync);
        assert_eq!(text(&db, "SELECT count(*), count(DISTINCT \"row\") FROM docs_index_chunks"), "3|2");
        // All of them in one request, and each chunk under its own text.
        assert_eq!(world.requests(), 1);
        assert_eq!(search(&db, &find, "On the mat."), "1|1|On the mat.");
        assert_eq!(search(&db, &find, "B"), "2|0|B");

        // A column that is not in the index is no change; each other one is.
        run(&db, "UPDATE \"my docs\" SET lang = 'fr'");
        assert_eq!(text(&db, "SELECT count(*) FROM docs_index_marks"), "0");
        run(&db, "UPDATE \"my docs\" SET title = 'Z' WHERE id = 1");
        run(&db, "UPDATE \"my docs\" SET id = 9 WHERE id = 2");
        run(&db, "INSERT INTO \"my docs\" VALUES (4, 'New', 'Nothing else', 'en')");
        run(&db, "DELETE FROM \"my docs\" WHERE id = 3");
        assert_eq!(
            text(&db, "SELECT \"row\", kind FROM docs_index_marks ORDER BY 1"),
            "1|1\n2|2\n3|2\n4|2\n9|2"
        );
        // What was B's is found under no rowid until the next sync.
        assert_ne!(search(&db, &find, "B"), "2|0|B");
        let before = world.texts().len();
        all(&db, &sync);
        assert_eq!(world.texts()[before..], ["Z\n\nThe cat sat. ", "New\n\nNothing else"]);
        assert_eq!(search(&db, &find, "B"), "9|0|B");
        assert_eq!(search(&db, &find, "New\n\nNothing else"), "4|0|New\n\nNothing else");
        assert_eq!(text(&db, "SELECT count(*) FROM docs_index_marks"), "0");
    }
}

#[test]
fn a_script_says_what_it_wants() {
    for way in Way::all() {
        let db = way.open();
        assert!(error(&db, "SELECT rembed_index_sql('i')").contains("wants a name and options"));
        let said = error(&db, "SELECT rembed_index_sql('i', 'client', 'c', 'content', 'd', 'columns', 'a')");
        assert!(said.contains("content_rowid"), "{said}");
        let said = error(&db, "SELECT rembed_index_sql('i', 'clint', 'c')");
        assert!(said.contains("Did you mean 'client'?"), "{said}");
    }
}
