//! A search of an index on a real SQLite. Each test is named after a point of what must be so.

#[allow(dead_code)] // the tests of a sync use the rest
#[path = "index/support.rs"]
mod support;

use rusqlite::Connection;
use support::{DOCS, File, INDEX, Provider, error, indexed, list, one, open, sync};

/// An index of `rows` rows, the texts of which are `word N …`, with every tenth in English.
fn many(provider: &Provider, rows: i64) -> Connection {
    let db = open();
    provider.register(&db, "c", "");
    db.execute_batch("CREATE TABLE docs(id INTEGER PRIMARY KEY, title TEXT, body TEXT, lang TEXT)").unwrap();
    db.execute(
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
         INSERT INTO docs SELECT i, 'word ' || i, CASE i % 7 WHEN 0 THEN 'seventh' END, iif(i % 10, 'de', 'en') FROM n",
        [rows],
    )
    .unwrap();
    db.execute_batch(INDEX).unwrap();
    sync(&db);
    db
}

#[test]
fn a_question_is_answered_by_meaning_and_by_words() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    let sql = "SELECT rowid || '|' || seq || '|' || snippet || '|' || (distance < 1e-6) || '|' || vec_rank || '|' || fts_rank
               FROM docs_index('Match\n\nThe home team won.') LIMIT 1";
    assert_eq!(one::<String>(&db, sql), "1|0|[Match]\n\n[The] [home] [team] [won].|1|1|1");
    let all = "SELECT group_concat(score, ' ') FROM docs_index('home')";
    assert!(
        one::<String>(&db, all).split(' ').map(|s| s.parse::<f64>().unwrap()).is_sorted_by(|a, b| a >= b)
    );
    // All are found, by meaning; one by words too, and it is the first.
    let by_words =
        "SELECT group_concat(rowid || ':' || coalesce(fts_rank, '-')) FROM docs_index('back in a week')";
    let found = one::<String>(&db, by_words);
    assert!(found.starts_with("2:1,") && found.len() == "2:1,1:-,3:-".len(), "{found}");
    assert_eq!(
        list(&db, "SELECT count(*) FROM docs_index WHERE query = 'home' AND chunk LIKE '%Third%'"),
        "1"
    );
}

