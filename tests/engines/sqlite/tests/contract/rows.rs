//! `rembed_rows()`: what it reads, and how deep it may stand in itself.

use rusqlite::Connection;
use serde_json::json;
use sqlite_host::*;

/// In one database of each encoding.
fn encoded() -> impl Iterator<Item = Connection> {
    ["UTF-8", "UTF-16le", "UTF-16be"].into_iter().map(|encoding| {
        let db = open();
        db.run(&format!("PRAGMA encoding = '{encoding}'"), ());
        db.run("CREATE TABLE docs(id, body)", ());
        db
    })
}

#[test]
fn a_key_comes_as_it_is_in_every_encoding() {
    let world = world(json!({"width": 4}));
    for db in encoded() {
        register(&db, "c", &world, "{}");
        db.run("INSERT INTO docs VALUES ('kéy', 'a'), ('', 'b'), (x'00ff', 'c'), (1, 'd'), (1.5, 'e'), (NULL, 'f')", ());
        let same = "SELECT count(*) FROM docs JOIN rembed_rows('c', 'SELECT id, body FROM docs') AS r
                    ON r.text = body AND r.key IS id AND typeof(r.key) = typeof(id)";
        assert_eq!(db.get::<i64>(same, ()), 6);
        let long = "SELECT key FROM rembed_rows('c', 'SELECT ''kéy'', ''a''')";
        assert_eq!(db.get::<String>(long, ()), "kéy");
    }
}

/// What reads itself: a table whose row holds the statement that reads the table, a view, and either by way of `rembed_batch`
/// and of `rembed`. Run on a stack of a size that threads have.
#[test]
fn what_reads_itself_is_an_error() {
    let world = world(json!({"width": 4}));
    child().run_in(&world, |world| {
        for (setup, sql) in [
            (
                "INSERT INTO held VALUES ('SELECT r.key, r.text FROM held, rembed_rows(''c'', sql) AS r')",
                "SELECT r.key FROM held, rembed_rows('c', sql) AS r",
            ),
            (
                "CREATE TEMP VIEW v AS SELECT key, text FROM rembed_rows('c', 'SELECT key, text FROM v')",
                "SELECT key FROM v",
            ),
            (
                "CREATE TEMP VIEW v AS SELECT b.key, b.text FROM rembed_batch('c', (
                     SELECT json_group_array(text) FROM rembed_rows('c', 'SELECT * FROM v'))) AS b",
                "SELECT error FROM rembed_batch('c', (SELECT json_group_array(text) FROM v))",
            ),
            (
                "CREATE TEMP VIEW v AS SELECT 1 AS key, hex(rembed('c', (
                     SELECT text FROM rembed_rows('c', 'SELECT * FROM v')))) AS text",
                "SELECT error FROM rembed_rows('c', 'SELECT * FROM v')",
            ),
            (
                "CREATE TEMP VIEW v AS SELECT 1 AS key, rembed_prefetch('c', (
                     SELECT json_group_array(text) FROM rembed_rows('c', 'SELECT * FROM v'))) AS text",
                "SELECT text FROM v",
            ),
        ] {
            let db = open_with_client(world);
            db.run("CREATE TABLE held(sql)", ());
            db.run(setup, ());
            let text = error(db.fails(sql, ()));
            let said = "rembed_rows: nested more than 8 deep";
            assert!(text.starts_with(said) && text.contains("reads itself"), "{sql}: {text}");
            // And the connection goes on.
            assert_eq!(db.get::<i64>("SELECT count(embedding) FROM rembed_rows('c', 'SELECT 1, 2')", ()), 1);
        }
        assert_eq!(world.requests(), 5);
    });
}

#[test]
fn some_levels_are_fine() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    let mut sql = "SELECT 1, ''a''".replace("''", "'");
    for _ in 0..8 {
        sql = format!("SELECT key, text FROM rembed_rows('c', '{}')", sql.replace('\'', "''"));
    }
    assert_eq!(db.all::<i64>(&sql, ()), [1]);
    let sql = format!("SELECT key, text FROM rembed_rows('c', '{}')", sql.replace('\'', "''"));
    assert!(error(db.fails(&sql, ())).contains("nested more than 8 deep"));
}

