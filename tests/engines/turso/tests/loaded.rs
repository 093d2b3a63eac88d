//! The heap of a host that loads the library. Both use malloc, which is asked what is in use.

use serde_json::json;
use turso_host::{Way, error, library, run, text, world};

/// <https://man7.org/linux/man-pages/man3/mallinfo.3.html>
#[repr(C)]
struct Mallinfo2 {
    arena: usize,
    ordblks: usize,
    smblks: usize,
    hblks: usize,
    hblkhd: usize,
    usmblks: usize,
    fsmblks: usize,
    uordblks: usize,
    fordblks: usize,
    keepcost: usize,
}

unsafe extern "C" {
    fn mallinfo2() -> Mallinfo2;
    fn malloc_trim(pad: usize) -> i32;
}

fn in_use() -> isize {
    // SAFETY: functions of glibc without conditions.
    let info = unsafe {
        malloc_trim(0);
        mallinfo2()
    };
    (info.uordblks + info.hblkhd) as isize
}

fn growth(rounds: usize, mut work: impl FnMut(usize)) -> isize {
    (0..2000.min(rounds)).for_each(&mut work);
    let before = in_use();
    (0..rounds).for_each(&mut work);
    in_use() - before
}

#[test]
fn nothing_stays() {
    // It counts: memory of a megabyte shows.
    let before = in_use();
    let block = std::hint::black_box(vec![1_u8; 1 << 20]);
    assert!(in_use() - before >= 1 << 20);
    drop(block);

    let world = world(json!({"width": 768, "log": false}));
    let way = Way::Loaded(library());
    let db = way.open_with_client(&world);
    run(&db, "SELECT rembed_prefetch('c', json_array('t0', 't1', 't2'))");
    let calls = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
                 SELECT sum(length(rembed('c', 't' || (i % 3)))) FROM n";
    let hits = growth(1, |_| assert_eq!(text(&db, calls), (100_000 * 3072).to_string()));
    let errors = growth(20_000, |n| {
        assert!(error(&db, &format!("SELECT rembed('nobody {n}', 'x')")).contains("was not registered"));
    });
    drop(db);
    // The engine keeps a table of routines and an entry of a list for each load, and never unloads.
    let connections = growth(200, |_| {
        let db = way.open_with_client(&world);
        let insert =
            "INSERT INTO temp.rembed_clients(name, format, model, key) VALUES ('k', 'openai', 'm', 'KEY')";
        run(&db, &insert.replace("KEY", &"k".repeat(20_000)));
        run(&db, "SELECT rembed('c', 't0')");
    });
    println!("bytes in use more, after 100,000 calls: {hits}; 20,000 errors: {errors}");
    println!("200 connections: {connections}");
    assert!(hits.abs() < 100_000 && errors.abs() < 100_000, "{hits} {errors}");
    // A session that stayed would keep its key of 20,000 bytes.
    assert!(connections.abs() < 200 * 2_000, "{connections}");
}