#[test]
fn the_example_of_the_surface_runs() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    db.execute_batch("UPDATE docs SET lang = 'en' WHERE id > 1").unwrap();
    sync(&db);
    let sql = "SELECT d.title || ': ' || i.chunk FROM docs_index('refund policy') AS i JOIN docs AS d ON d.id = i.rowid
               WHERE i.rowid IN (SELECT id FROM docs WHERE lang = 'en') AND i.mode = 'hybrid' AND i.k = 50 ORDER BY d.id";
    assert_eq!(list(&db, sql), "Refunds: Refunds\n\nMoney comes back in a week.|NULL");
}

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
fn point09_any_text_is_a_query() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    let mut statement = db.prepare("SELECT count(*) FROM docs_index(?1)").unwrap();
    for question in [
        "what's C++?",
        "foo-bar",
        "col:val",
        "NEAR(",
        "\"",
        "a\0b",
        "👨‍👩‍👧",
        "AND OR NOT",
        "*",
        "x*",
        "^a",
        "{",
        "'",
        "?!",
        "\u{feff}",
    ] {
        assert_eq!(statement.query_row([question], |row| row.get::<_, i64>(0)).unwrap(), 3, "{question:?}");
    }
    let before = provider.texts();
    for nothing in ["", " ", "\0"] {
        assert_eq!(statement.query_row([nothing], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }
    assert_eq!(list(&db, "SELECT rowid FROM docs_index(NULL)"), "");
    assert_eq!(provider.texts(), before);
    assert!(error(&db, "SELECT rowid FROM docs_index(x'00')").contains("query is a BLOB"));
}

#[test]
fn point10_rows_come_best_first_and_each_once_however_far_they_are_read() {
    let provider = Provider::new("{}");
    let db = many(&provider, 1500);
    for mode in ["hybrid", "vector", "words"] {
        let from = format!("FROM docs_index('word 700') WHERE mode = '{mode}'");
        assert_eq!(
            list(&db, &format!("SELECT count(*) || ' ' || count(DISTINCT rowid) {from}")),
            "1500 1500"
        );
        let whole = list(&db, &format!("SELECT rowid {from}"));
        assert_eq!(list(&db, &format!("SELECT rowid {from} ORDER BY score DESC")), whole);
        assert_eq!(
            list(&db, &format!("SELECT rowid {from} LIMIT 3")),
            list(&db, &format!("SELECT rowid {from} AND k = 3"))
        );
        let ten: Vec<&str> = whole.split('|').skip(5).take(10).collect();
        assert_eq!(list(&db, &format!("SELECT rowid {from} LIMIT 10 OFFSET 5")), ten.join("|"), "{mode}");
        assert_eq!(list(&db, &format!("SELECT count(*) {from} AND k = 20")), "20");
        assert_eq!(list(&db, &format!("SELECT count(*) {from} AND k = 0")), "0");
    }
    let plan: String = db
        .query_row("EXPLAIN QUERY PLAN SELECT rowid FROM docs_index('a') ORDER BY score DESC", [], |row| {
            row.get(3)
        })
        .unwrap();
    assert!(plan.starts_with("SCAN docs_index"), "{plan}");
}

#[test]
fn point10_a_filter_of_a_joined_column_is_not_a_filter_after_the_best_few() {
    let provider = Provider::new("{}");
    let db = many(&provider, 1500);
    let before: i64 = provider.told("$.requests");
    let sql =
        "SELECT count(*) FROM (SELECT i.rowid FROM docs_index('word 3') AS i JOIN docs AS d ON d.id = i.rowid
               WHERE d.lang = 'en' LIMIT 60)";
    assert_eq!(one::<i64>(&db, sql), 60);
    assert_eq!(provider.told::<i64>("$.requests"), before + 1);
}

#[test]
fn point10_rowids_restrict_the_search() {
    let provider = Provider::new("{}");
    let db = many(&provider, 1500);
    for mode in ["hybrid", "vector", "words"] {
        let of = |more: &str| {
            let sql = format!(
                "SELECT rowid FROM docs_index('word 700') WHERE mode = '{mode}' AND {more} ORDER BY rowid"
            );
            list(&db, &sql)
        };
        assert_eq!(of("rowid = 1400"), "1400");
        assert_eq!(of("rowid = 1400 AND k = 1"), "1400");
        assert_eq!(of("rowid > 1497"), "1498|1499|1500");
        assert_eq!(of("rowid >= 1497 AND rowid < 1498.5"), "1497|1498");
        assert_eq!(of("rowid BETWEEN 5 AND 7 AND k = 3"), "5|6|7");
        assert_eq!(of("rowid IN (3, 1200, 77777)"), "3|1200");
        assert_eq!(of("rowid IN (SELECT id FROM docs WHERE id % 500 = 0)"), "500|1000|1500");
        assert_eq!(of("rowid IN (SELECT id FROM docs WHERE lang = 'en') AND rowid > 1470"), "1480|1490|1500");
        assert_eq!(of("rowid IN ()"), "");
        assert_eq!(of("rowid = NULL"), "");
        assert_eq!(of("(rowid = 3 OR rowid > 1499)"), "3|1500");
    }
    assert_eq!(list(&db, "SELECT rowid FROM docs_index WHERE rowid IN (2, 1) AND rowid < 9"), "1|2");
}

#[test]
fn point10_hidden_columns_return_their_arguments() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    let sql = "SELECT query || k || mode || per_chunk FROM docs_index('home', 1, 'words', 1)";
    assert_eq!(one::<String>(&db, sql), "home1words1");
    let either = "SELECT count(*) FROM docs_index WHERE (query = 'home' AND rowid = 1) OR (query = 'money' AND rowid = 2)";
    assert_eq!(one::<i64>(&db, either), 2);
}

