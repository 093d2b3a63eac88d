//! The functions, beyond what the conformance suite asks of every engine.

use std::time::{Duration, Instant};

use serde_json::json;
use turso_core::Value;
use turso_host::{Way, error, in_memory, plain, rigged_library, run, text, world};

#[test]
fn a_constant_call_runs_once_a_statement() {
    for way in Way::all() {
        let world = world(json!({"width": 4}));
        let db = way.open_with_client(&world);
        run(
            &db,
            "SELECT rembed_register('off', 'format', 'openai', 'url', '{}', 'cache', 'off')"
                .replace("{}", &world.url())
                .as_str(),
        );
        run(&db, "CREATE TABLE t(n)");
        run(&db, "INSERT INTO t VALUES (1), (2), (3)");
        assert_eq!(run(&db, "SELECT rembed('off', 'constant') FROM t").len(), 3);
        assert_eq!(world.requests(), 1);
        // What differs from row to row is no constant, whatever names it.
        run(&db, "SELECT a FROM (SELECT 'text ' || n AS a FROM t) WHERE length(rembed('off', a)) = 16");
        assert_eq!(world.requests(), 4);
        // A constant that no row needs is sent once all the same.
        run(&db, "SELECT rembed('off', 'constant') FROM t WHERE n > 9");
        assert_eq!(world.requests(), 5);
        run(&db, "SELECT CASE WHEN n > 9 THEN rembed('off', 'constant') END FROM t");
        assert_eq!(world.requests(), 5);
    }
}

#[test]
fn a_statement_is_evaluated_anew_each_time_it_runs() {
    for way in Way::all() {
        let db = way.open_with_client(&world(json!({"width": 4})));
        let mut statement = db.prepare("SELECT rembed('c', ?)").unwrap();
        let mut vectors = Vec::new();
        for input in ["a", "b", "a"] {
            statement.bind_at(1.try_into().unwrap(), Value::build_text(input)).unwrap();
            vectors.push(statement.run_collect_rows().unwrap());
            statement.reset().unwrap();
        }
        assert!(vectors[0] == vectors[2] && vectors[0] != vectors[1]);
    }
}

#[test]
fn every_kind_of_statement_embeds_its_own_rows() {
    for way in Way::all() {
        let db = way.open_with_client(&world(json!({"width": 4})));
        run(&db, "CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT, v BLOB)");
        run(&db, "INSERT INTO t(body, v) SELECT value, rembed('c', value) FROM json_each('[\"a\",\"b\"]')");
        let embeds = "UPDATE t SET v = rembed('c', NEW.body) WHERE id = NEW.id";
        run(&db, &format!("CREATE TRIGGER embeds AFTER INSERT ON t BEGIN {embeds}; END"));
        run(&db, "INSERT INTO t(body) VALUES ('c'), ('d')");
        let upsert = "DO UPDATE SET body = excluded.body, v = rembed('c', excluded.body)";
        run(&db, &format!("INSERT INTO t(id, body) VALUES (1, 'e') ON CONFLICT(id) {upsert}"));
        let count = |sql: &str| text(&db, &format!("SELECT count({sql}) FROM t WHERE v = rembed('c', body)"));
        assert_eq!((count("*"), count("DISTINCT v")), ("4".into(), "4".into()));
        run(&db, "UPDATE t SET body = body || '!', v = rembed('c', body || '!')");
        assert_eq!((count("*"), count("DISTINCT v")), ("4".into(), "4".into()));
        let nearest = "SELECT body FROM t ORDER BY vector_distance_cos(v, rembed('c', 'd!')) LIMIT 1";
        assert_eq!(text(&db, nearest), "d!");
        let returned = run(&db, "UPDATE t SET body = 'x' || id RETURNING rembed('c', body)");
        assert!(returned.len() == 4 && returned[0] != returned[1]);
    }
}

#[test]
fn numbers_are_embedded_as_the_engine_writes_them() {
    for way in Way::all() {
        let db = way.open_with_client(&world(json!({"width": 4})));
        for number in [
            "1",
            "-7",
            "1.0",
            "-0.0",
            "0.1 + 0.2",
            "1e14",
            "1e15",
            "1e-5",
            "12345678.9",
            "1e300 * 1e300",
            "2.5e-300",
        ] {
            let same = format!("SELECT rembed('c', {number}) = rembed('c', CAST({number} AS TEXT))");
            assert_eq!(text(&db, &same), "1", "{number}");
        }
        // From a generator of the simplest kind. (Of very large numbers, the engine's fifteenth digit may be off.)
        let mut bits = 1_u64;
        for _ in 0..300 {
            bits = bits.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let number = (bits >> 20) as f64 / 1e7;
            let same = format!("SELECT rembed('c', {number:?}) = rembed('c', CAST({number:?} AS TEXT))");
            assert_eq!(text(&db, &same), "1", "{number:?}");
        }
    }
}

