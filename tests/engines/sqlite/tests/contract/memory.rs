//! What stays in the memory of a process after its connections are closed: nothing.

use rusqlite::{Connection, ffi};
use serde_json::json;
use sqlite_host::*;

const WARM_UP: usize = 2_000;
const ROUNDS: usize = 10_000;
/// Allocators keep a page here and there; a leak of one client a round would be many megabytes.
const NOISE: u64 = 1 << 20;

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Asserts that `round` leaves nothing behind, however often it runs.
fn stays_flat(warm_up: usize, rounds: usize, round: impl Fn(usize)) {
    (0..warm_up).for_each(&round);
    let before = resident();
    (0..rounds).for_each(&round);
    let grown = resident().saturating_sub(before);
    assert!(grown <= NOISE, "{rounds} rounds left {grown} bytes behind");
}

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    child().run(|| {
        stays_flat(WARM_UP, ROUNDS, |i| {
            let db = open();
            let json =
                json!({"format": "openai", "key": "sk-1", "headers": {"x-a": "b"}, "body": {"user": i}});
            db.run("SELECT rembed_register('a', ?)", [json.to_string()]);
            db.run("INSERT INTO temp.rembed_clients(name, format, key) VALUES ('b', 'cohere', 'sk-2')", ());
            db.run("UPDATE temp.rembed_clients SET model = 'm'", ());
            db.run("SELECT * FROM temp.rembed_clients", ());
        });
    });
}

#[test]
fn errors_leave_nothing_behind() {
    child().run(|| {
        let db = open();
        db.run("SELECT rembed_register('c', 'openai')", ());
        stays_flat(WARM_UP, ROUNDS, |_| {
            db.fails("SELECT rembed('nobody', 'a')", ());
            db.fails("SELECT rembed('c', x'00')", ());
            db.fails("SELECT rembed_register('c', 'format', 'nope')", ());
            db.fails("INSERT INTO temp.rembed_clients(name, format) VALUES ('c', 'openai')", ());
        });
    });
}

#[test]
fn embeddings_leave_nothing_behind() {
    let world = world(json!({"log": false}));
    child().run_in(&world, |world| {
        stays_flat(500, 3_000, |i| {
            let db = open_with(world, "{\"key\":\"sk-1\"}");
            assert_eq!(db.embed(&format!("text {i}")).len(), 768);
        });
    });
}

#[test]
fn replaced_clients_leave_nothing_behind() {
    child().run(|| {
        let db = open();
        stays_flat(WARM_UP, ROUNDS, |i| {
            let headers = json!({"x-a": "b".repeat(i % 100)}).to_string();
            db.run(
                "SELECT rembed_register('c', 'format', 'openai', 'scope', 'process', 'headers', ?)",
                [&headers],
            );
            db.run("SELECT rembed_register('d', 'format', 'openai', 'headers', ?)", [&headers]);
            db.run("SELECT rembed_unregister('d')", ());
        });
    });
}

/// The most memory the process has had since it was last asked.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Bodies of 32 MiB, 30 kB on the wire.
#[test]
fn a_reply_takes_twice_its_size_at_most() {
    const SIZE: usize = 32 << 20;
    let world = world(json!({"log": false}));
    child().run_in(&world, |world| {
        for (before, unit, after) in [
            (r#"{"data":[[1]],"usage":["#, "[0],", "0]}"),
            (r#"{"data":[{"embedding":[1],"index":["#, "[0],", "0]}]}"),
            (r#"{"data":["#, "[1],", "[1]]}"),
            ("[[", "1.5,", "1]]"),
            ("[[", "1,", "1]]"),
            ("[\"", "AAAA", "\"]"),
            (r#"{"data":[[1]],""#, "\\n", r#"":0}"#),
            (r#"{"data":""#, "x", r#""}"#),
        ] {
            let times = SIZE / unit.len();
            let fault = json!({"repeat": {"before": before, "unit": unit, "times": times, "after": after}});
            world.reset(json!({"gzip": true, "log": false, "faults": [fault]}));
            let db = open_with(world, r#"{"retries": 0, "timeout": 300}"#);
            peak();
            let before_it = resident();
            let _ = db.try_run("SELECT rembed('c', 'a')", ());
            let taken = peak().saturating_sub(before_it);
            assert!(taken < 2 * SIZE as u64 + (4 << 20), "{before}{unit}…: {} MiB", taken >> 20);
        }
    });
}

/// One copy is SQLite's own, of what is bound, and one is ours; and what is read ahead, which is more where threads are late.
#[test]
fn a_list_of_texts_takes_twice_its_size_at_most() {
    let world = world(json!({"log": false, "width": 4}));
    child().run_in(&world, |world| {
        let db = open_with(world, r#"{"cache": "off"}"#);
        let list =
            |n| json!((0..n).map(|i| format!("{i} {}", "word ".repeat(40))).collect::<Vec<_>>()).to_string();
        let sql = "SELECT count(embedding) FROM rembed_batch('c', ?)";
        // The buffers of requests in flight have their size then.
        assert_eq!(db.get::<i64>(sql, [list(20_000)]), 20_000);
        let list = list(200_000);
        peak();
        let before = resident();
        assert_eq!(db.get::<i64>(sql, [&list]), 200_000);
        let taken = peak().saturating_sub(before);
        assert!(
            taken < 2 * list.len() as u64 + (16 << 20),
            "{} MiB for {} of JSON",
            taken >> 20,
            list.len() >> 20
        );
    });
}

/// A host may close a connection by `sqlite3_close_v2` while statements are alive: they are its last users.
#[test]
fn a_statement_may_outlive_its_connection() {
    unsafe extern "C" {
        fn sqlite3_close_v2(db: *mut ffi::sqlite3) -> std::ffi::c_int;
    }
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    let mut statement = std::ptr::null_mut();
    // SAFETY: a connection that is closed with a statement alive becomes a zombie, which the last finalize ends.
    unsafe {
        let sql = c"SELECT rembed('c', 'a')";
        let rc = ffi::sqlite3_prepare_v2(db.handle(), sql.as_ptr(), -1, &mut statement, std::ptr::null_mut());
        assert_eq!(rc, ffi::SQLITE_OK);
        let handle = db.handle();
        std::mem::forget::<Connection>(db);
        assert_eq!(sqlite3_close_v2(handle), ffi::SQLITE_OK);
        assert_eq!(ffi::sqlite3_step(statement), ffi::SQLITE_ROW);
        assert_eq!(ffi::sqlite3_column_bytes(statement, 0), 16);
        assert_eq!(ffi::sqlite3_finalize(statement), ffi::SQLITE_OK);
    }
}
