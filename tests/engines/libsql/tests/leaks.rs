//! Nothing is left of a call: allocations are counted over 100,000 of them.

use driver::counting::{Counting, live};
use driver::fake::Fake;
use libsql::{Builder, Connection, ffi};

#[global_allocator]
static COUNTING: Counting = Counting;

const CALLS: u32 = 100_000;

async fn run(connection: &Connection, sql: &str) {
    let mut rows = connection.query(sql, ()).await.unwrap();
    while rows.next().await.unwrap().is_some() {}
}

/// What `sql` leaves behind: Rust's allocations, and SQLite's bytes.
async fn left(connection: &Connection, sql: &str) -> (isize, i64) {
    run(connection, sql).await;
    // SAFETY: asks a counter.
    let before = (live(), unsafe { ffi::sqlite3_memory_used() });
    run(connection, sql).await;
    // SAFETY: as above.
    (live() - before.0, unsafe { ffi::sqlite3_memory_used() } - before.1)
}

#[tokio::test]
async fn a_hundred_thousand_calls_leave_nothing() {
    let fake = Fake::start();
    let db = Builder::new_local(":memory:").build().await.unwrap();
    sqlite_rembed::libsql::register(&db).unwrap();
    let connection = db.connect().unwrap();
    run(&connection, &fake.register()).await;
    let numbers =
        format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {CALLS})");
    for calls in [
        "sum(length(rembed('c', 'text ' || (i % 10))))",
        "sum(length(rembed_register('other', 'format', 'openai', 'model', 'm' || (i % 10))))",
        "sum(length(rembed_client_options('format', 'openai', 'model', 'm' || i)))",
        "sum(length(rembed_version() || (i % 10)))",
    ] {
        let (allocations, bytes) = left(&connection, &format!("{numbers} SELECT {calls} FROM n")).await;
        assert!(
            allocations.abs() < 50 && bytes.abs() < 10_000,
            "{calls}: {allocations} allocations, {bytes} bytes"
        );
        println!("{CALLS} × {calls}: {allocations} allocations, {bytes} bytes of SQLite left");
    }
    let before = live();
    for i in 0..CALLS / 10 {
        let e = connection.query("SELECT rembed('nobody', 'x' || ?)", [i]).await;
        let e = match e {
            Ok(mut rows) => rows.next().await.map(drop),
            Err(e) => Err(e),
        };
        assert!(e.unwrap_err().to_string().contains("was not registered"));
    }
    assert!((live() - before).abs() < 50, "errors: {} allocations", live() - before);

    let before = live();
    for _ in 0..1000 {
        run(&db.connect().unwrap(), &fake.register()).await;
    }
    assert!((live() - before).abs() < 50, "connections: {} allocations", live() - before);
}