/// The text that the outer one has claimed and not sent yet, asked for by what it reads: nobody waits for himself.
#[test]
fn the_same_text_inside_and_outside() {
    let world = world(json!({"width": 4}));
    child().run_in(&world, |world| {
        let db = open();
        register(&db, "c", world, "{\"cache\":\"memory\"}");
        db.run("CREATE TABLE docs(id, body)", ());
        db.run("INSERT INTO docs VALUES (1, 'a'), (2, 'b'), (3, 'a')", ());
        for inner in [
            "SELECT id, body FROM docs WHERE length(rembed(''c'', body)) = 16",
            "SELECT id, body FROM docs WHERE rembed_prefetch(''c'', json_array(body)) = 1",
            "SELECT key, text FROM rembed_rows(''c'', ''SELECT id, body FROM docs'')",
            "SELECT id, body FROM docs WHERE (SELECT count(embedding) FROM rembed_batch(''c'', json_array(body))) = 1",
        ] {
            let sql = format!("SELECT count(embedding) FROM rembed_rows('c', '{inner}')");
            assert_eq!(db.get::<i64>(&sql, ()), 3, "{inner}");
            db.run("SELECT rembed_cache_clear()", ());
        }
    });
}

/// What else could nest without end: JSON in an argument, and a trigger that embeds for itself.
#[test]
fn nothing_else_nests_without_end() {
    let world = world(json!({"width": 4}));
    child().run_in(&world, |world| {
        let db = open_with_client(world);
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"id\":", ",\"text\":\"a\"}]")] {
            let deep = open.repeat(100_000) + "1" + &close.repeat(100_000);
            for sql in [
                "SELECT embedding FROM rembed_batch('c', ?)",
                "SELECT rembed_prefetch('c', ?)",
                "SELECT rembed_register('d', ?)",
                "SELECT rembed_register('d', 'format', 'openai', 'body', ?)",
                "SELECT rembed_client_options('format', 'openai', 'headers', ?)",
                "INSERT INTO temp.rembed_clients(name, options) VALUES ('d', ?)",
            ] {
                let text = error(db.fails(sql, [&deep]));
                assert!(text.len() < 2000, "{sql}: {} bytes", text.len());
            }
        }
        db.run("PRAGMA recursive_triggers = ON", ());
        db.run("CREATE TABLE n(i, v)", ());
        db.run(
            "CREATE TEMP TRIGGER again AFTER INSERT ON n BEGIN INSERT INTO n VALUES (NEW.i + 1, rembed('c', NULL)); END",
            (),
        );
        let text = error(db.fails("INSERT INTO n VALUES (1, NULL)", ()));
        assert!(text.contains("trigger"), "{text}");
        assert_eq!(world.requests(), 0);
    });
}

/// The inner table of a join is read again for each row of the outer one.
#[test]
fn a_join_sends_each_text_once_also_where_it_fails_and_nothing_is_cached() {
    let fault = json!({"text": "bad", "status": 400, "body": {"error": {"message": "bad text"}}});
    let world = world(json!({"width": 4, "faults": [fault]}));
    let db = open();
    register(&db, "c", &world, r#"{"cache": "off", "batch_size": 1}"#);
    db.run("CREATE TABLE n AS SELECT value AS i FROM json_each('[1, 2, 3, 4]')", ());
    db.run(
        "CREATE TABLE docs AS SELECT key AS id, value AS body FROM json_each('[\"a\", \"b\", \"bad\"]')",
        (),
    );
    for inner in
        ["rembed_batch('c', '[\"a\", \"b\", \"bad\"]')", "rembed_rows('c', 'SELECT id, body FROM docs')"]
    {
        let before = world.requests();
        let sql = format!(
            "SELECT count(*) FROM n CROSS JOIN {inner} AS r WHERE (r.error IS NULL) = (r.text <> 'bad')"
        );
        assert_eq!(db.get::<i64>(&sql, ()), 12, "{inner}");
        assert_eq!(world.requests() - before, 3, "{inner}");
    }
}

#[test]
fn an_insert_reads_what_was_there_when_it_began() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    db.run("CREATE TABLE t(id INTEGER PRIMARY KEY, body, v)", ());
    db.run("INSERT INTO t(body) VALUES ('a'), ('b'), ('c')", ());
    db.run("CREATE TABLE query AS SELECT 1 AS id, 'a' AS body", ());
    for (query, rows) in [
        ("SELECT id, body FROM t", 6),
        ("SELECT id, body FROM t ORDER BY id DESC -- all of them;", 12),
        ("SELECT id, body FROM t WHERE id IN (SELECT id FROM t); /* none */ ;", 24),
        ("VALUES (1, ''x''), (2, ''y'')", 26),
        ("WITH one AS (SELECT 7 AS k, ''z'' AS b) SELECT k, b FROM one", 27),
        ("SELECT id, body FROM query", 28),
        (" ; -- none\n /* none */ ; SELECT id, body FROM query", 29),
    ] {
        let sql = format!("INSERT INTO t(body, v) SELECT text, embedding FROM rembed_rows('c', '{query}')");
        db.run(&sql, ());
        assert_eq!(db.get::<i64>("SELECT count(*) FROM t", ()), rows, "{query}");
    }
    let order: String = db.get("SELECT group_concat(body, '') FROM t WHERE id BETWEEN 7 AND 12", ());
    assert_eq!(order, "cbacba");
}

