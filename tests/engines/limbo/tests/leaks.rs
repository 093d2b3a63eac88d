//! Nothing is left of a call: what is alive in the heap is counted before and after 100,000 of them.

use std::ffi::c_void;
use std::sync::Arc;

use driver::fake::Fake;
use libmimalloc_sys::{mi_collect, mi_heap_area_t, mi_heap_get_default, mi_heap_t, mi_heap_visit_blocks};
use limbo_core::{Connection, Database, MemoryIO, StepResult};

const CALLS: usize = 100_000;

/// The blocks of this thread that are alive.
fn live() -> usize {
    unsafe extern "C" fn add(
        _: *const mi_heap_t,
        area: *const mi_heap_area_t,
        _: *mut c_void,
        _: usize,
        count: *mut c_void,
    ) -> bool {
        // SAFETY: the area that is visited, and the count below.
        unsafe { *count.cast::<usize>() += (*area).used };
        true
    }
    let mut count = 0usize;
    // SAFETY: visits the areas of the calling thread's heap, which has no visitor but this.
    unsafe {
        mi_collect(true);
        mi_heap_visit_blocks(mi_heap_get_default(), false, Some(add), (&raw mut count).cast());
    }
    count
}

fn run(connection: &Arc<Connection>, sql: &str) -> Result<(), limbo_core::LimboError> {
    let mut statement = connection.prepare(sql)?;
    loop {
        match statement.step()? {
            StepResult::Done => return Ok(()),
            StepResult::Row => {}
            _ => statement.run_once()?,
        }
    }
}

/// How many more blocks are alive after the second time, when what is made once is there.
fn left(mut work: impl FnMut()) -> isize {
    work();
    let before = live();
    work();
    live() as isize - before as isize
}

#[test]
fn a_hundred_thousand_calls_leave_nothing() {
    let fake = Fake::start();
    let database = Database::open_file(Arc::new(MemoryIO::new()), ":memory:", false).unwrap();
    let connection = database.connect().unwrap();
    sqlite_rembed::limbo::register(&connection).unwrap();
    run(&connection, &fake.register()).unwrap();
    run(&connection, "CREATE TABLE n(i)").unwrap();
    for i in 0..100 {
        run(&connection, &format!("INSERT INTO n VALUES ({i})")).unwrap();
    }

    // What the engine itself leaves of a statement is no matter of how many rows it has.
    for call in [
        "rembed('c', 'text ' || a.i)",
        "rembed('c', 'text ' || a.i, 'document')",
        "rembed('c', NULL)",
        "rembed_register('other', 'format', 'openai', 'model', 'm' || a.i)",
        "rembed_client_options('format', 'openai', 'timeout', 1.5, 'key', '')",
        "rembed_prefetch('c', '[\"text 1\", \"text 2\"]')",
        "rembed_version()",
    ] {
        let sql = format!("SELECT {call} FROM n a, n b, n c WHERE c.i < {}", CALLS / 10_000);
        let blocks = left(|| run(&connection, &sql).unwrap());
        println!("{CALLS} × {call}: {blocks} blocks left");
        assert!(blocks.abs() < 50, "{call}: {blocks}");
    }

    // An error ends its statement. What the engine leaves of that is known from an error of its own.
    let errors = |sql: &str| {
        left(|| {
            for _ in 0..CALLS {
                run(&connection, sql).unwrap_err();
            }
        })
    };
    let engine = errors("SELECT json('not')");
    let ours = errors("SELECT rembed('nobody', 'x')");
    println!("{CALLS} × an error: {ours} blocks left, of the engine's own {engine}");
    assert!((ours - engine).abs() < 50, "{ours}, {engine}");

    let rows = |sql: &str| left(|| (0..CALLS / 10).for_each(|_| run(&connection, sql).unwrap()));
    let engine = rows("SELECT * FROM pragma_table_info('n')");
    let ours = rows("SELECT * FROM rembed_batch('c', '[\"text 1\", \"text 2\"]')");
    println!("{} × rembed_batch of 2 rows: {ours} blocks left, of a pragma {engine}", CALLS / 10);
    let clients = rows("SELECT * FROM rembed_clients");
    println!("{} × rembed_clients: {clients} blocks left", CALLS / 10);
}
