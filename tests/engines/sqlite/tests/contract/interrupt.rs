//! `sqlite3_interrupt` ends a statement, whatever it waits for, within 200 ms.

use std::cell::Cell;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};
use sqlite_host::*;

/// What the contract promises.
const PROMISED: Duration = Duration::from_millis(200);
/// A busy machine may break the promise once, but not every time.
const ATTEMPTS: usize = 3;

/// Runs `sql` and interrupts it when `waiting` returns. Gives the connection back.
fn interrupt(mut db: Connection, waiting: impl Fn(), sql: &'static str) -> Connection {
    let mut took = Vec::new();
    for _ in 0..ATTEMPTS {
        let handle = db.get_interrupt_handle();
        let statement = std::thread::spawn(move || {
            let failure = db.fails(sql, ());
            (db, failure, Instant::now())
        });
        waiting();
        let start = Instant::now();
        handle.interrupt();
        let (connection, failure, end) = statement.join().unwrap();
        db = connection;
        assert!(interrupted(&failure), "{failure:?}");
        let late = end.saturating_duration_since(start);
        if late <= PROMISED {
            return db;
        }
        took.push(late);
    }
    panic!("interrupted after {took:?}");
}

/// Interrupts `sql` in a world with this fault, once a request has come.
fn interrupt_request(fault: Value, sql: &'static str) {
    let world = faulty(fault);
    let db = open_with_client(&world);
    db.run("CREATE TABLE t(x)", ());
    db.run("INSERT INTO t VALUES ('a'), ('b'), ('c')", ());
    let seen = Cell::new(0);
    let waiting = || {
        world.wait_for(seen.get() + 1);
        seen.set(world.requests());
    };
    let db = interrupt(db, waiting, sql);
    world.reset(json!({"width": 4}));
    assert_eq!(db.embed("next").len(), 4, "the next statement is not interrupted");
}

#[test]
fn while_others_hold_the_disk_cache() {
    let directory = Directory::new("held-cache");
    std::fs::create_dir_all(directory.path("cache")).unwrap();
    let test = child().env("REMBED_CACHE_DIR", directory.path("cache")).env("REMBED_CACHE_BYTES", "0");
    test.run_in(&world(json!({"width": 4})), |world| {
        let folder = std::path::PathBuf::from(std::env::var_os("REMBED_CACHE_DIR").unwrap());
        let other = Connection::open(folder.join("vectors-2.sqlite")).unwrap();
        other
            .execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; CREATE TABLE held(x)")
            .unwrap();
        let mut db = open_with(world, r#"{"cache": "disk"}"#);
        let waiting = || std::thread::sleep(Duration::from_millis(300));
        for sql in ["SELECT rembed('c', 'a')", "SELECT rembed_cache_clear('disk')"] {
            db = interrupt(db, waiting, sql);
        }
        let start = Instant::now();
        assert_eq!(db.embed("next").len(), 4);
        assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    });
}

#[test]
fn while_the_server_does_not_answer() {
    interrupt_request(json!({"hang": true}), "SELECT rembed('c', 'a')");
}

#[test]
fn while_the_reply_trickles_in() {
    interrupt_request(json!({"drip_ms": 500}), "SELECT rembed('c', 'a')");
}

#[test]
fn while_the_next_attempt_is_awaited() {
    let asked_to_wait = json!({"status": 429, "headers": {"retry-after": 2}});
    interrupt_request(asked_to_wait, "SELECT rembed('c', 'a')");
}

#[test]
fn in_the_middle_of_many_rows() {
    interrupt_request(json!({"text": "b", "hang": true}), "SELECT rembed('c', x) FROM t");
}

#[test]
fn while_rows_are_written() {
    interrupt_request(json!({"hang": true}), "UPDATE t SET x = rembed('c', x)");
}

#[test]
fn while_a_connection_is_opened() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts: once the queue is full, the kernel leaves new connections waiting.
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queue.push(stream);
    }
    let db = open();
    let options = json!({"format": "openai", "url": format!("http://{address}")}).to_string();
    db.run("SELECT rembed_register('c', ?)", [options]);
    let syn_sent = format!(":{:04X} 02 ", address.port());
    // The attempt before this one may still be there: it is left behind, to end by its own timeout.
    let seen = Cell::new(0);
    let waiting = || {
        let start = Instant::now();
        let count = || std::fs::read_to_string("/proc/net/tcp").unwrap().matches(&syn_sent).count();
        while count() <= seen.get() {
            assert!(start.elapsed() < Duration::from_secs(10), "no connection is being opened");
            std::thread::sleep(Duration::from_millis(2));
        }
        seen.set(count());
    };
    interrupt(db, waiting, "SELECT rembed('c', 'a')");
}