#[test]
fn a_query_may_end_in_a_comment_and_has_no_parameters() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    for query in [
        "SELECT 1, ''a''; -- note",
        "SELECT 1, ''a'' /* note */",
        "SELECT 1, ''a'';;\n",
        "/* note */ SELECT 1, ''a''",
    ] {
        let sql = format!("SELECT count(embedding) FROM rembed_rows('c', '{query}')");
        assert_eq!(db.get::<i64>(&sql, ()), 1, "{query}");
    }
    let text =
        error(db.fails("SELECT embedding FROM rembed_rows('c', ?)", ["SELECT 1, 'a'\0; SELECT 2, 'b'"]));
    assert!(text.contains("NUL"), "{text}");
    for (query, why) in [
        ("SELECT 1, ?", "has the parameter ?, and nothing can be bound"),
        ("SELECT 1, :body", "has the parameter :body, and nothing can be bound"),
        ("SELECT 1, ?1", "has the parameter ?1, and nothing can be bound"),
        ("SELECT 1, ''a''; SELECT 2, ''b''", "more than one statement"),
        ("-- note", "is empty"),
    ] {
        let text = error(db.fails(&format!("SELECT embedding FROM rembed_rows('c', '{query}')"), ()));
        assert!(text.contains(why), "{query}: {text}");
    }
}

#[test]
fn a_pragma_is_no_query() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    db.run("CREATE TABLE t(v)", ());
    for sql in ["SELECT embedding", "INSERT INTO t SELECT embedding"] {
        for query in ["PRAGMA collation_list", "; -- note\n/* note */ pragma collation_list;"] {
            let text = error(db.fails(&format!("{sql} FROM rembed_rows('c', '{query}')"), ()));
            assert!(
                text.contains("is a PRAGMA: only a SELECT of key and text may stand there"),
                "{query}: {text}"
            );
        }
    }
    db.run(
        "INSERT INTO t SELECT embedding FROM rembed_rows('c', 'SELECT seq, name FROM pragma_collation_list')",
        (),
    );
    assert!(db.get::<i64>("SELECT count(*) FROM t", ()) > 0);
}

#[test]
fn a_key_that_is_not_utf8_comes_as_it_is() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    db.run("CREATE TABLE docs AS SELECT CAST(x'61ff62' AS TEXT) AS id, 'a' AS body", ());
    let same = "SELECT typeof(r.key) || hex(r.key) FROM docs
                JOIN rembed_rows('c', 'SELECT id, body FROM docs') AS r ON r.key = id";
    assert_eq!(db.get::<String>(same, ()), "text61FF62");
}

#[test]
fn the_error_of_a_row_names_its_key() {
    let fault = json!({"text": "bad", "status": 400, "body": {"error": {"message": "bad text"}}});
    let world = world(json!({"width": 4, "faults": [fault]}));
    let db = open_with_client(&world);
    for (call, key) in
        [("rembed_batch('c', '{\"k2\": \"bad\"}')", "'k2'"), ("rembed_rows('c', 'SELECT 17, ''bad''')", "17")]
    {
        let text = error(db.fails(&format!("SELECT embedding FROM {call}"), ()));
        let end = format!(
            "(at the row with the key {key}; a query that reads the column error gets every other row)"
        );
        assert!(text.contains("bad text") && text.ends_with(&end), "{text}");
    }
}

