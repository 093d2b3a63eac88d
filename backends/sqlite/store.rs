//! The disk cache: an SQLite database of its own, opened by the SQLite that runs us.
//!
//! Several processes may use it at once, and a kill at any moment leaves it whole (WAL). The number of a row is a part of
//! its key, which is a hash: rows lie in no order of time, a put writes as many pages however many rows there are, and
//! rows that follow each other are a random choice. When the file is full, such a choice goes, as much as is needed.

mod calls;

use std::ffi::{CStr, CString, c_int, c_void};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::ffi::{self, code, sqlite3, sqlite3_stmt};
use super::value::RawValue;
use super::{in_use, schema};
use crate::base::hash::Digest;
use crate::base::interrupt::may_wait;
use crate::embed::cache::disk::{Entry, PATIENCE, Store, Trouble};
use crate::embed::cache::private;
use crate::sql::value::Value as _;

const FILE: &str = "vectors-2.sqlite";
const PAGE: u64 = 8192;
/// How long to wait before a lock is tried again.
const TRY: Duration = Duration::from_millis(5);
/// The log takes at most this part of the bound, and no more bytes than this.
const LOG_PART: u64 = 4;
const LOG_MOST: u64 = 64 << 20;
/// So many rows are looked through in a step, when those of one client go.
const STEP: i64 = 500;

struct Database {
    db: *mut sqlite3,
    log: PathBuf,
    /// The most that the file and its log may take, in pages of the file.
    pages: Pages,
    statements: [*mut sqlite3_stmt; SQL.len()],
}

struct Pages {
    size: u64,
    file: u64,
    log: u64,
}

const GET: usize = 0;
const PUT: usize = 1;
const COUNT: usize = 2;
const FREE: usize = 3;
const EVICT: usize = 4;
const STEP_END: usize = 5;
const DROP: usize = 6;
const SQL: [&CStr; 7] = [
    c"SELECT vector FROM vectors WHERE id = ?1",
    c"INSERT OR REPLACE INTO vectors(id, client, vector) VALUES (?1, ?2, ?3)",
    c"PRAGMA page_count",
    c"PRAGMA freelist_count",
    c"DELETE FROM vectors WHERE id BETWEEN ?1 AND
      (SELECT max(id) FROM (SELECT id FROM vectors WHERE id >= ?1 ORDER BY id LIMIT ?2))",
    c"SELECT max(id) FROM (SELECT id FROM vectors WHERE id >= ?1 ORDER BY id LIMIT ?2)",
    c"DELETE FROM vectors WHERE id BETWEEN ?1 AND ?2 AND client = ?3",
];

/// The result code of a step that failed, and what SQLite says of it.
type Failure = (c_int, String);

// SAFETY: the connection is opened with SQLITE_OPEN_FULLMUTEX, and Disk lets one thread at a time use it.
unsafe impl Send for Database {}

/// Opens the store in `folder`, whose files may take `bound` bytes in all.
///
/// # Errors
/// A lock that others hold for too long; what SQLite says.
pub fn open(folder: &Path, bound: u64) -> Result<Box<dyn Store>, Trouble> {
    let failed = |why: &str| Trouble::Failed(why.into());
    let path = folder.join(FILE);
    let text = path.to_str().ok_or_else(|| failed("REMBED_CACHE_DIR is not valid UTF-8"))?;
    let name = CString::new(text).map_err(|_| failed("REMBED_CACHE_DIR holds a NUL"))?;
    private::database(&path).map_err(Trouble::Failed)?;
    let null = std::ptr::null_mut();
    let log = folder.join(FILE.to_owned() + "-wal");
    let pages = Pages { size: PAGE, file: 0, log: 0 };
    let mut store = Database { db: null, log, pages, statements: [std::ptr::null_mut(); SQL.len()] };
    store.set_up(&name, bound).map_err(|(rc, why)| trouble(rc, format!("{text}: {why}")))?;
    Ok(Box::new(store))
}

