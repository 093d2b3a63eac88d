//! The surface: an index is made, filled, renamed and dropped.

use crate::support::{Provider, check, check_of, error, indexed, list, one, sync, sync_of};

#[test]
fn an_index_is_made_filled_and_kept_in_step() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    assert_eq!(provider.texts(), 0);
    assert_eq!(list(&db, "SELECT \"row\" || ':' || kind FROM docs_index_marks"), "1:2|2:2|3:2");
    assert_eq!(sync(&db).all(), [3, 0, 0, 0, 0]);
    check(&db);
    let rows =
        "SELECT rowid || ' ' || seq || ' ' || chunk || ' ' || (score IS NULL) FROM docs_index ORDER BY rowid";
    let text = "1 0 Match\n\nThe home team won. 1|2 0 Refunds\n\nMoney comes back in a week. 1|3 0 Third. 1";
    assert_eq!(list(&db, rows), text);
    assert_eq!(sync(&db).all(), [0, 0, 0, 0, 0]);
    db.execute_batch(
        "UPDATE docs SET body = 'Fourth.' WHERE id = 3; DELETE FROM docs WHERE id = 1; UPDATE docs SET lang = 'en';
         INSERT INTO docs(title) VALUES ('New')",
    )
    .unwrap();
    assert_eq!(list(&db, "SELECT \"row\" || ':' || kind FROM docs_index_marks"), "1:2|3:1|4:2");
    assert_eq!(sync(&db).all(), [2, 0, 2, 0, 0]);
    check(&db);
    assert_eq!(list(&db, "SELECT chunk FROM docs_index WHERE rowid > 2 ORDER BY rowid"), "Fourth.|New");
    assert_eq!(
        list(&db, "SELECT rowid FROM docs_index_words WHERE docs_index_words MATCH 'match OR third'"),
        ""
    );
    assert_eq!(
        list(&db, "SELECT count(*) FROM docs_index_words WHERE docs_index_words MATCH 'fourth OR new'"),
        "2"
    );
}

#[test]
fn the_columns_are_as_documented() {
    let db = indexed(&Provider::new("{}"));
    assert_eq!(
        list(&db, "SELECT name || ' ' || hidden FROM pragma_table_xinfo('docs_index')"),
        "rowid 0|seq 0|chunk 0|snippet 0|score 0|distance 0|vec_rank 0|fts_rank 0|query 1|k 1|mode 1|per_chunk 1|docs_index 1|rank 1"
    );
}

#[test]
fn an_index_is_dropped_with_all_it_has() {
    let db = indexed(&Provider::new("{}"));
    sync(&db);
    db.execute_batch("DROP TABLE docs_index").unwrap();
    assert_eq!(list(&db, "SELECT name FROM sqlite_master"), "docs");
    db.execute_batch("INSERT INTO docs(title) VALUES ('x')").unwrap();
}

#[test]
fn an_index_gets_another_name() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    sync(&db);
    db.execute_batch(
        "ALTER TABLE docs_index RENAME TO \"my \"\"index\"; UPDATE docs SET body = 'x' WHERE id = 1",
    )
    .unwrap();
    assert_eq!(
        list(
            &db,
            "SELECT name FROM sqlite_master WHERE name LIKE '%docs_index%' OR tbl_name LIKE '%docs_index%'"
        ),
        ""
    );
    assert_eq!(sync_of(&db, "\"my \"\"index\"").all(), [1, 0, 1, 0, 0]);
    assert_eq!(sync_of(&db, "my \"index").all(), [0; 5]);
    check_of(&db, "my \"\"index");
    // The old name is free.
    db.execute_batch(crate::support::INDEX).unwrap();
    assert_eq!(sync(&db).all(), [3, 0, 0, 0, 0]);
    let e = error(&db, "ALTER TABLE docs_index RENAME TO score");
    assert!(e.contains("cannot have the name 'score'"), "{e}");
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index"), 3);
}

#[test]
fn a_name_that_cannot_be_had_changes_nothing() {
    let db = indexed(&Provider::new("{}"));
    sync(&db);
    db.execute_batch("CREATE TABLE other_segments(x)").unwrap();
    for begin in ["", "BEGIN"] {
        db.execute_batch(begin).unwrap();
        let e = error(&db, "ALTER TABLE docs_index RENAME TO other");
        assert!(e.contains("needs the name 'other_segments', which is taken"), "{e}");
        if !begin.is_empty() {
            db.execute_batch("COMMIT").unwrap();
        }
        assert_eq!(one::<i64>(&db, "SELECT count(*) FROM docs_index"), 3);
        db.execute_batch("UPDATE docs SET body = body || '.' WHERE id = 1").unwrap();
        assert_eq!(sync(&db).all(), [1, 0, 1, 0, 0]);
        check(&db);
    }
}