#[test]
fn hidden_columns_return_their_arguments() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    db.run("CREATE TABLE docs AS SELECT 7 AS id, 'a' AS body", ());
    for sql in [
        "SELECT count(*) FROM rembed_batch('c', '[\"a\"]') WHERE client = 'c'",
        "SELECT count(*) FROM rembed_batch('c', '[\"a\"]', 'query') WHERE client = 'c' AND input_type = 'query'",
        "SELECT count(*) FROM rembed_batch WHERE client = 'c' AND json = '[\"a\"]' AND input_type IS NULL",
        "SELECT count(*) FROM rembed_rows('c', 'SELECT id, body FROM docs') WHERE \"select\" LIKE 'SELECT id%'",
        "SELECT count(*) FROM docs JOIN rembed_batch('c', json_array(body)) AS r WHERE r.json = json_array(body)",
    ] {
        assert_eq!(db.get::<i64>(sql, ()), 1, "{sql}");
    }
    assert_eq!(
        db.get::<i64>("SELECT count(*) FROM rembed_batch('c', '[\"a\"]') WHERE client LIKE 'd'", ()),
        0
    );
}

/// A thousand texts: 10 requests of 100, unless the first is a small one.
#[test]
fn a_statement_pays_for_little_that_it_may_not_read() {
    let world = world(json!({"width": 4}));
    let db = open_with(&world, r#"{"cache": "off", "batch_size": 100}"#);
    db.run("CREATE TABLE t(key, v)", ());
    db.run(
        "CREATE TABLE docs AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
         SELECT i AS id, 'text ' || i AS body FROM n",
        (),
    );
    // The first row alone is asked for.
    let sent = |sql: &str| {
        world.reset(json!({"width": 4}));
        let mut statement = db.prepare(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        statement.query(()).unwrap().next().unwrap_or_else(|e| panic!("{sql}: {e}"));
        drop(statement);
        world.texts().len()
    };
    for call in [
        "rembed_batch('c', (SELECT json_group_array(body) FROM (SELECT body FROM docs LIMIT 1000)))",
        "rembed_rows('c', 'SELECT id, body FROM docs LIMIT 1000')",
    ] {
        for sql in [
            "INSERT INTO t SELECT key, embedding FROM CALL",
            "INSERT INTO t SELECT key, embedding FROM CALL RETURNING key",
            "CREATE TEMP TABLE u AS SELECT key, embedding FROM CALL",
            "UPDATE t SET v = r.embedding FROM CALL AS r WHERE r.key = t.key",
            "SELECT sum(length(embedding)) FROM CALL",
        ] {
            let sql = sql.replace("CALL", call);
            assert_eq!((sent(&sql), world.requests()), (1000, 10), "{sql}");
        }
        for sql in [
            "SELECT key, embedding FROM CALL",
            "SELECT key, embedding FROM CALL LIMIT 1",
            "INSERT INTO t SELECT key, embedding FROM CALL LIMIT 1",
            "INSERT INTO t SELECT * FROM (SELECT key, embedding FROM CALL LIMIT 1)",
            "INSERT INTO t VALUES (1, (SELECT embedding FROM CALL))",
            "UPDATE t SET v = (SELECT embedding FROM CALL) WHERE rowid = (SELECT min(rowid) FROM t)",
            "DELETE FROM t WHERE EXISTS (SELECT 1 FROM CALL) AND rowid = (SELECT min(rowid) FROM t)",
        ] {
            let sql = sql.replace("CALL", call);
            assert_eq!(sent(&sql), 32, "{sql}");
        }
        db.run("DROP TABLE u", ());
        // Nothing tells which of two statements the table is scanned for.
        let mut other = db.prepare("SELECT id FROM docs").unwrap();
        let mut rows = other.query(()).unwrap();
        rows.next().unwrap();
        let sql = format!("INSERT INTO t SELECT key, embedding FROM {call}");
        assert_eq!((sent(&sql), world.requests()), (1000, 11), "{sql}");
    }
}
