//! The disk cache: an SQLite database of its own, opened by the SQLite that runs us.
//!
//! Several processes may use it at once, and a kill at any moment leaves it whole (WAL). Its size is bounded by
//! `max_page_count`; when it is full, the oldest tenth goes.

use std::ffi::{CStr, CString, c_int};
use std::path::Path;
use std::time::Duration;

use super::ffi::{self, code, sqlite3, sqlite3_stmt};
use super::value::RawValue;
use super::{in_use, schema};
use crate::base::hash::Digest;
use crate::embed::cache::disk::{BOUND, Store};
use crate::embed::cache::private;
use crate::sql::value::Value;

const FILE: &str = "vectors-1.sqlite";
const PAGE: u64 = 8192;
/// How long to wait for another process that writes.
const BUSY_MS: c_int = 2000;

struct Database {
    db: *mut sqlite3,
    get: *mut sqlite3_stmt,
    put: *mut sqlite3_stmt,
}

// SAFETY: the connection is opened with SQLITE_OPEN_FULLMUTEX, and Disk lets one thread at a time use it.
unsafe impl Send for Database {}

/// Opens the store in `folder`.
///
/// # Errors
/// What SQLite says.
pub fn open(folder: &Path) -> Result<Option<Box<dyn Store>>, String> {
    let path = folder.join(FILE);
    let text = path.to_str().ok_or("REMBED_CACHE_DIR is not valid UTF-8")?;
    let name = CString::new(text).map_err(|_| "REMBED_CACHE_DIR holds a NUL")?;
    private::database(&path)?;
    let null = std::ptr::null_mut();
    let mut store = Database { db: null, get: std::ptr::null_mut(), put: std::ptr::null_mut() };
    // SAFETY: the names are C strings; the connection is closed by Drop, also when a step fails.
    unsafe {
        let flags = code::OPEN_READWRITE | code::OPEN_CREATE | code::OPEN_FULLMUTEX | code::OPEN_NOFOLLOW;
        let rc =
            in_use::opening_our_own(|| ffi::open_v2(name.as_ptr(), &mut store.db, flags, std::ptr::null()));
        store.check(rc, text)?;
        // Anybody may have written the file. A trigger in it that calls rembed() would wait for the store, and the store
        // for the trigger.
        schema::distrust(store.db);
        ffi::busy_timeout(store.db, BUSY_MS);
        let setup = format!(
            "PRAGMA page_size = {PAGE}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             PRAGMA mmap_size = 0; PRAGMA max_page_count = {};
             CREATE TABLE IF NOT EXISTS vectors(id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, vector BLOB NOT NULL);",
            BOUND / PAGE
        );
        if let Err((rc, why)) = store.patiently(&setup) {
            return if rc == code::BUSY { Ok(None) } else { Err(format!("{text}: {why}")) };
        }
        store.get = store.prepare(c"SELECT vector FROM vectors WHERE key = ?1")?;
        store.put = store.prepare(c"INSERT OR REPLACE INTO vectors(key, vector) VALUES (?1, ?2)")?;
    }
    Ok(Some(Box::new(store)))
}

impl Store for Database {
    fn get(&mut self, key: &Digest) -> Result<Option<Vec<u8>>, String> {
        // SAFETY: the statement is prepared; the key is bound until it is reset, and the value copied before.
        unsafe {
            ffi::bind_blob(self.get, 1, key.as_ptr().cast(), 32, None);
            let rc = ffi::step(self.get);
            let found = (rc == code::ROW).then(|| RawValue::of_column(self.get, 0));
            let found = found.and_then(|value| value.bytes().map(<[u8]>::to_vec));
            let error = if rc == code::ROW || rc == code::DONE { Ok(()) } else { Err(self.message()) };
            ffi::reset(self.get);
            error.map(|()| found)
        }
    }

    fn put(&mut self, entries: &[(Digest, Vec<u8>)]) -> Result<(), String> {
        match self.insert(entries) {
            Err((code::FULL, text)) if !self.is_at_bound() => Err(format!("no room on the disk ({text})")),
            Err((code::FULL, _)) => {
                self.exec(
                    "DELETE FROM vectors WHERE id <=
                     (SELECT min(id) + (max(id) - min(id)) / 10 FROM vectors)",
                )?;
                // Entries that do not fit even now are not kept: there are more of them than the file may hold.
                self.insert(entries).or_else(|(rc, text)| if rc == code::FULL { Ok(()) } else { Err(text) })
            }
            // Another process writes for longer than we wait: not a reason to give the store up.
            Err((code::BUSY, _)) => Ok(()),
            Err((_, text)) => Err(text),
            Ok(()) => Ok(()),
        }
    }

