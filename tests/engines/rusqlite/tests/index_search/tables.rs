//! What an index says while its tables change, lack something or have another model.

use rusqlite::Connection;

use crate::support::{DOCS, File, INDEX, Provider, error, indexed, list, one, open, sync, sync_of};

#[test]
fn point02_marks_hide_what_came_and_went_and_leave_what_changed() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    let rows = |db: &Connection, question: &str, mode: &str| {
        list(db, &format!("SELECT rowid FROM docs_index('{question}') WHERE mode = '{mode}' ORDER BY rowid"))
    };
    db.execute_batch(
        "UPDATE docs SET body = 'Other words.' WHERE id = 3; DELETE FROM docs WHERE id = 1; UPDATE docs SET id = 9 WHERE id = 2;
         INSERT INTO docs(id, title) VALUES (1, 'Used again'), (2, 'This too')",
    )
    .unwrap();
    for mode in ["hybrid", "vector"] {
        assert_eq!(rows(&db, "third", mode), "3");
    }
    assert_eq!(rows(&db, "third", "words"), "3");
    assert_eq!(rows(&db, "home money other", "words"), "");
    assert_eq!(list(&db, "SELECT rowid FROM docs_index"), "3");
    assert_eq!(list(&db, "SELECT rowid FROM docs_index('home') WHERE rowid = 1"), "");
    sync(&db);
    assert_eq!(rows(&db, "home", "vector"), "1|2|3|9");
    assert_eq!(rows(&db, "money other", "words"), "3|9");
}

#[test]
fn point03_a_content_table_made_anew_is_an_error_that_says_sync() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    db.execute_batch(
        "CREATE TABLE new(id INTEGER PRIMARY KEY, title TEXT, body TEXT, lang TEXT); INSERT INTO new SELECT * FROM docs;
         DROP TABLE docs; ALTER TABLE new RENAME TO docs",
    )
    .unwrap();
    let e = error(&db, "SELECT rowid FROM docs_index('home')");
    assert!(e.contains("SELECT rembed_sync('\"docs_index\"')"), "{e}");
    sync(&db);
    assert_eq!(list(&db, "SELECT rowid FROM docs_index('home') WHERE mode = 'words'"), "1");
}

#[test]
fn point03_a_row_that_replace_evicted_is_not_found() {
    let provider = Provider::new("{}");
    let db = open();
    provider.register(&db, "c", "");
    db.execute_batch("CREATE TABLE docs(id INTEGER PRIMARY KEY, title TEXT UNIQUE, body TEXT)").unwrap();
    db.execute_batch("INSERT INTO docs VALUES (1, 'a', 'first text'), (2, 'b', 'second text')").unwrap();
    db.execute_batch(INDEX).unwrap();
    sync(&db);
    // No trigger tells of row 1.
    db.execute_batch("UPDATE OR REPLACE docs SET title = 'a' WHERE id = 2").unwrap();
    for mode in ["hybrid", "vector", "words"] {
        assert_eq!(list(&db, &format!("SELECT rowid FROM docs_index('text') WHERE mode = '{mode}'")), "2");
    }
}

#[test]
fn point08_a_model_that_is_another_is_an_error_that_names_both() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    provider.register(&db, "c", ", 'model', 'other'");
    let e = error(&db, "SELECT rowid FROM docs_index('home')");
    assert!(e.contains("'m' (ollama)") && e.contains("'other' (ollama)") && e.contains("reembed"), "{e}");
    // Words need no model.
    assert_eq!(list(&db, "SELECT rowid FROM docs_index('home') WHERE mode = 'words'"), "1");
    provider.set("{\"width\": 9}");
    provider.register(&db, "c", "");
    let e = error(&db, "SELECT rowid FROM docs_index('home')");
    assert!(e.contains("have 8 dimensions, and its client 'c' gives 9") && e.contains("reembed"), "{e}");
}

