//! Any text is a question, answered by meaning and by words.

use crate::many;
use crate::support::{INDEX, Provider, error, indexed, list, one, open, sync};

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
fn point09_an_index_that_was_never_synced_has_no_rows_and_sends_nothing() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index('home')"), 0);
    assert_eq!(provider.told::<i64>("$.requests"), 0);
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