fn trouble(rc: c_int, why: String) -> Trouble {
    match rc {
        code::BUSY | code::LOCKED | code::PROTOCOL => Trouble::Busy,
        _ => Trouble::Failed(why),
    }
}

/// SQLite asks whether to try a lock again, for the time `tries`.
unsafe extern "C" fn wait(_: *mut c_void, tries: c_int) -> c_int {
    if TRY * tries.unsigned_abs() >= PATIENCE || may_wait().is_err() {
        return 0;
    }
    std::thread::sleep(TRY);
    1
}

impl Store for Database {
    fn get(&mut self, key: &Digest) -> Result<Option<Vec<u8>>, Trouble> {
        let get = self.statements[GET];
        // SAFETY: the statement is prepared; the value is copied before it is reset.
        unsafe {
            ffi::bind_int64(get, 1, id(key));
            let rc = ffi::step(get);
            let found = (rc == code::ROW).then(|| RawValue::of_column(get, 0));
            let found = found.and_then(|value| value.bytes().map(<[u8]>::to_vec));
            let outcome = match rc {
                code::ROW | code::DONE => Ok(found),
                rc => Err(trouble(rc & 0xff, self.message())),
            };
            ffi::reset(get);
            outcome
        }
    }

    fn put(&mut self, entries: &mut [Entry]) -> Result<usize, Trouble> {
        // Neighbours in the file are written one after the other.
        entries.sort_unstable_by_key(|entry| id(&entry.key));
        let mut kept = 0;
        while kept < entries.len() {
            let part = &entries[kept..kept + self.fit(&entries[kept..])];
            match self.insert(part) {
                Ok(()) => {}
                Err((code::FULL, text)) if !self.is_at_bound() => {
                    return Err(Trouble::Failed(format!("no room on the disk ({text})")));
                }
                // Entries that do not fit even now are not kept: the file may not hold so much.
                Err((code::FULL, _)) => {}
                Err((rc, text)) => match trouble(rc, text) {
                    Trouble::Busy => return Ok(kept),
                    failed => return Err(failed),
                },
            }
            kept += part.len();
        }
        Ok(kept)
    }

    fn clear(&mut self, client: Option<u64>) -> Result<usize, Trouble> {
        let cleared = match client {
            None => self.clear_all(),
            Some(client) => self.clear_client(client),
        };
        cleared.map_err(|(rc, why)| trouble(rc, why))
    }
}

/// The number of the row of `key`. What has the same by chance takes its place; the vector says whose it is.
fn id(key: &Digest) -> i64 {
    i64::from_le_bytes(std::array::from_fn(|i| key[i]))
}

impl Database {
    fn set_up(&mut self, name: &CStr, bound: u64) -> Result<(), Failure> {
        // SAFETY: the name is a C string; the connection is closed by Drop, also when a step fails.
        unsafe {
            let flags = code::OPEN_READWRITE | code::OPEN_CREATE | code::OPEN_FULLMUTEX | code::OPEN_NOFOLLOW;
            let open = || ffi::open_v2(name.as_ptr(), &mut self.db, flags, std::ptr::null());
            let rc = in_use::opening_our_own(open);
            self.check(rc)?;
            // Anybody may have written the file. A trigger in it that calls rembed() would wait for the store, and the
            // store for the trigger.
            schema::distrust(self.db);
            ffi::busy_handler(self.db, Some(wait), std::ptr::null_mut());
        }
        // Freed pages are given back when a smaller bound holds than before (auto_vacuum), and not written over. What SQLite
        // keeps in memory is the inner pages of a large file, beside what a transaction writes.
        self.patiently(&format!(
            "PRAGMA page_size = {PAGE}; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL; PRAGMA secure_delete = OFF; PRAGMA mmap_size = 0;
             PRAGMA cache_size = -8192;
             CREATE TABLE IF NOT EXISTS
             vectors(id INTEGER PRIMARY KEY, client INTEGER NOT NULL, vector BLOB NOT NULL);"
        ))?;
        self.pages = Pages::of(bound, self.number(c"PRAGMA page_size")?);
        let (file, log) = (self.pages.file, self.pages.log);
        self.patiently(&format!(
            "PRAGMA max_page_count = {file}; PRAGMA wal_autocheckpoint = {}; PRAGMA journal_size_limit = {};",
            (log / 8).clamp(1, 1000),
            log / 2 * self.pages.size
        ))?;
        for (statement, sql) in self.statements.iter_mut().zip(SQL) {
            // SAFETY: the connection is open, the text a C string.
            let rc = unsafe { ffi::prepare_v2(self.db, sql.as_ptr(), -1, statement, std::ptr::null_mut()) };
            if rc != code::OK {
                return Err((rc & 0xff, self.message()));
            }
        }
        Ok(())
    }

