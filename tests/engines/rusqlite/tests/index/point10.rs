//! Point 10: how a statement may ask, and what it pays for.

use rusqlite::Connection;

use crate::support::{Provider, error, indexed, list, sync};

fn synced(provider: &Provider) -> Connection {
    let db = indexed(provider);
    sync(&db);
    db.execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES ('third'), ('third'), ('home'), ('third')")
        .unwrap();
    db
}

#[test]
fn a_question_that_is_not_known_in_time_is_an_error() {
    let db = synced(&Provider::new("{}"));
    let part =
        "the index 'docs_index' is not asked where this reads its column query: write \"docs_index\"('…')";
    for sql in [
        "SELECT docs_index.rowid FROM docs_index CROSS JOIN t WHERE docs_index.query = t.a",
        "SELECT docs_index.rowid FROM docs_index LEFT JOIN t ON docs_index.query = t.a",
        "SELECT docs_index.rowid FROM docs_index CROSS JOIN t WHERE docs_index.query = t.a AND docs_index.rowid = 3",
        "SELECT rowid FROM docs_index WHERE query IS NOT 'third'",
        "SELECT rowid FROM docs_index WHERE query LIKE 'third'",
        "SELECT rowid FROM docs_index WHERE +query = 'third'",
        "SELECT rowid FROM docs_index WHERE (query = 'third' AND rowid = 1) OR seq = 5",
    ] {
        let e = error(&db, sql);
        assert!(e.contains(part), "{sql}: {e}");
    }
    let asked = "SELECT DISTINCT docs_index.rowid FROM t CROSS JOIN docs_index WHERE docs_index.query = t.a ORDER BY 1";
    assert_eq!(list(&db, asked), "1|2|3");
}

#[test]
fn is_compares_as_equals_does() {
    let db = synced(&Provider::new("{}"));
    let rows = |condition: &str| list(&db, &format!("SELECT rowid FROM docs_index WHERE {condition}"));
    assert_eq!(rows("query IS 'third' AND mode IS 'words'"), "3");
    assert_eq!(rows("query IS 'third' AND k IS 1"), rows("query = 'third' AND k = 1"));
    assert_eq!(rows("query IS 'third'"), rows("query = 'third'"));
    let mut all = db.prepare("SELECT count(*) FROM docs_index WHERE query IS ?1").unwrap();
    assert_eq!(all.query_row([None::<&str>], |row| row.get::<_, i64>(0)).unwrap(), 3);
    assert_eq!(all.query_row(["third"], |row| row.get::<_, i64>(0)).unwrap(), 3);
    assert_eq!(all.query_row([""], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[test]
fn each_part_of_an_or_has_its_rows() {
    let db = synced(&Provider::new("{}"));
    for (condition, rows) in [
        ("(query = 'third' AND rowid = 1) OR rowid = 4", "1"),
        ("(query = 'third' AND rowid = 1) OR rowid = 2", "1|2"),
        ("rowid = 2 OR (query = 'third' AND rowid = 1)", "1|2"),
        ("rowid > 2 OR (query = 'third' AND rowid = 1)", "1|3"),
        ("(query = 'third' AND rowid = 1) OR (query = 'home' AND rowid IN (1, 3))", "1|3"),
        ("query = 'third' OR rowid = 1", "1|2|3"),
    ] {
        let sql = format!("SELECT rowid FROM docs_index WHERE {condition}");
        assert_eq!(list(&db, &format!("SELECT * FROM ({sql}) ORDER BY 1")), rows, "{condition}");
    }
}

#[test]
fn a_question_is_sent_once_a_statement() {
    let provider = Provider::new("{}");
    let db = synced(&provider);
    for (sql, rows, texts) in [
        ("SELECT (SELECT rowid FROM docs_index(t.a) LIMIT 1) FROM t", "3|3|1|3", 2),
        ("SELECT DISTINCT i.rowid FROM t CROSS JOIN docs_index(t.a) AS i ORDER BY 1", "1|2|3", 2),
        (
            "SELECT a.rowid FROM docs_index('third') AS a JOIN docs_index('third') AS b USING (rowid) ORDER BY 1",
            "1|2|3",
            1,
        ),
        (
            "SELECT rowid FROM docs_index WHERE (query = 'third' AND rowid = 1) OR (query = 'third' AND rowid = 3)",
            "1|3",
            1,
        ),
    ] {
        // Again for the next statement: the client keeps nothing.
        for _ in 0..2 {
            let before = provider.texts();
            let mut found: Vec<_> = list(&db, sql).split('|').map(str::to_owned).collect();
            if sql.contains(" OR ") {
                found.sort_unstable();
            }
            assert_eq!((found.join("|"), provider.texts() - before), (rows.to_owned(), texts), "{sql}");
        }
    }
}
