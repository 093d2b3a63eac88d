//! Counts what lives on the heap, with the extension linked in: nothing of a call may stay.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

use serde_json::json;
use turso_host::{Way, error, run, text, world};

static BLOCKS: AtomicIsize = AtomicIsize::new(0);
static BYTES: AtomicIsize = AtomicIsize::new(0);

struct Counting;

// SAFETY: System does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BLOCKS.fetch_add(1, Relaxed);
        BYTES.fetch_add(layout.size() as isize, Relaxed);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BLOCKS.fetch_sub(1, Relaxed);
        // A size that is not that of the allocation would show here.
        BYTES.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Blocks and bytes that live after `work` and did not before. What is made once is made by a first round.
fn growth(rounds: usize, mut work: impl FnMut(usize)) -> (isize, isize) {
    (0..2000.min(rounds)).for_each(&mut work);
    let before = (BLOCKS.load(Relaxed), BYTES.load(Relaxed));
    (0..rounds).for_each(&mut work);
    (BLOCKS.load(Relaxed) - before.0, BYTES.load(Relaxed) - before.1)
}

// One test: they would count each other's.
#[test]
fn nothing_stays() {
    let world = world(json!({"width": 768, "log": false}));
    let db = Way::Linked.open_with_client(&world);
    run(&db, "SELECT rembed_prefetch('c', json_array('t0', 't1', 't2'))");

    let calls = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
                 SELECT sum(length(rembed('c', 't' || (i % 3)))) FROM n";
    let hits = growth(1, |_| assert_eq!(text(&db, calls), (100_000 * 3072).to_string()));
    let texts = growth(1, |_| {
        let calls = calls.replace("rembed('c', 't' || (i % 3))", "rembed_register('c' || (i % 3), 'openai')");
        assert_eq!(text(&db, &calls), "200000");
    });
    let errors = growth(20_000, |n| {
        assert!(error(&db, &format!("SELECT rembed('nobody {n}', 'x')")).contains("was not registered"));
    });
    // The engine (0.8.3) keeps 5 blocks of each UPDATE of a table with an UPDATE trigger until the connection
    // closes, so a table with one that does nothing is measured too.
    run(&db, "CREATE TEMP TABLE plain(name TEXT NOT NULL PRIMARY KEY, format, model, url, key, options)");
    run(&db, "CREATE TEMP TRIGGER idle BEFORE UPDATE ON plain BEGIN SELECT 1; END");
    let written = |table: &str| {
        growth(2_000, |_| {
            let row = "('k', 'openai', 'https://api.openai.com/v1/embeddings', '{}')";
            run(&db, &format!("INSERT INTO temp.{table}(name, format, url, options) VALUES {row}"));
            run(&db, &format!("UPDATE temp.{table} SET model = 'm' WHERE name = 'k'"));
            run(&db, &format!("DELETE FROM temp.{table} WHERE name = 'k'"));
        })
    };
    let (plain, table) = (written("plain"), written("rembed_clients"));
    let rows = (table.0 - plain.0, table.1 - plain.1);
    drop(db);
    let connections = growth(200, |_| {
        let db = Way::Linked.open_with_client(&world);
        run(&db, "INSERT INTO temp.rembed_clients(name, format, key) VALUES ('k', 'openai', 'sk-x')");
        run(&db, "SELECT rembed('c', 't0')");
    });
    println!("live blocks and bytes more, after 100,000 calls: {hits:?}; 100,000 texts: {texts:?}");
    println!("20,000 errors: {errors:?}; 200 connections: {connections:?}");
    println!("2,000 rows inserted, updated, deleted: {table:?}; where the trigger does nothing: {plain:?}");
    for (what, grown) in
        [("calls", hits), ("texts", texts), ("errors", errors), ("rows", rows), ("connections", connections)]
    {
        assert!(grown.0.abs() < 50 && grown.1.abs() < 250_000, "{what}: {grown:?}");
    }
}
