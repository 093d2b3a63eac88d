//! Statements on the connection that calls us.

mod scratch;
pub mod tokenizer;

use std::cell::Cell;
use std::ffi::{CStr, CString, c_int};
use std::time::{Duration, Instant};

use super::connection::Db;
use super::ffi::{self, code, sqlite3_stmt};
use super::value::RawValue;
use crate::base::error::{Error, Result};
use crate::index::pace::backoff;
use crate::sql::value::{Kind, Output, Value};
pub use scratch::Scratch;

/// The result code of a call that failed, and what SQLite says of it. The code is not passed on: some hosts repeat a
/// statement for ever when it is SQLITE_BUSY, and its requests with it.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its first byte, as in <https://www.sqlite.org/rescode.html>.
    pub code: c_int,
    /// SQLite's words.
    pub text: String,
}

impl Failure {
    fn of(db: Db, rc: c_int) -> Failure {
        // SAFETY: the connection is open, and the message is copied before it changes.
        let text = unsafe { CStr::from_ptr(ffi::errmsg(db.as_ptr())) }.to_string_lossy().into_owned();
        Failure { code: rc & 0xff, text }
    }

    fn of_text(text: &str) -> Failure {
        Failure { code: code::ERROR, text: text.to_owned() }
    }

    /// Whether another connection has the lock that it takes.
    pub fn is_busy(&self) -> bool {
        matches!(self.code, code::BUSY | code::LOCKED | code::PROTOCOL)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure.code {
            code::INTERRUPT => Error::Interrupted,
            _ => Error::invalid(failure.text),
        }
    }
}

/// A value that is bound.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)] // each is the datatype of its name
pub enum Arg<'a> {
    Null,
    Int(i64),
    Real(f64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl From<i64> for Arg<'_> {
    fn from(value: i64) -> Self {
        Arg::Int(value)
    }
}

impl From<f64> for Arg<'_> {
    fn from(value: f64) -> Self {
        Arg::Real(value)
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(value: &'a str) -> Self {
        Arg::Text(value)
    }
}

impl<'a> From<&'a String> for Arg<'a> {
    fn from(value: &'a String) -> Self {
        Arg::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Arg<'a> {
    fn from(value: &'a [u8]) -> Self {
        Arg::Blob(value)
    }
}

impl<'a> From<&'a Vec<u8>> for Arg<'a> {
    fn from(value: &'a Vec<u8>) -> Self {
        Arg::Blob(value)
    }
}

impl<'a, T: Into<Arg<'a>>> From<Option<T>> for Arg<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Arg::Null, Into::into)
    }
}