#[test]
fn point08_the_first_generation_answers_while_its_model_is_registered_else_words_alone() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    provider.register(&db, "c", ", 'model', 'n'");
    db.query_row("SELECT rembed_sync('docs_index', '{\"reembed\": true, \"limit\": 1}')", [], |_| Ok(()))
        .unwrap();
    let ranks = "SELECT group_concat(vec_rank IS NOT NULL) FROM docs_index('home')";
    assert_eq!(one::<String>(&db, ranks), "0");
    assert_eq!(list(&db, "SELECT rowid FROM docs_index('home') WHERE mode = 'vector'"), "");
    provider.register(&db, "elder", "");
    assert_eq!(one::<String>(&db, ranks), "1,1,1");
    sync(&db);
    assert_eq!(
        one::<String>(&db, "SELECT count(*) || '' FROM docs_index('home') WHERE distance NOT NULL"),
        "3"
    );
}

#[test]
fn point12_a_search_works_in_an_attached_schema_and_read_only() {
    let provider = Provider::new("{}");
    let file = File::new();
    let aux = file.open();
    provider.register(&aux, "c", "");
    aux.execute_batch(DOCS).unwrap();
    aux.execute_batch(INDEX).unwrap();
    sync(&aux);
    drop(aux);
    let db = open();
    provider.register(&db, "c", "");
    db.execute_batch(&format!("ATTACH 'file:{}?mode=ro' AS \"a x\"", file.0.display())).unwrap();
    assert_eq!(list(&db, "SELECT rowid FROM \"a x\".docs_index('home') WHERE mode = 'words'"), "1");
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index('home')"), 3);
}

#[test]
fn point13_without_words_vectors_answer_alone() {
    let provider = Provider::new("{}");
    let db = open();
    provider.register(&db, "c", "");
    db.execute_batch(DOCS).unwrap();
    db.execute_batch(&INDEX.replace("body')", "body', tokenize = '')")).unwrap();
    sync(&db);
    let sql = "SELECT count(*) || ' ' || count(vec_rank) || ' ' || count(fts_rank) FROM docs_index('home')";
    assert_eq!(one::<String>(&db, sql), "3 3 0");
    let e = error(&db, "SELECT rowid FROM docs_index('home') WHERE mode = 'words'");
    assert!(e.contains("its tokenize is ''") && e.contains("mode = 'vector'"), "{e}");
}

const STATUS: &str = "SELECT rows || ' ' || chunks || ' ' || pending || ' ' || failed || ' ' || coalesce(dimensions, '-') || ' ' ||
    coalesce(model, '-') || ' ' || (bytes > 0) || ' ' || (last_sync IS NOT NULL) FROM rembed_index_status('docs_index')";
const ANSWERS: &str = "SELECT answers FROM rembed_index_status('docs_index')";

#[test]
fn the_status_tells_what_there_is() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    assert_eq!(one::<String>(&db, STATUS), "0 0 3 0 - - 1 0");
    assert_eq!(one::<String>(&db, ANSWERS), "words alone: nothing is embedded yet");
    sync(&db);
    db.execute_batch("UPDATE docs SET body = 'x' WHERE id = 1").unwrap();
    assert_eq!(one::<String>(&db, STATUS), "3 3 1 0 8 m 1 1");
    assert_eq!(one::<String>(&db, ANSWERS), "meaning and words");
    let recent = "SELECT abs(julianday(last_sync) - julianday('now')) < 0.01 FROM rembed_index_status('main.docs_index')";
    assert_eq!(one::<i64>(&db, recent), 1);
    assert!(error(&db, "SELECT * FROM rembed_index_status('docs')").contains("there is no index 'docs'"));
    assert!(error(&db, "SELECT * FROM rembed_index_status").contains("wants the name of an index"));
    assert_eq!(list(&db, "SELECT rows FROM rembed_index_status(NULL)"), "");
}

#[test]
fn point03_08_13_the_status_says_what_answers() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    provider.register(&db, "c", ", 'model', 'n'");
    assert!(
        one::<String>(&db, ANSWERS)
            .starts_with("words alone: its client is not registered, or has another model")
    );
    db.query_row("SELECT rembed_sync('docs_index', '{\"reembed\": true, \"limit\": 1}')", [], |_| Ok(()))
        .unwrap();
    assert!(one::<String>(&db, ANSWERS).starts_with("words alone: every chunk is being embedded anew"));
    provider.register(&db, "elder", "");
    assert_eq!(one::<String>(&db, ANSWERS), "meaning and words");
    db.execute_batch("DROP TRIGGER docs_index_update").unwrap();
    assert_eq!(one::<String>(&db, ANSWERS), "nothing: its triggers are missing, sync it");
    let db = open();
    provider.register(&db, "c", "");
    db.execute_batch(DOCS).unwrap();
    db.execute_batch(&INDEX.replace("body')", "body', tokenize = '')")).unwrap();
    sync(&db);
    assert_eq!(one::<String>(&db, ANSWERS), "meaning alone: its tokenize is ''");
}

