//! Shadow tables that anybody may have written.

use crate::many;
use crate::support::{Provider, error, indexed, one, sync, to_its_end};

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
            if let Err(e) = to_its_end(&db, sql) {
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
