//! Nothing is left of a call, of an error, of a connection: allocations are counted over 100,000 calls.

use driver::counting::{Counting, live};
use driver::fake::Fake;
use rusqlite::Connection;

#[global_allocator]
static COUNTING: Counting = Counting;

const CALLS: u32 = 100_000;

fn open(fake: &Fake) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    sqlite_rembed::rusqlite::register(&connection).unwrap();
    sqlite_rembed::rusqlite::register(&connection).unwrap();
    connection.query_row(&fake.register(), [], |_| Ok(())).unwrap();
    connection
}

#[test]
fn a_hundred_thousand_calls_leave_nothing() {
    let fake = Fake::start();
    let connection = open(&fake);
    let numbers =
        format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {CALLS})");
    for calls in [
        "sum(length(rembed('c', 'text ' || (i % 10))))",
        "sum(length(rembed_register('other', 'format', 'openai', 'model', 'm' || (i % 10))))",
        "sum(length(rembed_client_options('format', 'openai', 'model', 'm' || i)))",
        "sum((SELECT count(embedding) FROM rembed_batch('c', json_array('text ' || (i % 10)))))",
    ] {
        let sql = format!("{numbers} SELECT {calls} FROM n");
        let run = || connection.query_row(&sql, [], |_| Ok(())).unwrap();
        run();
        let before = live();
        run();
        println!("{CALLS} × {calls}: {} allocations left", live() - before);
        assert!((live() - before).abs() < 50, "{calls}: {} allocations", live() - before);
    }
    let mut errors = connection.prepare("SELECT rembed('nobody', ?1)").unwrap();
    let mut error = |i| errors.query_row([i], |_| Ok(())).unwrap_err().to_string();
    assert!(error(0).contains("was not registered"));
    let before = live();
    (0..CALLS).for_each(|i| drop(error(i)));
    assert!((live() - before).abs() < 50, "errors: {} allocations", live() - before);

    let before = live();
    for _ in 0..1000 {
        drop(open(&fake));
    }
    assert!((live() - before).abs() < 50, "connections: {} allocations", live() - before);
}