    fn clear(&mut self) -> Result<usize, String> {
        self.exec("DELETE FROM vectors")?;
        // SAFETY: the connection is open.
        Ok(usize::try_from(unsafe { ffi::changes(self.db) }).unwrap_or(0))
    }
}

impl Database {
    /// Inserts all of `entries` in one transaction.
    fn insert(&mut self, entries: &[(Digest, Vec<u8>)]) -> Result<(), (c_int, String)> {
        self.try_exec(c"BEGIN IMMEDIATE")?;
        for (key, bytes) in entries {
            // SAFETY: the statement is prepared; what is bound outlives the step.
            let rc = unsafe {
                ffi::bind_blob(self.put, 1, key.as_ptr().cast(), 32, None);
                let n = c_int::try_from(bytes.len()).unwrap_or(0);
                ffi::bind_blob(self.put, 2, bytes.as_ptr().cast(), n, None);
                let rc = ffi::step(self.put);
                ffi::reset(self.put);
                rc
            };
            if rc != code::DONE {
                let failed = (rc & 0xff, self.message());
                // SQLite may have rolled back by itself, and then this fails as it should.
                let _ = self.try_exec(c"ROLLBACK");
                return Err(failed);
            }
        }
        self.try_exec(c"COMMIT").inspect_err(|_| drop(self.try_exec(c"ROLLBACK")))
    }

    /// Runs `sql`, and tries again for a second while another process makes the file: the change to WAL does not wait for
    /// others by itself.
    fn patiently(&self, sql: &str) -> Result<(), (c_int, String)> {
        let sql = CString::new(sql).map_err(|e| (code::ERROR, e.to_string()))?;
        for _ in 0..100 {
            match self.try_exec(&sql) {
                Err((code::BUSY, _)) => std::thread::sleep(Duration::from_millis(10)),
                done => return done,
            }
        }
        self.try_exec(&sql)
    }

    /// Whether it is full because it has grown to its bound, and not because the disk is full.
    fn is_at_bound(&self) -> bool {
        let Ok(stmt) = (
            // SAFETY: the connection is open.
            unsafe { self.prepare(c"PRAGMA page_count") }
        ) else {
            return false;
        };
        // SAFETY: the statement is prepared, and finalized once.
        unsafe {
            let row = ffi::step(stmt) == code::ROW;
            let pages = if row { RawValue::of_column(stmt, 0).int() } else { 0 };
            ffi::finalize(stmt);
            // Nine tenths of the bound count: the transaction that did not fit is undone, and its pages are gone.
            u64::try_from(pages).unwrap_or(0) * 10 >= BOUND / PAGE * 9
        }
    }

    fn try_exec(&self, sql: &CStr) -> Result<(), (c_int, String)> {
        let null = std::ptr::null_mut();
        // SAFETY: the connection is open, the text a C string.
        match unsafe { ffi::exec(self.db, sql.as_ptr(), None, null, std::ptr::null_mut()) } {
            code::OK => Ok(()),
            rc => Err((rc & 0xff, self.message())),
        }
    }

    fn exec(&self, sql: &str) -> Result<(), String> {
        let sql = CString::new(sql).map_err(|e| e.to_string())?;
        self.try_exec(&sql).map_err(|(_, text)| text)
    }

    unsafe fn prepare(&self, sql: &CStr) -> Result<*mut sqlite3_stmt, String> {
        let mut stmt = std::ptr::null_mut();
        // SAFETY: the connection is open, the text a C string.
        let rc = unsafe { ffi::prepare_v2(self.db, sql.as_ptr(), -1, &mut stmt, std::ptr::null_mut()) };
        self.check(rc, FILE).map(|()| stmt)
    }

    fn check(&self, rc: c_int, what: &str) -> Result<(), String> {
        match rc {
            code::OK => Ok(()),
            _ => Err(format!("{what}: {}", self.message())),
        }
    }

    fn message(&self) -> String {
        if self.db.is_null() {
            return "out of memory".into();
        }
        // SAFETY: the connection is open (a failed open leaves one that can be asked), the message is copied.
        unsafe { CStr::from_ptr(ffi::errmsg(self.db)) }.to_string_lossy().into_owned()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: finalize and close take NULL, and each is called once.
        unsafe {
            ffi::finalize(self.get);
            ffi::finalize(self.put);
            ffi::close(self.db);
        }
    }
}