    /// How many of `entries` go into one transaction: as much as the log takes easily.
    fn fit(&self, entries: &[Entry]) -> usize {
        let mut pages = 0;
        let fits = |entry: &&Entry| {
            pages += self.pages.of_entry(entry);
            pages <= self.pages.log / 8
        };
        entries.iter().take_while(fits).count().max(1)
    }

    /// Inserts all of `entries` in one transaction. What is there makes room for them.
    fn insert(&mut self, entries: &[Entry]) -> Result<(), Failure> {
        self.write(|store| {
            let needed: u64 = entries.iter().map(|entry| store.pages.of_entry(entry)).sum();
            store.make_room(needed, entries.len())?;
            let put = store.statements[PUT];
            for entry in entries {
                // SAFETY: the statement is prepared; what is bound outlives the step.
                let rc = unsafe {
                    ffi::bind_int64(put, 1, id(&entry.key));
                    ffi::bind_int64(put, 2, entry.client as i64);
                    let n = c_int::try_from(entry.bytes.len()).unwrap_or(0);
                    ffi::bind_blob(put, 3, entry.bytes.as_ptr().cast(), n, None);
                    let rc = ffi::step(put);
                    ffi::reset(put);
                    rc
                };
                if rc != code::DONE {
                    return Err((rc & 0xff, store.message()));
                }
            }
            Ok(())
        })
    }