#[test]
fn point10_a_question_is_embedded_once_a_statement_whatever_the_join() {
    let provider = Provider::new("{}");
    let db = many(&provider, 300);
    for sql in [
        "SELECT count(*) FROM docs AS d CROSS JOIN docs_index('word 5') AS i WHERE i.rowid = d.id",
        "SELECT count(i.rowid) FROM docs AS d LEFT JOIN docs_index('word 6') AS i ON i.rowid = d.id",
        "SELECT count(*) FROM docs_index('word 7') AS i JOIN docs AS d ON d.id = i.rowid",
    ] {
        let before: i64 = provider.told("$.requests");
        assert_eq!(one::<i64>(&db, sql), 300, "{sql}");
        assert_eq!(provider.told::<i64>("$.requests"), before + 1, "{sql}");
    }
    let plan: String = db
        .query_row(
            "EXPLAIN QUERY PLAN SELECT d.title FROM docs_index('a') AS i JOIN docs AS d ON d.id = i.rowid WHERE d.lang = 'en'",
            [],
            |row| row.get(3),
        )
        .unwrap();
    assert!(plan.starts_with("SCAN i"), "{plan}");
    // Questions of another table are asked one by one.
    let sql = "SELECT group_concat((SELECT i.rowid FROM docs_index(q.column1) AS i LIMIT 1)) FROM (VALUES ('word 8'), ('word 9')) AS q";
    assert_eq!(one::<String>(&db, sql), "8,9");
}

#[test]
fn point10_rows_are_chunks_or_content_rows_by_their_best() {
    let provider = Provider::new("{}");
    let db = open();
    provider.register(&db, "c", "");
    db.execute_batch(
        "CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT);
         INSERT INTO docs VALUES (1, 'First one. Second one. Third one.'), (2, 'Other');
         CREATE VIRTUAL TABLE docs_index USING rembed_index(client = c, content = docs, columns = body, chunk_size = 12)",
    )
    .unwrap();
    sync(&db);
    assert_eq!(list(&db, "SELECT rowid FROM docs_index('one') ORDER BY rowid"), "1|2");
    let chunks = "SELECT rowid || ':' || seq || ':' || trim(chunk) FROM docs_index('one') WHERE per_chunk = 1 ORDER BY rowid, seq";
    assert_eq!(list(&db, chunks), "1:0:First one.|1:1:Second one.|1:2:Third one.|2:0:Other");
    assert_eq!(list(&db, "SELECT seq FROM docs_index('second') WHERE mode = 'words'"), "1");
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

#[test]
fn point09_an_index_that_was_never_synced_has_no_rows_and_sends_nothing() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index('home')"), 0);
    assert_eq!(provider.told::<i64>("$.requests"), 0);
}

