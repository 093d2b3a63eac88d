//! Point 14: what a lock allows, and whom a table of a stranger's file obeys.

use crate::support::{File, Provider, check, error, indexed, indexed_in, list, matches, sync, to_its_end};

#[test]
fn a_locked_connection_syncs_and_changes_no_model() {
    let provider = Provider::new("{}");
    let db = indexed(&provider);
    db.query_row("SELECT rembed_lock()", [], |_| Ok(())).unwrap();
    assert_eq!(sync(&db).all(), [3, 0, 0, 0, 0]);
    let e = error(&db, "SELECT rembed_sync('docs_index', '{\"reembed\": true}')");
    assert!(e.contains("locked by rembed_lock(): an index may be synced, but not embedded anew"), "{e}");
    let e = error(&db, "INSERT INTO docs_index(docs_index, rank) VALUES ('client', 'other')");
    assert!(e.contains("locked by rembed_lock(): an index keeps its client"), "{e}");
    assert_eq!(list(&db, "SELECT value FROM docs_index_config WHERE name = 'client'"), "c");
    db.execute_batch(
        "INSERT INTO docs_index(docs_index, rank) VALUES ('client', 'c'); INSERT INTO docs_index(docs_index) VALUES ('rebuild')",
    )
    .unwrap();
    assert_eq!(sync(&db).all(), [0, 3, 0, 0, 0]);
    check(&db);
}

#[test]
fn a_file_calls_no_sync() {
    let db = indexed(&Provider::new("{}"));
    for sql in [
        "CREATE VIEW v AS SELECT rembed_sync('docs_index')",
        "CREATE TRIGGER t AFTER INSERT ON docs BEGIN SELECT rembed_sync('docs_index'); END",
    ] {
        db.execute_batch(sql).unwrap();
    }
    assert!(error(&db, "SELECT * FROM v").contains("unsafe use"));
    assert!(error(&db, "INSERT INTO docs(body) VALUES ('x')").contains("unsafe use"));
}

#[test]
fn damaged_tables_are_errors() {
    for (damage, part) in [
        ("DELETE FROM docs_index_config WHERE name = 'format'", "a newer version of sqlite-rembed made it"),
        (
            "UPDATE docs_index_config SET value = 2 WHERE name = 'format'",
            "a newer version of sqlite-rembed made it",
        ),
        ("UPDATE docs_index_config SET value = 'x' WHERE name = 'chunk_size'", "table of options is damaged"),
        ("UPDATE docs_index_config SET value = '{' WHERE name = 'model'", "table of options is damaged"),
        ("DROP TABLE docs_index_config", "is damaged: no such table"),
        ("DROP TABLE docs_index_marks", "docs_index_marks"),
        ("DROP TABLE docs_index_chunks", "docs_index_chunks"),
        ("DROP TABLE docs_index_words", "docs_index_words"),
        ("UPDATE docs_index_segments SET data = 'x'", "a segment of the index is damaged"),
    ] {
        let db = indexed(&Provider::new("{}"));
        sync(&db);
        db.execute_batch("UPDATE docs SET body = 'x'").unwrap();
        db.execute_batch(damage).unwrap();
        let e = error(&db, "SELECT rembed_sync('docs_index')");
        assert!(e.contains(part), "{damage}: {e}");
        assert!(db.is_autocommit());
        db.execute_batch("DROP TABLE docs_index").unwrap_or_else(|e| panic!("{damage}: {e}"));
        assert_eq!(list(&db, "SELECT name FROM sqlite_master"), "docs", "{damage}");
    }
}

#[test]
fn words_that_fts5_cannot_read_are_made_anew_and_go_with_the_index() {
    for damage in [
        "DELETE FROM docs_index_words_config",
        "UPDATE docs_index_words_config SET v = 99",
        "DELETE FROM docs_index_words_data",
        "DROP TABLE docs_index_words_config",
        "DROP TABLE docs_index_words_data; CREATE VIEW docs_index_words_data AS SELECT 10 AS id, x'00' AS block",
    ] {
        let (file, provider) = (File::new(), Provider::new("{}"));
        let db = indexed_in(&file, &provider);
        sync(&db);
        db.execute_batch(damage).unwrap();
        drop(db);
        let db = file.open();
        provider.register(&db, "c", "");
        let e = error(&db, "SELECT * FROM docs_index('team') WHERE mode = 'words'");
        assert!(e.contains("fts5") || e.contains("words"), "{damage}: {e}");
        db.execute_batch("SAVEPOINT s; DROP TABLE docs_index").unwrap_or_else(|e| panic!("{damage}: {e}"));
        assert_eq!(list(&db, "SELECT name FROM sqlite_master"), "docs", "{damage}");
        db.execute_batch("ROLLBACK TO s; RELEASE s; INSERT INTO docs_index(docs_index) VALUES ('rebuild')")
            .unwrap();
        assert_eq!(sync(&db).all(), [0, 3, 0, 0, 0], "{damage}");
        assert_eq!(matches(&db, "team"), "1", "{damage}");
        check(&db);
    }
}

