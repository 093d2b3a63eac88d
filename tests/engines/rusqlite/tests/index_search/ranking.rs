//! Which rows come, in what order, and how often.

use crate::many;
use crate::support::{Provider, indexed, list, one, open, sync};

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
