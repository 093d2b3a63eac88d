//! `rembed_chunks` as a table.

use rusqlite::Connection;

fn open() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    sqlite_rembed::rusqlite::register(&db).unwrap();
    db
}

fn one(db: &Connection, sql: &str) -> Result<String, String> {
    db.query_row(sql, [], |row| row.get(0)).map_err(|e| e.to_string())
}

#[test]
fn chunks_are_rows_that_json_has_as_well() {
    let db = open();
    let text = "replace(hex(zeroblob(900)), '00', 'Some words. ') || char(10, 10) || 'naïve 漢字'";
    for arguments in ["", ", 100", ", 100, 30", ", NULL, NULL", ", 0", ", '70'"] {
        let table = format!(
            "SELECT json_group_array(json_object('seq', seq, 'start', start, 'end', \"end\", 'chunk', chunk))
             FROM rembed_chunks({text}{arguments})"
        );
        let json = format!("SELECT json(rembed_chunks_json({text}{arguments}))");
        assert_eq!(one(&db, &table).unwrap(), one(&db, &json).unwrap(), "{arguments}");
    }
    assert_eq!(one(&db, "SELECT count(*) || '' FROM rembed_chunks(NULL)").unwrap(), "0");
    assert_eq!(one(&db, "SELECT count(*) || '' FROM rembed_chunks('')").unwrap(), "0");
}

#[test]
fn a_column_of_another_table_is_cut() {
    let db = open();
    db.execute_batch(
        "CREATE TABLE docs(body); INSERT INTO docs VALUES ('One two. Three four.'), (NULL), ('Five.')",
    )
    .unwrap();
    let sql = "SELECT group_concat(d.rowid || ':' || c.seq || ':' || trim(c.chunk), '|')
               FROM docs AS d, rembed_chunks(d.body, 12, 0) AS c";
    assert_eq!(one(&db, sql).unwrap(), "1:0:One two.|1:1:Three four.|3:0:Five.");
    let echo =
        "SELECT text || size || coalesce(overlap, 'none') FROM rembed_chunks WHERE text = 'a' AND size = 5";
    assert_eq!(one(&db, echo).unwrap(), "a5none");
}

#[test]
fn errors_are_those_of_the_json_form() {
    let db = open();
    for arguments in ["'a', -1", "'a', 5, 5", "'a', 1.5", "'a', 'x'", "'a', x'00'", "x'00'"] {
        let table = one(&db, &format!("SELECT seq FROM rembed_chunks({arguments})")).unwrap_err();
        let json = one(&db, &format!("SELECT rembed_chunks_json({arguments})")).unwrap_err();
        assert_eq!(table, json, "{arguments}");
    }
    assert!(one(&db, "SELECT seq FROM rembed_chunks").unwrap_err().contains("wants a text"));
}
