//! SQLite without memory: of what runs, every allocation fails once, alone and with all that follow it. The statement says so or
//! has the right answer, and with memory again the connection works as if nothing had been.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use rusqlite::{Connection, ErrorCode, ffi};
use serde_json::json;
use sqlite_host::*;

type Malloc = unsafe extern "C" fn(c_int) -> *mut c_void;
type Realloc = unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void;

/// SQLite's own.
static MEMORY: OnceLock<(Malloc, Realloc)> = OnceLock::new();
/// How many allocations succeed before one fails; negative where none does any more.
static LEFT: AtomicI64 = AtomicI64::new(i64::MAX);
static FOR_GOOD: AtomicBool = AtomicBool::new(false);

fn fails() -> bool {
    let left = LEFT.fetch_sub(1, Ordering::Relaxed);
    left == 0 || left < 0 && FOR_GOOD.load(Ordering::Relaxed)
}

unsafe extern "C" fn malloc(bytes: c_int) -> *mut c_void {
    if fails() {
        return std::ptr::null_mut();
    }
    // SAFETY: SQLite's own allocator, asked as SQLite asks it.
    unsafe { (MEMORY.get().unwrap().0)(bytes) }
}

unsafe extern "C" fn realloc(memory: *mut c_void, bytes: c_int) -> *mut c_void {
    if fails() {
        return std::ptr::null_mut();
    }
    // SAFETY: as above.
    unsafe { (MEMORY.get().unwrap().1)(memory, bytes) }
}

/// Puts the faults between SQLite and its allocator. To be called before SQLite is used, hence in a process of its own.
fn prepare() {
    // SAFETY: SQLite is not in use yet, and copies the methods.
    unsafe {
        let mut methods = std::mem::zeroed::<ffi::sqlite3_mem_methods>();
        assert_eq!(ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETMALLOC, &mut methods), ffi::SQLITE_OK);
        let ours = ffi::sqlite3_mem_methods { xMalloc: Some(malloc), xRealloc: Some(realloc), ..methods };
        assert!(MEMORY.set((methods.xMalloc.unwrap(), methods.xRealloc.unwrap())).is_ok());
        assert_eq!(ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &ours), ffi::SQLITE_OK);
        // Small allocations come from a pool of the connection otherwise, and could not fail.
        assert_eq!(ffi::sqlite3_config(ffi::SQLITE_CONFIG_LOOKASIDE, 0, 0), ffi::SQLITE_OK);
    }
}

/// Runs `work` with all the memory it wants.
fn whole<T>(work: impl FnOnce() -> T) -> T {
    let left = LEFT.swap(i64::MAX, Ordering::Relaxed);
    let done = work();
    LEFT.store(left, Ordering::Relaxed);
    done
}

/// Calls `round` until it allocates less than fails: with its first allocation failing, its second, and so on. It has
/// its faults between the two calls of what it is passed.
fn every_fault(round: impl Fn(&dyn Fn(&mut dyn FnMut()))) {
    for for_good in [false, true] {
        let mut n = 0;
        loop {
            let reached = AtomicBool::new(false);
            round(&|work| {
                FOR_GOOD.store(for_good, Ordering::Relaxed);
                LEFT.store(n, Ordering::Relaxed);
                work();
                reached.store(LEFT.swap(i64::MAX, Ordering::Relaxed) < 0, Ordering::Relaxed);
            });
            if !reached.into_inner() {
                break;
            }
            n += 1;
        }
        println!("{n} faults, each {}", if for_good { "for good" } else { "once" });
        assert!(n > 0, "nothing was allocated: the faults are not where they should be");
    }
}

/// Everything there is, once.
fn works(db: &Connection, world: &World) {
    register(db, "c", world, "{}");
    assert_eq!(db.embed("a").len(), 4);
    assert_eq!(db.get::<i64>("SELECT count(embedding) FROM rembed_batch('c', '[\"a\",\"b\"]')", ()), 2);
    assert_eq!(db.get::<i64>("SELECT count(embedding) FROM rembed_rows('c', 'SELECT 1, 2')", ()), 1);
    assert_eq!(db.get::<String>("SELECT name FROM temp.rembed_clients", ()), "c");
}

fn library_c() -> CString {
    CString::new(library().to_str().unwrap()).unwrap()
}

