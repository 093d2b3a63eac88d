//! Many calls, many threads, many connections.

use std::sync::Barrier;

use rusqlite::Connection;
use serde_json::json;
use sqlite_host::*;

const THREADS: u64 = 16;

#[test]
fn a_thousand_calls_use_one_connection_to_the_server() {
    // The pool is that of the process and its connections are those to one address: hence a fake of its own.
    let fake = Fake::start();
    let world = fake.world(json!({"width": 4}));
    let db = open_with_client(&world);
    let rows = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
                SELECT rembed('c', 'text ' || i) FROM n";
    assert_eq!(db.all::<Vec<u8>>(rows, ()).len(), 1000);
    let report = world.report();
    assert_eq!((&report["requests"], &report["connections"]), (&json!(1000), &json!(1)));
}

#[test]
fn connections_of_a_process_share_the_connection_to_the_server() {
    let fake = Fake::start();
    let world = fake.world(json!({"width": 4}));
    for _ in 0..20 {
        open_with_client(&world).embed("a");
    }
    assert_eq!((world.requests(), world.count("connections")), (20, 1));
}

#[test]
fn threads_with_connections_of_their_own_embed_at_once() {
    let fake = Fake::start();
    let world = fake.world(json!({"width": 4, "latency_ms": 100}));
    let start = Barrier::new(THREADS as usize);
    let vectors: Vec<_> = std::thread::scope(|scope| {
        let embed = |thread: u64| {
            let db = open_with_client(&world);
            start.wait();
            (0..5).map(|i| db.embed(&format!("text {} {i}", thread % 2))).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || embed(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let expected = [0, 1].map(|n| {
        let db = open_with_client(&world);
        (0..5).map(|i| db.embed(&format!("text {n} {i}"))).collect::<Vec<_>>()
    });
    for (thread, got) in vectors.iter().enumerate() {
        assert_eq!(*got, expected[thread % 2], "thread {thread}");
    }
    assert!(world.count("peak") >= THREADS / 2, "{} requests at once", world.count("peak"));
    assert!(world.count("connections") <= THREADS, "{} connections", world.count("connections"));
}

#[test]
fn threads_register_load_and_embed_in_any_order() {
    let world = world(json!({"width": 4}));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let world = &world;
            scope.spawn(move || {
                for round in 0..20 {
                    let db = open();
                    let name = format!("{thread}-{round}");
                    register(&db, &name, world, "{}");
                    db.run("UPDATE temp.rembed_clients SET model = name", ());
                    assert_eq!(db.vector("SELECT rembed(?1, ?1)", [&name]).len(), 4);
                    assert_eq!(db.all::<String>("SELECT model FROM temp.rembed_clients", ()), [name]);
                }
            });
        }
    });
    assert_eq!(world.requests(), THREADS * 20);
}

#[test]
fn threads_share_and_take_away_clients_of_the_process() {
    child().run(|| {
        let world = world(json!({"width": 4}));
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let world = &world;
                scope.spawn(move || {
                    let db = open();
                    for _ in 0..1000 {
                        register(&db, &format!("shared-{}", thread % 2), world, "{\"scope\":\"process\"}");
                        let rows = db.get::<i64>("SELECT count(*) FROM temp.rembed_clients", ());
                        assert!(rows <= 2, "{rows} clients");
                        db.run("SELECT rembed_unregister(?)", [format!("shared-{}", (thread + 1) % 2)]);
                    }
                });
            }
        });
        assert!(open().get::<i64>("SELECT count(*) FROM temp.rembed_clients", ()) <= 2);
    });
}

/// SQLite's default lets threads take turns on one connection.
#[test]
fn a_connection_may_move_between_threads() {
    let world = world(json!({"width": 4}));
    let mut db: Connection = open_with_client(&world);
    for i in 0..8 {
        db = std::thread::spawn(move || {
            assert_eq!(db.embed(&format!("text {i}")).len(), 4);
            db
        })
        .join()
        .unwrap();
    }
    assert_eq!(world.requests(), 8);
}

#[test]
fn a_prepared_statement_serves_many_texts() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    let mut statement = db.prepare("SELECT rembed('c', ?)").unwrap();
    for i in 0..50 {
        let vector: Vec<u8> = statement.query_row([format!("text {i}")], |row| row.get(0)).unwrap();
        assert_eq!(vector.len(), 16);
    }
    register(&db, "c", &world, "{\"dimensions\":8}");
    let vector: Vec<u8> = statement.query_row(["after"], |row| row.get(0)).unwrap();
    assert_eq!(vector.len(), 32, "the statement sees the client of the moment");
    db.run("SELECT rembed_unregister('c')", ());
    assert!(statement.query_row(["gone"], |row| row.get::<_, Vec<u8>>(0)).is_err());
}