thread_local! {
    /// How long statements of this thread ask for a lock, where they do so by themselves.
    static PATIENCE: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// While the guard lives, a statement of this thread that finds a database locked, and is in no transaction, asks again
/// for so long, unless its connection is interrupted. The connection's own busy handler is left alone.
pub fn patiently(patience: Duration) -> impl Drop {
    struct Restore(Option<Duration>);
    impl Drop for Restore {
        fn drop(&mut self) {
            PATIENCE.set(self.0);
        }
    }
    Restore(PATIENCE.replace(Some(patience)))
}

fn retried<T>(db: Db, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    let (start, mut tries) = (Instant::now(), 0);
    loop {
        match (attempt(), PATIENCE.get()) {
            (Err(failure), Some(patience))
                if failure.is_busy()
                    && is_autocommit(db)
                    && start.elapsed() < patience
                    && !is_interrupted(db) =>
            {
                std::thread::sleep(backoff(tries));
                tries += 1;
            }
            (done, _) => return done,
        }
    }
}

fn is_interrupted(db: Db) -> bool {
    // SAFETY: the connection is open.
    unsafe { ffi::is_interrupted(db.as_ptr()) }
}

/// A prepared statement. It ends before its connection does: whoever keeps one is of that connection.
#[derive(Debug)]
pub struct Statement {
    db: Db,
    stmt: *mut sqlite3_stmt,
    /// Whether a step has been made since it was at its start.
    is_under_way: bool,
}

impl Statement {
    /// Prepares the one statement that `sql` is.
    ///
    /// # Errors
    /// What SQLite says of it.
    pub fn prepare(db: Db, sql: &str) -> Result<Statement, Failure> {
        let n = c_int::try_from(sql.len()).map_err(|_| Failure::of_text("the statement is too long"))?;
        retried(db, || {
            let mut stmt = std::ptr::null_mut();
            // SAFETY: the connection is open; the text is valid for its length.
            let rc = unsafe {
                ffi::prepare_v2(db.as_ptr(), sql.as_ptr().cast(), n, &mut stmt, std::ptr::null_mut())
            };
            match rc {
                code::OK => Ok(Statement { db, stmt, is_under_way: false }),
                rc => Err(Failure::of(db, rc)),
            }
        })
    }

    /// Begins it with these values of its parameters; [`Statement::step`] is then at the first row.
    ///
    /// # Errors
    /// A value that is too large, no memory.
    pub fn start(&mut self, args: &[Arg<'_>]) -> Result<(), Failure> {
        self.reset();
        for (place, arg) in (1..).zip(args) {
            let utf8 = code::UTF8 as u8;
            // SAFETY: the statement is prepared, what is bound is copied.
            let rc = unsafe {
                match *arg {
                    Arg::Null => ffi::bind_null(self.stmt, place),
                    Arg::Int(value) => ffi::bind_int64(self.stmt, place, value),
                    Arg::Real(value) => ffi::bind_double(self.stmt, place, value),
                    Arg::Text(text) => {
                        let n = text.len() as u64;
                        ffi::bind_text64(self.stmt, place, text.as_ptr().cast(), n, ffi::transient(), utf8)
                    }
                    Arg::Blob(bytes) => {
                        let n = bytes.len() as u64;
                        ffi::bind_blob64(self.stmt, place, bytes.as_ptr().cast(), n, ffi::transient())
                    }
                }
            };
            if rc != code::OK {
                return Err(Failure::of(self.db, rc));
            }
        }
        Ok(())
    }

    /// Goes to the next row; false after the last one.
    ///
    /// # Errors
    /// What SQLite says. The statement is at its start then.
    pub fn step(&mut self) -> Result<bool, Failure> {
        let db = self.db;
        match self.is_under_way {
            true => self.step_once(),
            false => retried(db, || self.step_once()),
        }
    }

    fn step_once(&mut self) -> Result<bool, Failure> {
        // SAFETY: the statement is prepared. Nothing unwinds out of C.
        match unsafe { ffi::step(self.stmt) } {
            code::ROW => {
                self.is_under_way = true;
                Ok(true)
            }
            code::DONE => {
                self.reset();
                Ok(false)
            }
            rc => {
                let failure = Failure::of(self.db, rc);
                self.reset();
                Err(failure)
            }
        }
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn run(&mut self, args: &[Arg<'_>]) -> Result<(), Failure> {
        self.start(args)?;
        while self.step()? {}
        Ok(())
    }

    /// What `read` makes of its first row, if there is one.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn first<T>(
        &mut self,
        args: &[Arg<'_>],
        read: impl FnOnce(&Statement) -> T,
    ) -> Result<Option<T>, Failure> {
        self.start(args)?;
        let row = self.step()?.then(|| read(self));
        self.reset();
        Ok(row)
    }

    /// What `read` makes of each row.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn all<T>(
        &mut self,
        args: &[Arg<'_>],
        mut read: impl FnMut(&Statement) -> T,
    ) -> Result<Vec<T>, Failure> {
        self.start(args)?;
        let mut rows = Vec::new();
        while self.step()? {
            rows.push(read(self));
        }
        Ok(rows)
    }

    /// Goes back to the start: it holds no lock then.
    pub fn reset(&mut self) {
        self.is_under_way = false;
        // SAFETY: the statement is prepared. The result repeats the error of the last step.
        unsafe { ffi::reset(self.stmt) };
    }

    /// A column of the row.
    pub fn value(&self, column: c_int) -> RawValue<'_> {
        // SAFETY: the statement cannot move on while the value borrows from it. Where it is at no row, or has no such
        // column, SQLite gives NULL.
        unsafe { RawValue::of_column(self.stmt, column) }
    }

    /// A column as an integer, as SQLite converts it.
    pub fn int(&self, column: c_int) -> i64 {
        self.value(column).int()
    }

    /// A column as text; what is not UTF-8 in it is replaced, and NULL is empty.
    pub fn text(&self, column: c_int) -> String {
        let value = self.value(column);
        value.text_bytes().map_or_else(String::new, |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A column's BLOB; empty where it is none.
    pub fn bytes(&self, column: c_int) -> Vec<u8> {
        let value = self.value(column);
        if value.kind() == Kind::Blob { value.bytes().unwrap_or_default().to_vec() } else { Vec::new() }
    }

    /// A column's BLOB without a copy of it; empty where it is none.
    pub fn blob(&mut self, column: c_int) -> &[u8] {
        let value = self.value(column);
        if value.kind() != Kind::Blob {
            return &[];
        }
        let bytes = value.bytes().unwrap_or_default();
        // SAFETY: the bytes stay where they are until the statement moves on or the column is read in another way, and
        // neither happens while they borrow the statement alone.
        unsafe { std::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) }
    }

    /// A column with its type.
    ///
    /// # Errors
    /// No memory.
    pub fn output(&self, column: c_int) -> Result<Output> {
        self.value(column).to_output()
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        // SAFETY: prepared, or NULL, which is allowed; finalized once.
        unsafe { ffi::finalize(self.stmt) };
    }
}

/// Runs the statements of `sql`.
///
/// # Errors
/// What SQLite says of the first that fails.
pub fn exec(db: Db, sql: &str) -> Result<(), Failure> {
    let sql = CString::new(sql).map_err(|_| Failure::of_text("a name has a NUL character in it"))?;
    let null = std::ptr::null_mut();
    // SAFETY: the connection is open, the text a C string. A statement that is one of several is not tried again.
    match unsafe { ffi::exec(db.as_ptr(), sql.as_ptr(), None, null, std::ptr::null_mut()) } {
        code::OK => Ok(()),
        rc => Err(Failure::of(db, rc)),
    }
}

/// Begins to write a value of a table, without a statement that would have to be prepared. Where the connection is
/// interrupted, SQLite fails this as every write, and takes back the transaction that is open.
pub fn fail_to_write(db: Db, schema: &str, table: &str, column: &str) {
    let (Ok(schema), Ok(table), Ok(column)) =
        (CString::new(schema), CString::new(table), CString::new(column))
    else {
        return;
    };
    let mut blob = std::ptr::null_mut();
    // SAFETY: the connection is open, the names are C strings, and closing takes NULL.
    unsafe {
        ffi::blob_open(db.as_ptr(), schema.as_ptr(), table.as_ptr(), column.as_ptr(), 0, 1, &mut blob);
        ffi::blob_close(blob);
    }
}

/// The rowid of the row that was inserted last.
pub fn last_rowid(db: Db) -> i64 {
    // SAFETY: the connection is open.
    unsafe { ffi::last_insert_rowid(db.as_ptr()) }
}

/// Whether each statement is a transaction of its own now.
pub fn is_autocommit(db: Db) -> bool {
    // SAFETY: the connection is open.
    unsafe { ffi::get_autocommit(db.as_ptr()) != 0 }
}

/// Whether the connection holds a lock on any database.
pub fn is_in_transaction(db: Db) -> bool {
    // SAFETY: the connection is open; NULL asks for all schemas.
    unsafe { ffi::txn_state(db.as_ptr(), std::ptr::null()) > 0 }
}