#[test]
fn loading_by_the_c_api() {
    let world = world(json!({"width": 4}));
    child().run_in(&world, |world| {
        prepare();
        let path = library_c();
        every_fault(|faults| {
            let db = Connection::open_in_memory().unwrap();
            // SAFETY: the connection is open, the path a C string; loading is on for this call alone.
            faults(&mut || unsafe {
                let mut text = std::ptr::null_mut();
                ffi::sqlite3_enable_load_extension(db.handle(), 1);
                ffi::sqlite3_load_extension(db.handle(), path.as_ptr(), std::ptr::null(), &mut text);
                ffi::sqlite3_free(text.cast());
                ffi::sqlite3_enable_load_extension(db.handle(), 0);
            });
            load(&db, &library(), None).unwrap();
            works(&db, world);
        });
    });
}

/// What runs already keeps SQLite out of memory until it ends: every call after the first failure fails as well.
#[test]
fn loading_by_sql() {
    let world = world(json!({"width": 4}));
    child().run_in(&world, |world| {
        prepare();
        let path = library();
        every_fault(|faults| {
            let db = Connection::open_in_memory().unwrap();
            // SAFETY: the only SQL that runs is ours.
            unsafe { db.load_extension_enable().unwrap() };
            faults(&mut || {
                let _ = db.try_run("SELECT load_extension(?)", [path.to_str().unwrap()]);
            });
            load(&db, &path, None).unwrap();
            works(&db, world);
        });
    });
}

