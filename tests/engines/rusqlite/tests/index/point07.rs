//! Point 7: syncs share the work, and what fails does not stop the rest.

use crate::support::{DOCS, File, INDEX, Provider, check, error, indexed, list, one, sync, sync_with};

#[test]
fn two_syncs_share_the_work() {
    let provider = Provider::new("{\"log\": false, \"latency_ms\": 30}");
    let file = File::new();
    let db = file.open();
    db.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    db.execute_batch(DOCS).unwrap();
    db.execute_batch(INDEX).unwrap();
    db.execute_batch(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 997)
         INSERT INTO docs(body) SELECT 'text number ' || i FROM n",
    )
    .unwrap();
    let both: Vec<_> = (0..2)
        .map(|_| {
            let db = file.open();
            provider.register(&db, "c", ", 'batch_size', 16, 'concurrency', 1");
            std::thread::spawn(move || sync(&db).get("embedded"))
        })
        .collect();
    let embedded: Vec<i64> = both.into_iter().map(|one| one.join().unwrap()).collect();
    assert!(embedded.iter().all(|n| *n > 0), "{embedded:?}");
    provider.register(&db, "c", "");
    assert_eq!(embedded.iter().sum::<i64>() + sync(&db).get("embedded"), 1000);
    assert_eq!(provider.texts(), 1000);
    check(&db);
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index_claims"), 0);
}

#[test]
fn a_claim_holds_until_it_expires() {
    let db = indexed(&Provider::new("{}"));
    db.execute_batch(
        "INSERT INTO docs_index_claims VALUES (1, 'another', unixepoch() + 20), (2, 'dead', unixepoch() - 1)",
    )
    .unwrap();
    assert_eq!(sync(&db).all(), [2, 0, 0, 0, 1]);
    assert_eq!(list(&db, "SELECT \"row\" FROM docs_index_marks"), "1");
    db.execute_batch("UPDATE docs_index_claims SET until = 0").unwrap();
    assert_eq!(sync(&db).all(), [1, 0, 0, 0, 0]);
    check(&db);
}

#[test]
fn vectors_of_chunks_that_went_are_kept_for_one_sync() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    // A row that stays marked: another sync is at it.
    db.execute_batch(
        "UPDATE docs SET body = 'x' WHERE id = 1; INSERT INTO docs_index_claims VALUES (1, 'another', unixepoch() + 20);
         DELETE FROM docs WHERE id = 3",
    )
    .unwrap();
    assert_eq!(sync(&db).all(), [0, 0, 1, 0, 1]);
    assert_eq!(list(&db, "SELECT sign(chunk) FROM docs_index_vectors ORDER BY id"), "1|1|-1");
    assert_eq!(sync(&db).all(), [0, 0, 0, 0, 1]);
    assert_eq!(list(&db, "SELECT sign(chunk) FROM docs_index_vectors ORDER BY id"), "1|1");
}

#[test]
fn a_kept_vector_stays_where_the_number_of_its_chunk_is_used_again() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    db.execute_batch(
        "DELETE FROM docs WHERE id = 3; INSERT INTO docs(id, body) VALUES (4, 'Fourth.'), (6, 'Sixth.')",
    )
    .unwrap();
    // A row is left, and may have taken the text that went.
    assert_eq!(sync_with(&db, "{\"limit\": 2}").all(), [1, 0, 1, 0, 1]);
    assert_eq!(list(&db, "SELECT id FROM docs_index_chunks ORDER BY id"), "1|2|3");
    db.execute_batch("DELETE FROM docs WHERE id = 4; INSERT INTO docs(id, body) VALUES (5, 'Third.')")
        .unwrap();
    assert_eq!((sync(&db).all(), provider.texts()), ([1, 1, 1, 0, 0], 5));
    check(&db);
}

#[test]
fn claims_are_renewed_while_a_request_is_out() {
    let provider = Provider::new("{\"latency_ms\": 10000}");
    let file = File::new();
    let db = file.open();
    provider.register(&db, "c", "");
    db.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    db.execute_batch(DOCS).unwrap();
    db.execute_batch(INDEX).unwrap();
    let syncing = std::thread::spawn(move || sync(&db).get("embedded"));
    let other = file.open();
    let until = || one::<Option<f64>>(&other, "SELECT max(until) FROM docs_index_claims");
    let wait = || std::thread::sleep(std::time::Duration::from_millis(20));
    while until().is_none() {
        wait();
    }
    let first = until();
    // The sync ends, and its claims with it, unless it renews them before.
    while until() == first {
        wait();
    }
    assert!(until() > first, "{:?} {first:?}", until());
    assert_eq!(syncing.join().unwrap(), 3);
}

