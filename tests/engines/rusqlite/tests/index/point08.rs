//! Point 8: the model's fingerprint, and a second generation of vectors.

use crate::support::{File, Provider, check, error, indexed, indexed_in, list, one, sync, sync_with};

const GENERATIONS: &str = "SELECT generation || ':' || count(*) FROM docs_index_vectors GROUP BY generation";

#[test]
fn another_model_of_the_same_width_is_an_error() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    db.execute_batch("UPDATE docs SET body = 'x' WHERE id = 1").unwrap();
    for (more, names) in [
        (", 'model', 'n'", "'n' (ollama)"),
        (", 'document_prefix', 'passage: '", "'m' (ollama, document_prefix 'passage:')"),
        (", 'query_prefix', 'query: '", "'m' (ollama, query_prefix 'query:')"),
        (", 'dimensions', 8", "'m' (ollama, 8 dimensions)"),
    ] {
        provider.register(&db, "c", more);
        let e = error(&db, "SELECT rembed_sync('docs_index')");
        assert!(e.contains("of the model 'm' (ollama)") && e.contains(names) && e.contains("reembed"), "{e}");
    }
    assert_eq!(provider.texts(), 3);
    // Another server of the same model is none.
    let other = Provider::new("{}");
    other.register(&db, "c", "");
    assert_eq!(sync(&db).all(), [1, 0, 1, 0, 0]);
}

#[test]
fn other_dimensions_behind_the_same_name_are_an_error() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    provider.set("{\"width\": 16}");
    db.execute_batch("UPDATE docs SET body = 'x' WHERE id = 1").unwrap();
    let e = error(&db, "SELECT rembed_sync('docs_index')");
    assert!(e.contains("have 8 dimensions, and its client 'c' gives 16") && e.contains("reembed"), "{e}");
    assert!(db.is_autocommit());
    assert_eq!(sync_with(&db, "{\"reembed\": true}").all(), [3, 0, 1, 0, 0]);
    check(&db);
}

#[test]
fn reembed_fills_a_second_generation_and_has_it_answer() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    provider.register(&db, "c", ", 'model', 'n'");
    let synced = sync_with(&db, "{\"reembed\": true, \"limit\": 1}");
    assert_eq!(synced.all(), [1, 0, 0, 0, 0]);
    assert_eq!(list(&db, GENERATIONS), "1:3|2:1");
    assert_eq!(list(&db, "SELECT value FROM docs_index_config WHERE name = 'generation'"), "1");
    // Whoever comes with the model before is told.
    provider.register(&db, "c", "");
    let e = error(&db, "SELECT rembed_sync('docs_index')");
    assert!(e.contains("being embedded anew by the model 'n'"), "{e}");
    // A plain sync goes on, also with what changes meanwhile.
    provider.register(&db, "c", ", 'model', 'n'");
    db.execute_batch("UPDATE docs SET body = 'Changed.' WHERE id = 3; DELETE FROM docs WHERE id = 1")
        .unwrap();
    assert_eq!(sync(&db).all(), [2, 0, 2, 0, 0]);
    assert_eq!(list(&db, GENERATIONS), "2:2");
    check(&db);
    assert_eq!(
        list(
            &db,
            "SELECT name || '=' || value FROM docs_index_config WHERE name LIKE '%generation' AND value NOT NULL"
        ),
        "generation=2"
    );
    assert_eq!(sync(&db).all(), [0; 5]);
}

#[test]
fn reembed_by_the_same_model_sends_everything_again() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    assert_eq!(sync_with(&db, "{\"reembed\": true}").all(), [3, 0, 0, 0, 0]);
    assert_eq!(provider.texts(), 6);
    check(&db);
    // Before there is a vector, there is nothing to embed anew.
    let db = indexed(&provider);
    assert_eq!(sync_with(&db, "{\"reembed\": true}").all(), [3, 0, 0, 0, 0]);
    assert_eq!(one::<i64>(&db, "SELECT value FROM docs_index_config WHERE name = 'generation'"), 1);
}

#[test]
fn rows_that_fail_do_not_keep_a_generation_from_answering() {
    let provider = Provider::new("{\"faults\": [{\"text\": \"Third\", \"status\": 400}]}");
    let db = indexed(&provider);
    assert_eq!(sync(&db).all(), [2, 0, 0, 1, 0]);
    provider.register(&db, "c", ", 'model', 'n'");
    assert_eq!(sync_with(&db, "{\"reembed\": true}").all(), [2, 0, 0, 1, 0]);
    assert_eq!(list(&db, GENERATIONS), "2:2");
    check(&db);
}

#[test]
fn a_client_that_gives_nothing_takes_no_vectors_away() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    let found = "SELECT count(*) FROM docs_index('Third') WHERE mode = 'vector'";
    let before = list(&db, found);
    assert_ne!(before, "0");
    provider.set("{\"faults\": [{\"status\": 400}]}");
    provider.register(&db, "c", ", 'model', 'n'");
    assert_eq!(sync_with(&db, "{\"reembed\": true}").all(), [0, 0, 0, 3, 0]);
    // The model as it was answers as before.
    provider.set("{}");
    provider.register(&db, "c", "");
    assert_eq!(list(&db, found), before);
    // What was begun ends where texts get vectors again.
    db.execute_batch("UPDATE docs_index_errors SET again = 0").unwrap();
    provider.register(&db, "c", ", 'model', 'n'");
    assert_eq!(sync(&db).get("failed"), 0);
    assert_eq!(list(&db, GENERATIONS), "2:3");
    check(&db);
}

#[test]
fn a_reembed_that_was_begun_is_begun_anew_by_a_third_model() {
    let file = File::new();
    let provider = Provider::new("{}");
    let db = indexed_in(&file, &provider);
    sync(&db);
    provider.register(&db, "c", ", 'model', 'n'");
    sync_with(&db, "{\"reembed\": true, \"limit\": 2}");
    provider.register(&db, "c", ", 'model', 'o'");
    assert_eq!(sync_with(&db, "{\"reembed\": true}").all(), [3, 0, 0, 0, 0]);
    assert_eq!(list(&db, GENERATIONS), "3:3");
    check(&db);
}