#[test]
fn loading_when_a_connection_is_opened() {
    unsafe extern "C" {
        fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
        fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    let world = world(json!({"width": 4}));
    child().run_in(&world, |world| {
        prepare();
        // SAFETY: the symbol is the extension's entry point, which SQLite casts back.
        unsafe {
            let init = dlsym(dlopen(library_c().as_ptr(), 2), CStr::as_ptr(c"sqlite3_rembed_init"));
            assert!(!init.is_null());
            let init = std::mem::transmute::<*mut c_void, rusqlite::auto_extension::RawAutoExtension>(init);
            assert_eq!(ffi::sqlite3_auto_extension(Some(init)), ffi::SQLITE_OK);
        }
        every_fault(|faults| {
            let mut opened = None;
            faults(&mut || opened = Connection::open_in_memory().ok());
            if let Some(db) = opened {
                works(&db, world);
            }
        });
    });
}

type Answer = Vec<Vec<rusqlite::types::Value>>;

/// The rows of `sql`, or `None` without memory; any other error fails the test. Reading a row is the host's own affair: rusqlite
/// panics where a text cannot be converted.
fn ask(db: &Connection, sql: &str) -> Option<Answer> {
    let rows = || {
        let mut statement = db.prepare(sql)?;
        let width = statement.column_count();
        statement.query_map((), |row| whole(|| (0..width).map(|i| row.get(i)).collect()))?.collect()
    };
    match rows() {
        Ok(rows) => Some(rows),
        Err(e) if e.sqlite_error_code() == Some(ErrorCode::OutOfMemory) => None,
        Err(e) => panic!("{sql}: not out of memory, but {e:?}"),
    }
}

/// In a database of UTF-16 every text is converted, for which there may be no memory.
#[test]
fn each_function_and_table() {
    let world = world(json!({"width": 4}));
    child().run_in(&world, |world| {
        prepare();
        for encoding in ["UTF-8", "UTF-16"] {
            let db = open();
            db.run(&format!("PRAGMA encoding = '{encoding}'"), ());
            db.run("CREATE TABLE docs(id, body)", ());
            db.run("INSERT INTO docs VALUES (x'00ff', 'a'), ('kéy', 'b'), (3, NULL)", ());
            register(&db, "c", world, "{\"cache\":\"memory\"}");
            for sql in [
                "SELECT rembed('c', 'a')",
                "SELECT rembed_prefetch('c', '[\"a\",\"b\"]')",
                "SELECT rembed_register('d', 'format', 'openai', 'model', 'm', 'key', 'sk-1')",
                "SELECT rembed_client_options('format', 'openai', 'model', 'm', 'timeout', 5)",
                "SELECT rembed_debug(), rembed_version(), length(rembed_stats()) > 0",
                "SELECT * FROM temp.rembed_clients WHERE name = 'c'",
                "INSERT OR REPLACE INTO temp.rembed_clients(name, options)
                 VALUES ('e', rembed_client_options('format', 'openai', 'key', 'sk-2'))",
                "UPDATE temp.rembed_clients SET model = 'other' WHERE name = 'd'",
                "DELETE FROM temp.rembed_clients WHERE name = 'nobody'",
                "SELECT key, text, embedding, error FROM rembed_batch('c', '{\"kéy\":\"a\",\"l\":null}')",
                "SELECT key, text, embedding FROM rembed_rows('c', 'SELECT id, body FROM docs')",
            ] {
                let expected = ask(&db, sql);
                assert!(expected.is_some());
                every_fault(|faults| {
                    let mut answer = None;
                    faults(&mut || answer = ask(&db, sql));
                    assert!(answer.is_none() || answer == expected, "{sql}: {answer:?}, not {expected:?}");
                });
                assert_eq!(ask(&db, sql), expected);
            }
            works(&db, world);
        }
    });
}

/// A database in WAL mode, as closing it is work: the log goes into the file.
#[test]
fn closing() {
    let world = world(json!({"width": 4}));
    child().run_in(&world, |world| {
        prepare();
        let directory = Directory::new("nomem-close");
        every_fault(|faults| {
            let db = Connection::open(directory.path("a.db")).unwrap();
            load(&db, &library(), None).unwrap();
            db.run("PRAGMA journal_mode = WAL", ());
            db.run("CREATE TABLE IF NOT EXISTS docs(body)", ());
            db.run("INSERT INTO docs VALUES ('a')", ());
            works(&db, world);
            let mut db = Some(db);
            faults(&mut || drop(db.take()));
        });
        works(&open(), world);
    });
}

/// The disk cache is SQLite too. A process gives it up at the first error, so that each fault has a process of its own.
#[test]
fn the_disk_cache() {
    let world = world(json!({"width": 4}));
    let directory = Directory::new("nomem-disk");
    std::fs::create_dir_all(directory.path("cache")).unwrap();
    let test = child().env("REMBED_CACHE_DIR", directory.path("cache")).env("REMBED_CACHE_BYTES", "0");
    test.run_in(&world, |world| {
        prepare();
        let folder = PathBuf::from(std::env::var_os("REMBED_CACHE_DIR").unwrap());
        let (file, said) = (folder.join("vectors-2.sqlite"), folder.join("said"));
        // Nothing is asked before the fork, so that each process has connections of its own.
        let db = open();
        register(&db, "c", world, "{\"cache\":\"disk\"}");
        let sql = "SELECT group_concat(hex(embedding)) || hex(rembed('c', 'a')) FROM rembed_batch('c', '[\"a\",\"b\"]')";
        // Whether the fault was reached, and what came.
        let run = |n: i64| {
            let reached = forked(|| {
                LEFT.store(n, Ordering::Relaxed);
                let answer = ask(&db, sql);
                let reached = LEFT.swap(i64::MAX, Ordering::Relaxed) < 0;
                std::fs::write(&said, format!("{answer:?}")).unwrap();
                reached
            });
            (reached, std::fs::read_to_string(&said).unwrap())
        };
        let (_, right) = run(i64::MAX);
        assert!(right.starts_with("Some") && file.exists());
        assert_eq!(run(i64::MAX).1, right);
        for for_good in [false, true] {
            FOR_GOOD.store(for_good, Ordering::Relaxed);
            // Hundreds, each with a process and a request: not every one in every run, and over time all.
            for n in (i64::from(std::process::id() % STRIDE)..).step_by(STRIDE as usize) {
                for old in std::fs::read_dir(&folder).unwrap() {
                    std::fs::remove_file(old.unwrap().path()).unwrap();
                }
                let (reached, answer) = run(n);
                assert!(answer == "None" || answer == right, "fault {n}: {answer}, not {right}");
                let kept = Connection::open(&file).unwrap();
                assert_eq!(kept.get::<String>("PRAGMA integrity_check", ()), "ok", "fault {n}");
                drop(kept);
                if n % 5 == 0 {
                    assert_eq!(run(i64::MAX).1, right, "after fault {n}");
                }
                if !reached {
                    assert!(n > 100, "{n} allocations: the faults are not where they should be");
                    break;
                }
            }
        }
    });
}

/// What of the faults of the disk cache one run has.
const STRIDE: u32 = 11;

/// Runs `work` in a copy of this process, and gives its answer.
fn forked(work: impl FnOnce() -> bool) -> bool {
    unsafe extern "C" {
        fn fork() -> c_int;
        fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
        fn _exit(status: c_int) -> !;
    }
    let mut status = -1;
    // SAFETY: the only other thread of this process waits for this one; the copy ends without touching what is the parent's.
    unsafe {
        let process = fork();
        if process == 0 {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            _exit(done.map_or(3, c_int::from));
        }
        assert_eq!(waitpid(process, &mut status, 0), process);
    }
    // Of one that was killed by a signal, the lower bits are not 0.
    assert!(status == 0 || status == 0x100, "the copy of this process ended with {status:#x}");
    status == 0x100
}