#[test]
fn a_view_in_place_of_a_table_goes_with_the_index() {
    let db = indexed(&Provider::new("{}"));
    db.execute_batch(
        "DROP TABLE docs_index_rows; CREATE VIEW docs_index_rows AS SELECT 1 AS \"row\", x'' AS hash",
    )
    .unwrap();
    let e = error(&db, "SELECT rembed_sync('docs_index')");
    assert!(e.contains("DROP TABLE 'docs_index', and make it anew"), "{e}");
    db.execute_batch("DROP TABLE docs_index").unwrap();
    assert_eq!(list(&db, "SELECT name FROM sqlite_master"), "docs");
}

/// A number that others do not have, of a seed.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

#[test]
fn whatever_the_tables_hold_nothing_panics_and_drop_works() {
    let values = [
        "NULL",
        "0",
        "1",
        "-1",
        "2",
        "9223372036854775807",
        "-9223372036854775808",
        "1e300",
        "''",
        "'x'",
        "x''",
        "x'00'",
        "zeroblob(5000)",
        "x'72736731080000000200000000000000'",
        "'all'",
        "'compare'",
        "'{}'",
        "randomblob(100)",
        "cast(x'ff' AS TEXT)",
    ];
    let provider = Provider::new("{\"log\": false}");
    for start in 0..120 {
        let mut seed = start;
        let db = indexed(&provider);
        sync(&db);
        db.execute_batch(
            "INSERT INTO docs_index_errors VALUES (1, 0, 'x', 1, 0); UPDATE docs SET body = 'x' WHERE id = 1",
        )
        .unwrap();
        let tables = [
            "config", "config", "config", "rows", "chunks", "vectors", "segments", "errors", "claims",
            "marks",
        ];
        for _ in 0..1 + next(&mut seed) % 3 {
            let table = tables[next(&mut seed) as usize % tables.len()];
            let columns = list(&db, &format!("SELECT name FROM pragma_table_info('docs_index_{table}')"));
            let columns: Vec<&str> = columns.split('|').collect();
            let column = columns[next(&mut seed) as usize % columns.len()];
            let value = values[next(&mut seed) as usize % values.len()];
            let places = if table == "config" {
                let names = [
                    "generation",
                    "model",
                    "dimensions",
                    "next_generation",
                    "next_model",
                    "next_dimensions",
                    "next_copies",
                    "words",
                    "words_stale",
                    "columns_stale",
                    "pass",
                    "pass_from",
                    "optimize",
                    "revision",
                    "chunk_size",
                    "columns",
                    "tokenize",
                ];
                let name = names[next(&mut seed) as usize % names.len()];
                format!("INSERT OR REPLACE INTO docs_index_config VALUES ('{name}', {value})")
            } else {
                format!(
                    "UPDATE OR IGNORE docs_index_{table} SET \"{column}\" = {value} WHERE rowid % 2 OR {}",
                    next(&mut seed) % 2
                )
            };
            // What its columns do not take is refused.
            let _ = db.execute_batch(&places.replace(
                "WHERE rowid % 2 OR",
                if table == "errors" { "WHERE" } else { "WHERE rowid % 2 OR" },
            ));
        }
        for sql in [
            "SELECT rembed_sync('docs_index', '{\"limit\": 50}')",
            "SELECT count(*) FROM docs_index",
            "INSERT INTO docs_index(docs_index) VALUES ('integrity-check')",
            "INSERT INTO docs_index(docs_index) VALUES ('rebuild')",
            "INSERT INTO docs_index(docs_index, rank) VALUES ('chunk_size', 12)",
            "SELECT rembed_sync('docs_index', '{\"reembed\": true, \"limit\": 50}')",
            "DROP TABLE docs_index",
        ] {
            if let Err(e) = to_its_end(&db, sql) {
                assert!(
                    !e.to_string().contains("internal error") && !sql.starts_with("DROP"),
                    "seed {start}: {sql}: {e}"
                );
            }
            assert!(db.is_autocommit(), "seed {start}: {sql}");
        }
        assert_eq!(list(&db, "SELECT name FROM sqlite_master"), "docs", "seed {start}");
    }
}

#[test]
fn a_table_whose_rows_are_in_no_order_ends_a_sync() {
    let provider = Provider::new("{}");
    for (table, as_it_is) in [
        ("rows", "CREATE VIEW docs_index_rows AS SELECT x'01' AS \"row\", x'02' AS hash"),
        (
            "rows",
            "CREATE TABLE docs_index_rows(\"row\" BLOB, hash BLOB); INSERT INTO docs_index_rows VALUES (x'01', x'02')",
        ),
        (
            "marks",
            "CREATE TABLE docs_index_marks(\"row\" BLOB PRIMARY KEY, kind); INSERT INTO docs_index_marks VALUES (x'01', 2)",
        ),
        (
            "vectors",
            "CREATE TABLE docs_index_vectors(id, generation, chunk, hash, segment, place, vector);
             INSERT INTO docs_index_vectors VALUES (NULL, -1, -1, x'', 0, 0, x'')",
        ),
    ] {
        let db = indexed(&provider);
        sync(&db);
        db.execute_batch(&format!(
            "INSERT INTO docs_index(docs_index) VALUES ('rebuild'); DROP TABLE docs_index_{table}; {as_it_is}"
        ))
        .unwrap();
        // An error or not: it comes back.
        let _ = db.query_row("SELECT rembed_sync('docs_index')", [], |_| Ok(()));
        assert!(db.is_autocommit(), "{table}");
    }
}