/// A reply of 200 kB that unpacks to 128 MiB of what nobody needs.
fn bomb() -> Value {
    let unit = "[0],".repeat(1 << 10);
    let fault = json!({"repeat": {
        "before": r#"{"data":[{"embedding":[1],"index":0}],"usage":["#, "unit": unit, "times": 32 << 10, "after": "0]}"
    }});
    json!({"gzip": true, "faults": [fault]})
}

/// How long it takes to read [`bomb`].
fn time_of_bomb(world: &World) -> Duration {
    let db = open_with(world, r#"{"timeout": 300}"#);
    // The server makes the body for the first request.
    assert_eq!(db.embed("a").len(), 1);
    let start = Instant::now();
    assert_eq!(db.embed("a").len(), 1);
    start.elapsed()
}

/// Parts of the time of [`bomb`] at which a reply is being unpacked or read. A machine that is less busy than it was may
/// be done before one of them: that attempt tells nothing.
const PARTS: [f64; 8] = [0.6, 0.3, 0.6, 0.3, 0.15, 0.1, 0.05, 0.03];

#[test]
fn while_a_reply_is_unpacked_and_read() {
    let world = world(bomb());
    let whole = time_of_bomb(&world);
    let mut late = Vec::new();
    for part in PARTS {
        let seen = world.requests();
        let db = open_with_client(&world);
        let handle = db.get_interrupt_handle();
        let statement = std::thread::spawn(move || {
            let outcome = db.try_run("SELECT rembed('c', 'a')", ());
            (outcome, Instant::now())
        });
        world.wait_for(seen + 1);
        std::thread::sleep(whole.mul_f64(part));
        let start = Instant::now();
        handle.interrupt();
        if let (Err(failure), end) = statement.join().unwrap() {
            assert!(interrupted(&failure), "{failure:?}");
            late.push(end.saturating_duration_since(start));
        }
    }
    assert!(late.iter().any(|late| *late <= PROMISED), "of {whole:?}, late by {late:?}");
}

#[test]
fn the_timeout_holds_while_a_reply_is_unpacked_and_read() {
    let world = world(bomb());
    let whole = time_of_bomb(&world);
    let db = open();
    let mut late = Vec::new();
    for part in PARTS {
        let timeout = whole.mul_f64(part);
        register(&db, "c", &world, &json!({"timeout": timeout.as_secs_f64()}).to_string());
        let start = Instant::now();
        if let Err(failure) = db.try_run("SELECT rembed('c', 'a')", ()) {
            late.push(start.elapsed().saturating_sub(timeout));
            let text = format!("{failure:?}");
            assert!(text.contains("no complete reply") && text.contains("timeout"), "{text}");
        }
    }
    assert!(late.iter().any(|late| *late <= PROMISED), "of {whole:?}, late by {late:?}");
}

#[test]
fn an_interrupt_leaves_other_connections_alone() {
    let world = faulty(json!({"text": "slow", "delay_ms": 400}));
    let other = open_with_client(&world);
    let other = std::thread::spawn(move || other.embed("slow").len());
    world.wait_for(1);
    let db = open_with_client(&world);
    db.get_interrupt_handle().interrupt();
    assert_eq!(db.embed("quick").len(), 4, "nothing ran that could be interrupted");
    assert_eq!(other.join().unwrap(), 4);
}
