//! What is said to an index: `rebuild`, `optimize`, `integrity-check`, and its options.

use rusqlite::Connection;

use crate::support::{
    File, Provider, check, error, indexed, indexed_in, list, matches, one, sync, sync_with,
};

fn synced(provider: &Provider) -> Connection {
    let db = indexed(provider);
    assert_eq!(sync(&db).all(), [3, 0, 0, 0, 0]);
    db
}

fn say(db: &Connection, command: &str) {
    db.execute_batch(&format!("INSERT INTO docs_index(docs_index) VALUES ('{command}')"))
        .unwrap_or_else(|e| panic!("{command}: {e}"));
}

fn change(db: &Connection, option: &str, value: &str) {
    let sql = format!("INSERT INTO docs_index(docs_index, rank) VALUES ('{option}', '{value}')");
    db.execute_batch(&sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
}

#[test]
fn what_is_no_command_says_what_there_is_and_changes_nothing() {
    let db = synced(&Provider::new("{}"));
    let before = list(&db, "SELECT name || value FROM docs_index_config");
    for (sql, part) in [
        (
            "INSERT INTO docs_index(docs_index) VALUES ('vacuum')",
            "no command 'vacuum': there are 'rebuild', 'optimize' and 'integrity-check'",
        ),
        ("INSERT INTO docs_index(docs_index) VALUES ('client')", "no command 'client'"),
        ("INSERT INTO docs_index(docs_index, rank) VALUES ('rebuild', 1)", "'rebuild' takes no value"),
        ("INSERT INTO docs_index(docs_index, rank) VALUES ('chunk_size', 'many')", "chunk_size is 'many'"),
        ("INSERT INTO docs_index(docs_index, rank) VALUES ('chunk_overlap', 1000)", "must be smaller"),
        ("INSERT INTO docs_index(docs_index, rank) VALUES ('content', 'x')", "make another index"),
        (
            "INSERT INTO docs_index(docs_index, rank) VALUES ('columns', 'title, none')",
            "it has no column 'none'",
        ),
        (
            "INSERT INTO docs_index(docs_index, rank) VALUES ('tokenize', 'unicode61 colour red')",
            "tokenize = 'unicode61 colour red': error in tokenizer constructor",
        ),
        (
            "INSERT INTO docs_index(docs_index, rank) VALUES ('tokenize', 'nope')",
            "tokenize = 'nope': no such tokenizer: nope",
        ),
        (
            "INSERT INTO docs_index(docs_index, rank) VALUES ('tokenize', 'porter nope')",
            "tokenize = 'porter nope': ",
        ),
        ("INSERT INTO docs_index(docs_index, rank) VALUES ('colour', 'red')", "has no option 'colour'"),
        (
            "INSERT INTO docs_index(chunk) VALUES ('x')",
            "has the rows of its content table: change those, and SELECT rembed_sync(",
        ),
        ("INSERT INTO docs_index(rowid, chunk) VALUES (1, 'x')", "has the rows of its content table"),
        ("DELETE FROM docs_index", "has the rows of its content table"),
        ("UPDATE docs_index SET chunk = 'x'", "has the rows of its content table"),
    ] {
        let e = error(&db, sql);
        assert!(e.contains(part), "{sql}: {e}");
        assert_eq!(list(&db, "SELECT name || value FROM docs_index_config"), before, "{sql}");
    }
    assert_eq!(list(&db, "SELECT name FROM temp.sqlite_master"), "");
}

#[test]
fn rebuild_sends_nothing_and_makes_everything_anew() {
    let provider = Provider::new("{}");
    let db = synced(&provider);
    db.execute_batch(
        "UPDATE docs_index_segments SET data = x'00'; DELETE FROM docs_index_vectors WHERE chunk = 2;
         DELETE FROM docs_index_rows; INSERT INTO docs_index_words(docs_index_words) VALUES ('delete-all')",
    )
    .unwrap();
    assert!(error(&db, "INSERT INTO docs_index(docs_index) VALUES ('integrity-check')").contains("damaged"));
    say(&db, "rebuild");
    assert_eq!(provider.texts(), 3);
    let synced = sync(&db);
    // The one vector that was lost is asked for again.
    assert_eq!((synced.all(), provider.texts()), ([1, 2, 0, 0, 0], 4));
    check(&db);
    say(&db, "integrity-check");
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index_segments"), 1);
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index_vectors"), 3);
    assert_eq!(matches(&db, "team"), "1");
}

#[test]
fn integrity_check_finds_what_is_wrong() {
    for (damage, part) in [
        ("UPDATE docs_index_chunks SET chunk = 'x' WHERE id = 1", "the text of chunk 1 is not the one"),
        ("UPDATE docs_index_segments SET live = 2", "segment 1 has 3 vectors and counts 2"),
        ("UPDATE docs_index_segments SET data = x'00'", "a segment of the index is damaged"),
        ("DELETE FROM docs_index_segments", "the vector of chunk 1 is not at its place"),
        (
            "UPDATE docs_index_vectors SET place = 2 - place WHERE chunk = 1",
            "the vector of chunk 1 is not at its place",
        ),
        ("UPDATE docs_index_vectors SET vector = x'00' WHERE chunk = 1", "the vector of chunk 1 is damaged"),
        ("DELETE FROM docs_index_vectors WHERE chunk = 1", "segment 1 has a vector of no chunk"),
        (
            "DELETE FROM docs_index_marks; UPDATE docs SET body = 'x' WHERE id = 1; DELETE FROM docs_index_marks",
            "the row 1 has changed, and no trigger",
        ),
        (
            "INSERT INTO docs_index_words(docs_index_words, rowid, chunk) VALUES ('delete', 3, 'Third.')",
            "chunk 3 has no words",
        ),
        ("INSERT INTO docs_index_words(rowid, chunk) VALUES (9, 'x')", "chunk 9 has words and is not there"),
    ] {
        let db = synced(&Provider::new("{}"));
        say(&db, "integrity-check");
        db.execute_batch(damage).unwrap();
        let e = error(&db, "INSERT INTO docs_index(docs_index) VALUES ('integrity-check')");
        assert!(e.contains(part) && e.contains("the index 'docs_index' is damaged"), "{damage}: {e}");
        say(&db, "rebuild");
        sync(&db);
        say(&db, "integrity-check");
        check(&db);
    }
}

#[test]
fn another_chunk_size_cuts_every_row_again() {
    let provider = Provider::new("{}");
    let db = synced(&provider);
    change(&db, "chunk_size", "12");
    assert_eq!(list(&db, "SELECT chunk FROM docs_index WHERE rowid = 3"), "Third.");
    let synced = sync(&db);
    assert_eq!((synced.get("reused"), synced.get("pending")), (1, 0));
    assert!(synced.get("embedded") > 4);
    check(&db);
    assert!(one::<i64>(&db, "SELECT max(length(chunk)) FROM docs_index") <= 12);
    change(&db, "chunk_size", "12");
    assert_eq!(sync(&db).all(), [0; 5]);
}

#[test]
fn other_columns_have_other_triggers() {
    let provider = Provider::new("{}");
    let db = synced(&provider);
    change(&db, "columns", "BODY, lang");
    let before = list(&db, "SELECT chunk FROM docs_index");
    assert!(before.starts_with("Match\n\n"), "{before}");
    assert_eq!(sync(&db).all(), [2, 1, 2, 0, 0]);
    check(&db);
    assert_eq!(list(&db, "SELECT chunk FROM docs_index WHERE rowid = 1"), "The home team won.");
    db.execute_batch("UPDATE docs SET title = 'x'; UPDATE docs SET lang = 'en' WHERE id = 1").unwrap();
    assert_eq!(list(&db, "SELECT \"row\" FROM docs_index_marks"), "1");
    assert_eq!(sync(&db).all(), [1, 0, 1, 0, 0]);
}

#[test]
fn another_tokenizer_makes_other_words() {
    let provider = Provider::new("{}");
    let db = synced(&provider);
    let both = || (matches(&db, "matches"), matches(&db, "atc"));
    let before = ("1".into(), String::new());
    let found = |question: &str| {
        list(&db, &format!("SELECT rowid FROM docs_index('{question}') WHERE mode = 'words'"))
    };
    assert_eq!((both(), found("matches")), (before, "1".into()));
    change(&db, "tokenize", "trigram");
    // Until the sync the words are those of before, and so is how they are asked.
    assert_eq!((found("matches"), found("atc")), ("1".into(), String::new()));
    say(&db, "integrity-check");
    assert_eq!(sync(&db).all(), [0; 5]);
    check(&db);
    say(&db, "integrity-check");
    assert_eq!(both(), (String::new(), "1".into()));
    assert_eq!((found("matches"), found("atc")), (String::new(), "1".into()));
    change(&db, "tokenize", "");
    sync(&db);
    assert_eq!(list(&db, "SELECT name FROM sqlite_master WHERE name LIKE '%words%'"), "");
    change(&db, "tokenize", "porter");
    let status = "SELECT answers FROM rembed_index_status('docs_index')";
    assert_eq!(list(&db, status), "meaning alone: its words are not synced yet");
    sync(&db);
    check(&db);
    assert_eq!((list(&db, status), provider.texts()), ("meaning and words".into(), 3));
}

#[test]
fn the_words_of_before_are_found_until_a_rebuild_is_done() {
    let provider = Provider::new("{\"log\": false}");
    let db = synced(&provider);
    db.execute_batch(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
         INSERT INTO docs(body) SELECT 'number ' || i FROM n",
    )
    .unwrap();
    assert_eq!(sync(&db).get("embedded"), 500);
    let found = || {
        list(
            &db,
            "SELECT rowid FROM docs_index WHERE query = 'third 400 team' AND mode = 'words' ORDER BY rowid",
        )
    };
    let all = || {
        (
            found(),
            one::<i64>(&db, "SELECT count(*) FROM docs_index WHERE query = 'number' AND mode = 'words'"),
        )
    };
    let before = ("1|3|403".to_owned(), 500);
    assert_eq!(all(), before);
    say(&db, "rebuild");
    assert_eq!(all(), before);
    say(&db, "integrity-check");
    // Some rows are done, and the others are not.
    let synced = sync_with(&db, "{\"limit\": 50}");
    assert_eq!((synced.get("embedded"), synced.get("pending"), all()), (0, 453, before.clone()));
    say(&db, "integrity-check");
    assert_eq!((sync(&db).get("pending"), all()), (0, before));
    check(&db);
    say(&db, "integrity-check");
}

#[test]
fn two_syncs_make_the_words_anew_together() {
    let (file, provider) = (File::new(), Provider::new("{\"log\": false}"));
    let db = indexed_in(&file, &provider);
    db.execute_batch(
        "PRAGMA journal_mode = WAL; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
         INSERT INTO docs(body) SELECT 'number ' || i FROM n",
    )
    .unwrap();
    sync(&db);
    for tokenize in ["trigram", "porter"] {
        change(&db, "tokenize", tokenize);
        db.execute_batch(
            "UPDATE docs SET body = body || '.' WHERE id % 7 = 0; DELETE FROM docs WHERE id % 11 = 0",
        )
        .unwrap();
        let others: Vec<_> = (0..2)
            .map(|_| {
                let other = file.open();
                provider.register(&other, "c", "");
                std::thread::spawn(move || sync(&other).get("failed"))
            })
            .collect();
        assert!(others.into_iter().all(|other| other.join().unwrap() == 0));
        assert_eq!(sync(&db).get("pending"), 0);
        check(&db);
        say(&db, "integrity-check");
    }
}

#[test]
fn words_that_are_to_be_made_anew_are_not_damaged() {
    let db = synced(&Provider::new("{}"));
    let check_says = || error(&db, "INSERT INTO docs_index(docs_index) VALUES ('integrity-check')");
    db.execute_batch("INSERT INTO docs_index_words(docs_index_words) VALUES ('delete-all')").unwrap();
    assert!(check_says().contains("the index 'docs_index' is damaged: chunk 1 has no words"));
    say(&db, "rebuild");
    let e = check_says();
    let expected = "the index 'docs_index' is not synced yet, and until then chunk 1 has no words: SELECT rembed_sync('\"docs_index\"')";
    assert_eq!(e, expected);
    sync(&db);
    say(&db, "integrity-check");
}

#[test]
fn the_words_of_many_syncs_are_few_pieces() {
    let provider = Provider::new("{}");
    let db = synced(&provider);
    for n in 0..40 {
        db.execute_batch(&format!("INSERT INTO docs(body) VALUES ('common word{n}')")).unwrap();
        sync(&db);
        let pieces: i64 = one(&db, "SELECT count(DISTINCT segid) FROM docs_index_words_idx");
        assert!(pieces <= 10, "{pieces} after {n}");
    }
    assert_eq!(
        one::<i64>(&db, "SELECT count(*) FROM docs_index_words WHERE docs_index_words MATCH 'common'"),
        40
    );
    check(&db);
}

#[test]
fn optimize_leaves_few_segments() {
    let provider = Provider::new("{\"log\": false}");
    let db = indexed(&provider);
    db.execute_batch(
        "DELETE FROM docs; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
         INSERT INTO docs(body) SELECT 'text number ' || i FROM n",
    )
    .unwrap();
    assert_eq!(sync(&db).get("embedded"), 3000);
    check(&db);
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index_segments"), 3);
    db.execute_batch("DELETE FROM docs WHERE id % 4").unwrap();
    assert_eq!(sync(&db).get("deleted"), 2250);
    check(&db);
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index_segments"), 3);
    say(&db, "optimize");
    sync(&db);
    check(&db);
    say(&db, "integrity-check");
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index_segments"), 1);
    assert_eq!(one::<i64>(&db, "SELECT count(DISTINCT segid) FROM docs_index_words_idx"), 1);
}

#[test]
fn commands_are_of_the_transaction() {
    let db = synced(&Provider::new("{}"));
    db.execute_batch("BEGIN; INSERT INTO docs_index(docs_index) VALUES ('rebuild'); ROLLBACK").unwrap();
    assert_eq!(sync(&db).all(), [0; 5]);
}