#[test]
fn point14_shadow_tables_of_a_stranger_are_errors() {
    let provider = Provider::new("{}");
    for (spoil, part) in [
        ("UPDATE docs_index_segments SET data = x'00'", "a segment of the index is damaged"),
        ("UPDATE docs_index_segments SET data = 'text'", "a segment of the index is damaged"),
        ("UPDATE docs_index_vectors SET vector = zeroblob(9)", "the vector of chunk"),
        ("UPDATE docs_index_vectors SET vector = x'0000c07f' || zeroblob(28)", "the vector of chunk"),
        ("UPDATE docs_index_config SET value = 'x' WHERE name = 'model'", "damaged"),
        ("UPDATE docs_index_config SET value = 9 WHERE name = 'dimensions'", "have 9 dimensions"),
        ("DROP TABLE docs_index_segments", "no such table"),
        ("DELETE FROM docs_index_config", "damaged"),
        (
            "DROP TABLE docs_index_chunks; CREATE VIEW docs_index_chunks AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id FROM n)
             SELECT id, id AS \"row\", 1 AS seq, 'x' AS chunk FROM n",
            "'docs_index_chunks' is not the table that the index made",
        ),
        ("DROP TABLE docs_index_words; CREATE TABLE docs_index_words(chunk)", "is not the table that the index made"),
    ] {
        let db = indexed(&provider);
        sync(&db);
        db.execute_batch(spoil).unwrap();
        let e = error(&db, "SELECT * FROM docs_index('home')");
        assert!(e.contains(part), "{spoil}: {e}");
    }
    // What is only lost is not found.
    for (spoil, left) in [
        ("DELETE FROM docs_index_chunks", 0),
        ("DELETE FROM docs_index_vectors", 1),
        ("UPDATE docs_index_chunks SET \"row\" = \"row\" + 100", 0),
        ("DELETE FROM docs_index_segments", 1),
    ] {
        let db = indexed(&provider);
        sync(&db);
        db.execute_batch(spoil).unwrap();
        assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index('home')"), left, "{spoil}");
    }
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
fn point09_words_that_most_chunks_have_count_last() {
    let provider = Provider::new("{}");
    let db = many(&provider, 3000);
    db.execute_batch("UPDATE docs SET body = 'word word word word' WHERE id = 9").unwrap();
    sync(&db);
    // By the other word first; then those with the common word alone.
    let from = "FROM docs_index('word seventh') WHERE mode = 'words'";
    assert_eq!(list(&db, &format!("SELECT count(*) || ' ' || count(DISTINCT rowid) {from}")), "3000 3000");
    assert_eq!(
        list(&db, &format!("SELECT count(*) FROM (SELECT rowid {from} LIMIT 428) WHERE rowid % 7 = 0")),
        "428"
    );
    // Where there is no other, it is the one.
    assert_eq!(list(&db, "SELECT rowid FROM docs_index('word') WHERE mode = 'words' LIMIT 1"), "9");
    // Beside vectors, a common word brings nothing of its own.
    let fts = "SELECT count(fts_rank) FROM docs_index('word seventh') WHERE fts_rank NOT NULL AND rowid % 7";
    assert_eq!(list(&db, fts), "0");
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
    support::sync_of(&db, "my 'index");
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
fn point09_words_without_blanks_are_found_by_trigrams() {
    let provider = Provider::new("{}");
    let db = open();
    provider.register(&db, "c", "");
    db.execute_batch("CREATE TABLE docs(id INTEGER PRIMARY KEY, title TEXT, body TEXT)").unwrap();
    db.execute_batch("INSERT INTO docs(body) VALUES ('これは東京タワーです'), ('大阪の話')").unwrap();
    db.execute_batch(&INDEX.replace("body')", "body', tokenize = 'trigram')")).unwrap();
    sync(&db);
    let found = "SELECT rowid || snippet FROM docs_index('東京タワーはどこ') WHERE mode = 'words'";
    assert_eq!(list(&db, found), "1これは[東京タワー]です");
}

#[test]
fn point01_a_question_that_was_prefetched_is_not_sent() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    let kept = provider.registration("c", "").replace("'cache', 'off'", "'cache', 'memory'");
    assert_eq!(one::<String>(&db, &kept), "c");
    assert_eq!(one::<i64>(&db, "SELECT rembed_prefetch('c', '[\"the home team\"]', 'query')"), 1);
    let before: i64 = provider.told("$.requests");
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index('the home team')"), 3);
    assert_eq!(provider.told::<i64>("$.requests"), before);
}

#[test]
fn point11_few_rows_are_ranked_as_in_a_scan() {
    let provider = Provider::new("{}");
    let db = many(&provider, 1500);
    for mode in ["vector", "words"] {
        let from = format!("FROM docs_index('seventh word 21') WHERE mode = '{mode}'");
        let whole = list(&db, &format!("SELECT rowid {from}"));
        for most in [1, 64, 65, 300] {
            let expected: Vec<&str> =
                whole.split('|').filter(|row| row.parse::<i64>().unwrap() % 4 == 0).collect();
            let among = format!("rowid IN (SELECT id FROM docs WHERE id % 4 = 0 AND id <= {})", most * 4);
            let expected: Vec<&str> =
                expected.into_iter().filter(|row| row.parse::<i64>().unwrap() <= most * 4).collect();
            assert_eq!(
                list(&db, &format!("SELECT rowid {from} AND {among}")),
                expected.join("|"),
                "{mode} {most}"
            );
        }
    }
}

#[test]
fn point10_a_question_of_the_outer_table_finds_what_it_finds_alone() {
    let provider = Provider::new("{}");
    let db = many(&provider, 200);
    let joined = "SELECT d.id || ':' || i.rowid || ':' || i.seq FROM docs AS d JOIN docs_index(d.title) AS i WHERE d.id % 50 = 0 AND i.k = 2
                  ORDER BY d.id, i.score DESC";
    let alone: Vec<String> = [50, 100, 150, 200]
        .iter()
        .map(|id| {
            let sql =
                format!("SELECT '{id}:' || rowid || ':' || seq FROM docs_index('word {id}') WHERE k = 2");
            list(&db, &sql)
        })
        .collect();
    assert_eq!(list(&db, joined), alone.join("|"));
}

#[test]
fn point14_bytes_of_a_stranger_never_panic() {
    let provider = Provider::new("{}");
    let db = many(&provider, 40);
    db.execute_batch("UPDATE docs SET body = 'changed' WHERE id < 4").unwrap();
    let tables: String = one(
        &db,
        "SELECT group_concat(m.name || '.' || c.name) FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS c
         WHERE m.name LIKE 'docs\\_index\\_%' ESCAPE '\\' AND m.type = 'table' AND m.name NOT LIKE '%\\_words' ESCAPE '\\'",
    );
    let columns: Vec<&str> = tables.split(',').collect();
    assert!(
        columns.contains(&"docs_index_segments.data") && columns.contains(&"docs_index_words_data.block")
    );
    let mut seed = 7_u64;
    let mut random = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    const VALUES: [&str; 9] =
        ["NULL", "0", "-1", "9223372036854775807", "1.5", "''", "'x'", "zeroblob(20)", "CAST(x'ff' AS TEXT)"];
    let mut spoiled = 0;
    for i in 0..1000 {
        let (table, column) = columns[random(columns.len() as u64) as usize].split_once('.').unwrap();
        let value = match random(4) {
            0 => VALUES[random(VALUES.len() as u64) as usize].to_owned(),
            // A byte that is another.
            _ => format!(
                "CAST(substr(CAST({column} AS BLOB), 1, {0}) || x'{1:02x}' || substr(CAST({column} AS BLOB), {0} + 2) AS BLOB)",
                random(60),
                random(256)
            ),
        };
        db.execute_batch("SAVEPOINT spoil").unwrap();
        // Some are refused, as NULL is by NOT NULL.
        spoiled += i32::from(db.execute_batch(&format!(
            "UPDATE OR IGNORE \"{table}\" SET \"{column}\" = {value} WHERE length(quote(\"{column}\")) % 3 = {}",
            random(3)
        )).is_ok());
        for sql in [
            "SELECT rowid, seq, chunk, snippet, score, distance FROM docs_index('word seventh')",
            "SELECT * FROM docs_index('word seventh') WHERE rowid IN (3, 4, 5)",
            "SELECT * FROM docs_index",
            "SELECT * FROM rembed_index_status('docs_index')",
            "SELECT * FROM rembed_index_errors('docs_index')",
        ] {
            let done = db.prepare(sql).and_then(|mut statement| {
                let mut rows = statement.query([])?;
                while rows.next()?.is_some() {}
                Ok(())
            });
            if let Err(e) = done {
                assert!(
                    !e.to_string().contains("internal error"),
                    "{i} {table}.{column} = {value}: {sql}: {e}"
                );
            }
        }
        db.execute_batch("ROLLBACK TO spoil; RELEASE spoil").unwrap();
    }
    assert!(spoiled > 800, "{spoiled}");
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index('word')"), 40);
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