#[test]
fn point07_a_row_that_failed_is_among_the_errors() {
    let provider =
        Provider::new(r#"{"faults": [{"text": "Third", "status": 400, "body": {"error": "bad text"}}]}"#);
    let db = indexed(&provider);
    db.execute_batch("INSERT INTO docs(title) VALUES (x'ff00')").unwrap();
    sync(&db);
    let sql =
        "SELECT rowid || ' ' || coalesce(seq, '-') || ' ' || attempts || ' ' || (message LIKE '%bad text%')
               FROM rembed_index_errors('docs_index')";
    assert_eq!(list(&db, sql), "3 0 1 1|4 - 1 0");
    assert_eq!(list(&db, "SELECT rowid FROM docs_index('third') WHERE mode = 'words'"), "3");
    assert_eq!(list(&db, "SELECT failed FROM rembed_index_status('docs_index')"), "2");
}

#[test]
fn point12_names_that_need_quotes() {
    let provider = Provider::new("{}");
    let db = open();
    provider.register(&db, "c", "");
    db.execute_batch(
        "CREATE TABLE \"my \"\"docs\"(\"the id\" INTEGER PRIMARY KEY, \"a 'text'\" TEXT);
         INSERT INTO \"my \"\"docs\" VALUES (5, 'some text'), (6, 'other words');
         CREATE VIRTUAL TABLE \"my 'index\" USING rembed_index(client = c, content = 'my \"docs', columns = [a 'text'])",
    )
    .unwrap();
    sync_of(&db, "my 'index");
    for mode in ["hybrid", "vector", "words"] {
        let sql = format!("SELECT rowid || snippet FROM \"my 'index\"('text') WHERE mode = '{mode}' LIMIT 1");
        assert_eq!(one::<String>(&db, &sql), "5some [text]");
    }
    assert_eq!(one::<i64>(&db, "SELECT chunks FROM rembed_index_status('my ''index')"), 2);
}

#[test]
fn point12_a_database_in_utf16() {
    let provider = Provider::new("{}");
    let db = open();
    db.execute_batch("PRAGMA encoding = 'UTF-16le'").unwrap();
    provider.register(&db, "c", "");
    db.execute_batch(DOCS).unwrap();
    db.execute_batch("INSERT INTO docs(title) VALUES ('naïve 漢字 😀')").unwrap();
    db.execute_batch(INDEX).unwrap();
    sync(&db);
    let sql = "SELECT snippet || distance FROM docs_index('naïve 漢字 😀') LIMIT 1";
    assert!(one::<String>(&db, sql).starts_with("[naïve] [漢字] 😀"));
}

#[test]
fn point13_a_host_without_fts5_asks_vectors_alone() {
    let provider = Provider::new("{}");
    let file = File::new();
    let db = file.open();
    provider.register(&db, "c", "");
    db.execute_batch(DOCS).unwrap();
    db.execute_batch(INDEX).unwrap();
    sync(&db);
    drop(db);
    let db = file.open();
    provider.register(&db, "c", "");
    let mut kept = [c"rembed_index".as_ptr(), c"rembed_index_status".as_ptr(), std::ptr::null()];
    // SAFETY: the connection is open, and the list ends with NULL.
    unsafe { rusqlite::ffi::sqlite3_drop_modules(db.handle(), kept.as_mut_ptr()) };
    let sql = "SELECT count(*) || ' ' || count(vec_rank) || ' ' || count(fts_rank) FROM docs_index('home')";
    assert_eq!(one::<String>(&db, sql), "3 3 0");
    assert_eq!(one::<String>(&db, ANSWERS), "meaning alone: this SQLite has no FTS5");
    let e = error(&db, "SELECT rowid FROM docs_index('home') WHERE mode = 'words'");
    assert!(e.contains("this SQLite has no FTS5"), "{e}");
}