#[test]
fn a_wrong_number_of_arguments_is_an_error() {
    for way in Way::all() {
        let db = way.open();
        for call in ["rembed('c')", "rembed('c', 'a', 'query', 1)", "rembed_version(1)", "rembed_prefetch()"]
        {
            let message = error(&db, &format!("SELECT {call}"));
            assert!(message.contains("wrong number of arguments"), "{call}: {message}");
        }
    }
}

#[test]
fn prefetch_does_the_job_of_the_table_function() {
    for way in Way::all() {
        let world = world(json!({"width": 4}));
        let db = way.open_with_client(&world);
        run(&db, "CREATE TABLE t(body)");
        run(&db, "INSERT INTO t VALUES ('a'), ('b'), ('c')");
        assert_eq!(text(&db, "SELECT rembed_prefetch('c', json_group_array(body)) FROM t"), "3");
        assert_eq!(text(&db, "SELECT count(DISTINCT rembed('c', body)) FROM t"), "3");
        assert_eq!(world.requests(), 1);
        assert_eq!(text(&db, "SELECT rembed_cache_clear() > 0"), "1");
    }
}

#[test]
fn an_error_is_whole_and_kept() {
    for way in Way::all() {
        let db = way.open_with_client(&world(json!({"width": 4, "key": "secret"})));
        let message = error(&db, "SELECT rembed('c', 'a')");
        assert!(message.contains("client 'c' (openai): HTTP 401: "), "{message}");
        let last = text(&db, "SELECT rembed_last_error()");
        assert!(message.ends_with(&last) && !last.is_empty(), "{last}");
        assert!(error(&db, "SELECT rembed('c', x'00')").contains("is a BLOB"));
        assert_eq!(run(&db, "SELECT rembed('c', NULL)"), [[Value::Null]]);
    }
}

#[test]
fn a_panic_is_an_sql_error() {
    let db = Way::Loaded(rigged_library()).open();
    run(&db, "SELECT rembed_register('p', 'format', 'panic', 'model', 'm')");
    assert!(error(&db, "SELECT rembed('p', 'x')").contains("internal error"));
    assert!(
        error(&db, "SELECT rembed_register('q', 'format', 'panic', 'model', 'now')")
            .contains("internal error")
    );
    let insert = "INSERT INTO temp.rembed_clients(name, format, model) VALUES ('r', 'panic', ";
    run(&db, &format!("{insert} 'm')"));
    assert!(
        error(&db, "UPDATE temp.rembed_clients SET model = 'now' WHERE name = 'r'")
            .contains("internal error")
    );
    run(&db, "DELETE FROM temp.rembed_clients");
    assert!(error(&db, &format!("{insert} 'now')")).contains("internal error"));
    assert!(error(&db, &format!("{insert} 'm'), ('s', 'panic', 'now')")).contains("internal error"));
    assert!(error(&db, "SELECT rembed('r', 'x')").contains("was not registered"));
    assert_eq!(text(&db, "SELECT count(*) FROM temp.rembed_clients"), "0");
    assert!(text(&db, "SELECT rembed_version()").starts_with('v'));
}

#[test]
fn debug_says_what_makes_the_table() {
    for way in Way::all() {
        let debug = text(&way.open(), "SELECT rembed_debug()");
        assert!(debug.contains("Engine: Turso 0."), "{debug}");
        assert_eq!(
            debug.contains("backends/turso/rembed_clients.sql"),
            matches!(way, Way::Loaded(_)),
            "{debug}"
        );
    }
}

/// An app that has the connection has the interrupt, a loaded library has neither.
#[cfg(feature = "static")]
#[test]
fn an_interrupt_ends_the_wait() {
    let world = world(json!({"width": 4, "faults": [{"hang": true}]}));
    let db = Way::Linked.open_with_client(&world);
    let other = db.clone();
    let started = Instant::now();
    let interrupter = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        other.interrupt();
    });
    let message = error(&db, "SELECT rembed('c', 'a')");
    assert!(message.contains("interrupt"), "{message}");
    let waited = started.elapsed() - Duration::from_millis(300);
    assert!(waited < Duration::from_millis(200), "{waited:?}");
    interrupter.join().unwrap();
    // The next statement is not.
    assert_eq!(text(&db, "SELECT 1"), "1");
    println!("interrupted after {waited:?}");
}

#[test]
fn a_loaded_library_waits_no_longer_than_its_timeout() {
    let world = world(json!({"width": 4, "faults": [{"hang": true}]}));
    let db = plain(&in_memory()).unwrap();
    Way::all()[0].set_up(&db).unwrap();
    run(
        &db,
        &format!("SELECT rembed_register('c', 'format', 'openai', 'url', '{}', 'timeout', 0.5)", world.url()),
    );
    let started = Instant::now();
    assert!(error(&db, "SELECT rembed('c', 'a')").contains("c"));
    assert!(started.elapsed() < Duration::from_secs(2));
}