    /// Has rows go until so many pages are free: a few more than come, since they free no whole page each.
    fn make_room(&mut self, needed: u64, rows: usize) -> Result<(), Failure> {
        for _ in 0..64 {
            let (all, free) = (self.run(COUNT, &[])?, self.run(FREE, &[])?);
            let (all, free) = (all.unsigned_abs(), free.unsigned_abs());
            if all > self.pages.file && free > 0 {
                // A larger bound held before.
                let surplus = (all - self.pages.file).min(needed + 64).min(free);
                self.try_exec(&format!("PRAGMA incremental_vacuum({surplus})"))?;
            }
            if (all - free) + needed <= self.pages.file {
                return Ok(());
            }
            // From a random row on: which is needed next nobody knows, and the oldest first is the worst where rows are
            // read over and over in the same order.
            let count = i64::try_from(rows).unwrap_or(1) + 8;
            let start = fastrand::i64(..);
            if self.run(EVICT, &[start, count]).map(|_| self.changed())? == 0 {
                self.run(EVICT, &[i64::MIN, count])?;
                if self.changed() == 0 {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn clear_all(&mut self) -> Result<usize, Failure> {
        let n = self.write(|store| {
            // Emptied at once and not row by row: what goes is not written to the log.
            store.try_exec("DELETE FROM vectors")?;
            Ok(store.changed())
        })?;
        // The file shrinks when nobody reads it any more. If somebody does for long, a later checkpoint has it shrink.
        let shrunk = self.try_exec("PRAGMA incremental_vacuum").and_then(|()| self.empty_log());
        match shrunk.map_err(|(rc, why)| trouble(rc, why)) {
            Ok(()) | Err(Trouble::Busy | Trouble::Interrupted) => Ok(n),
            Err(Trouble::Failed(why)) => Err((code::ERROR, why)),
        }
    }

    /// Drops the rows of a client, some at a time, so that others get to write and the log stays within its bound.
    fn clear_client(&mut self, client: u64) -> Result<usize, Failure> {
        let client = client as i64; // as it was inserted
        let (mut start, mut dropped) = (i64::MIN, 0);
        loop {
            let (end, n) = self.write(|store| {
                let found = store.step(STEP_END, &[start, STEP], |row| {
                    row.filter(|end| !end.is_null()).map(|end| end.int())
                })?;
                let Some(end) = found else { return Ok((None, 0)) };
                store.run(DROP, &[start, end, client])?;
                Ok((Some(end), store.changed()))
            })?;
            dropped += n;
            match end.and_then(|end| end.checked_add(1)) {
                Some(next) => start = next,
                None => return Ok(dropped),
            }
            // An interrupt, above all.
            may_wait().map_err(|stop| (code::BUSY, stop.to_string()))?;
        }
    }

    /// Runs `work` in a transaction, for which the log has room.
    fn write<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        self.try_exec("BEGIN IMMEDIATE")?;
        if self.log_pages() > self.pages.log / 2 {
            // Whoever reads all the time keeps the log from being begun anew: only one who waits for them can do it.
            self.try_exec("ROLLBACK")?;
            let emptied = self.empty_log();
            self.try_exec("BEGIN IMMEDIATE")?;
            // Others may have written meanwhile. There must be room for one transaction more.
            if self.log_pages() > self.pages.log / 4 * 3 {
                let _ = self.try_exec("ROLLBACK");
                return Err(emptied.err().unwrap_or((code::BUSY, "the log is full".into())));
            }
        }
        let done = work(self).and_then(|done| self.try_exec("COMMIT").map(|()| done));
        if done.is_err() {
            // SQLite may have rolled back by itself, and then this fails as it should.
            let _ = self.try_exec("ROLLBACK");
        }
        done
    }

    /// How many pages the log's file has room for.
    fn log_pages(&self) -> u64 {
        std::fs::metadata(&self.log).map_or(0, |log| log.len()) / self.pages.size
    }

    /// Moves the log into the file, and waits for those who still read it.
    fn empty_log(&self) -> Result<(), Failure> {
        let start = Instant::now();
        // SQLite waits for readers, and not for another checkpoint.
        while self.number(c"PRAGMA wal_checkpoint(TRUNCATE)")? != 0 {
            if start.elapsed() >= PATIENCE || may_wait().is_err() {
                return Err((code::BUSY, "others read the log".into()));
            }
            std::thread::sleep(TRY);
        }
        Ok(())
    }

    /// Runs `sql`, and tries again while another process makes the file: the change to WAL does not wait for others by
    /// itself.
    fn patiently(&self, sql: &str) -> Result<(), Failure> {
        loop {
            match self.try_exec(sql) {
                Err((code::BUSY, _)) if may_wait().is_ok() => std::thread::sleep(TRY),
                done => return done,
            }
        }
    }

    /// Whether it is full because it has grown to its bound, and not because the disk is full.
    fn is_at_bound(&self) -> bool {
        // A transaction that did not fit may have needed some pages more.
        self.number(c"PRAGMA page_count").is_ok_and(|pages| pages.unsigned_abs() * 10 >= self.pages.file * 9)
    }
}

impl Pages {
    /// What a bound of so many bytes is, in pages of this size, which is the file's own.
    fn of(bound: u64, size: i64) -> Pages {
        let size = size.unsigned_abs().clamp(512, 1 << 16);
        let log = (bound / LOG_PART).min(LOG_MOST);
        // Of the log there is an index, in memory that the processes share, which is a file too.
        let index = log / 256 + (64 << 10);
        Pages { size, file: (bound - log - index) / size, log: log / size }
    }

    /// The pages that writing an entry may take: its own, and one that is split for it.
    fn of_entry(&self, entry: &Entry) -> u64 {
        (entry.bytes.len() as u64).div_ceil(self.size) + 1
    }
}