#[test]
fn a_row_that_fails_does_not_stop_the_others_and_is_tried_again_later() {
    let provider = Provider::new("{\"faults\": [{\"text\": \"Third\", \"status\": 400}]}");
    let db = indexed(&provider);
    db.execute_batch("INSERT INTO docs(body) VALUES (x'00ff'), ('Last.')").unwrap();
    assert_eq!(sync(&db).all(), [3, 0, 0, 2, 0]);
    check(&db);
    let errors = "SELECT \"row\" || ' ' || seq || ' ' || attempts || ' ' || ((CAST(again - unixepoch() AS INTEGER) + 2) / 10) FROM docs_index_errors";
    assert_eq!(list(&db, errors), "3 0 1 1|4 -1 1 1");
    assert!(list(&db, "SELECT message FROM docs_index_errors WHERE \"row\" = 3").contains("HTTP 400"));
    assert!(list(&db, "SELECT message FROM docs_index_errors WHERE \"row\" = 4").contains("body is a BLOB"));
    // Its words are found all the same.
    assert_eq!(list(&db, "SELECT rowid FROM docs_index_words WHERE docs_index_words MATCH 'third'"), "3");
    let sent = provider.texts();
    assert_eq!(sync(&db).all(), [0, 0, 0, 2, 0]);
    assert_eq!(provider.texts(), sent);
    db.execute_batch("UPDATE docs_index_errors SET again = 0").unwrap();
    assert_eq!(sync(&db).all(), [0, 0, 0, 2, 0]);
    assert_eq!(list(&db, errors), "3 0 2 2|4 -1 2 2");
    provider.set("{}");
    db.execute_batch("UPDATE docs_index_errors SET again = 0; UPDATE docs SET body = 'Text.' WHERE id = 4")
        .unwrap();
    assert_eq!(sync(&db).all(), [2, 0, 0, 0, 0]);
    assert_eq!(list(&db, errors), "");
    check(&db);
}

#[test]
fn a_row_with_one_chunk_that_fails_has_its_others() {
    let provider = Provider::new("{\"faults\": [{\"text\": \"bad\", \"status\": 400}]}");
    let db = indexed(&provider);
    db.execute_batch(
        "DELETE FROM docs; INSERT INTO docs_index(docs_index, rank) VALUES ('chunk_size', 12);
         INSERT INTO docs(body) VALUES ('One good. A bad one. Two good.')",
    )
    .unwrap();
    assert_eq!(sync(&db).all(), [2, 0, 0, 1, 0]);
    check(&db);
    assert_eq!(list(&db, "SELECT seq FROM docs_index_errors"), "1");
    // What is there is not sent again.
    provider.set("{}");
    db.execute_batch("UPDATE docs_index_errors SET again = 0").unwrap();
    assert_eq!(sync(&db).all(), [1, 2, 0, 0, 0]);
    assert_eq!(provider.texts(), 1);
    check(&db);
}

#[test]
fn a_vector_of_another_width_fails_its_row_alone() {
    for text in ["Match", "Third"] {
        let provider =
            Provider::new(&format!("{{\"faults\": [{{\"row_width\": 5, \"text\": \"{text}\"}}]}}"));
        let db = indexed(&provider);
        assert_eq!(sync(&db).all(), [2, 0, 0, 1, 0], "{text}");
        check(&db);
        assert_eq!(one::<i64>(&db, "SELECT dimensions FROM rembed_index_status('docs_index')"), 8);
        let message = "SELECT message FROM rembed_index_errors('docs_index')";
        let e = list(&db, message);
        assert!(e.contains("has 5 numbers, and the others have 8"), "{e}");
        // Alone in its request too, and others come meanwhile.
        db.execute_batch("UPDATE docs_index_errors SET again = 0").unwrap();
        assert_eq!(sync(&db).all(), [0, 0, 0, 1, 0]);
        let e = list(&db, message);
        assert!(e.contains("has 5 numbers, and the vectors before it have 8"), "{e}");
        provider.set("{}");
        db.execute_batch("UPDATE docs_index_errors SET again = 0; INSERT INTO docs(title) VALUES ('New')")
            .unwrap();
        assert_eq!(sync(&db).all(), [2, 0, 0, 0, 0]);
        check(&db);
    }
}

#[test]
fn what_fails_for_every_text_is_an_error_and_leaves_the_marks() {
    let provider = Provider::new("{\"faults\": [{\"status\": 401}]}");
    let db = indexed(&provider);
    let e = error(&db, "SELECT rembed_sync('docs_index')");
    assert!(e.contains("HTTP 401"), "{e}");
    assert_eq!(list(&db, "SELECT count(*) FROM docs_index_marks"), "3");
    assert_eq!(list(&db, "SELECT count(*) FROM docs_index_claims"), "0");
    assert_eq!(list(&db, "SELECT count(*) FROM docs_index_errors"), "0");
    provider.set("{}");
    assert_eq!(sync(&db).all(), [3, 0, 0, 0, 0]);
}
