//! The query of `rembed_rows`. It runs on the connection that calls the function, and its rows are read as they are needed.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};

use super::connection::Db;
use super::ffi::{self, code, sqlite3_stmt};
use super::value::RawValue;
use crate::base::error::{Error, Result};
use crate::embed::stream::Text;
use crate::sql::value::{Kind, Output, Value};

/// How many queries may run within each other.
const DEPTH: usize = 8;

thread_local! {
    /// How many queries run on this thread, each within a step of the one before. A query that reads itself would use up
    /// the stack.
    static RUNNING: Cell<usize> = const { Cell::new(0) };
}

/// A running read-only SELECT of two columns: key and text.
#[derive(Debug)]
pub struct Select {
    db: Db,
    stmt: *mut sqlite3_stmt,
    done: bool,
}

impl Select {
    /// Prepares `sql`.
    ///
    /// # Errors
    /// What SQLite says of it; anything but one read-only statement of two columns.
    pub fn prepare(db: Db, sql: &str) -> Result<Select> {
        let mut stmt = std::ptr::null_mut();
        let mut tail: *const c_char = std::ptr::null();
        // SAFETY: the connection is open; the text is valid for its length; `tail` points into it.
        let (rc, rest) = unsafe {
            let n =
                i32::try_from(sql.len()).map_err(|_| Error::invalid("rembed_rows: the query is too long"))?;
            let rc = ffi::prepare_v2(db.as_ptr(), sql.as_ptr().cast(), n, &mut stmt, &mut tail);
            let read = if tail.is_null() { sql.len() } else { tail.addr() - sql.as_ptr().addr() };
            (rc, sql.get(read..).unwrap_or_default())
        };
        if rc != code::OK {
            return Err(failed(db));
        }
        // From here on the statement is finalized whatever happens.
        let select = Select { db, stmt, done: false };
        let wrong = |why| Err(Error::invalid(format!("rembed_rows: the query {why}")));
        if stmt.is_null() {
            return wrong("is empty");
        }
        if rest.chars().any(|c| !c.is_whitespace() && c != ';') {
            return wrong("is more than one statement");
        }
        // SAFETY: the statement is prepared.
        let (readonly, columns) = unsafe { (ffi::stmt_readonly(stmt) != 0, ffi::column_count(stmt)) };
        match (readonly, columns) {
            (true, 2) => Ok(select),
            (false, _) => wrong("is not read-only: only a SELECT may stand there"),
            (true, n) => wrong(&format!("has {n} columns, not the two of key and text")),
        }
    }
}

/// What SQLite says of the last failure. Its code is not passed on: some hosts repeat a statement for ever when it is
/// SQLITE_BUSY, and its requests with it.
fn failed(db: Db) -> Error {
    // SAFETY: the connection is open, and the message is copied before it changes.
    let text = unsafe { CStr::from_ptr(ffi::errmsg(db.as_ptr())) }.to_string_lossy();
    match text.starts_with(NESTED) {
        true => Error::invalid(text),
        false => Error::invalid(format!("rembed_rows: the query fails: {text}")),
    }
}

const NESTED: &str = "rembed_rows: nested more than";

impl Select {
    /// Goes to the next row.
    ///
    /// # Errors
    /// The query runs within too many others.
    fn step(&mut self) -> Result<c_int> {
        let running = RUNNING.get();
        if running >= DEPTH {
            return Err(Error::invalid(format!(
                "{NESTED} {DEPTH} deep: the query reads itself, by a view or by a table that holds it"
            )));
        }
        RUNNING.set(running + 1);
        // SAFETY: the statement is prepared. Nothing unwinds out of C.
        let rc = unsafe { ffi::step(self.stmt) };
        RUNNING.set(running);
        Ok(rc)
    }

    /// A column of the row.
    fn column(&self, column: c_int) -> RawValue<'_> {
        // SAFETY: the statement is at a row, and the next step cannot come while the value borrows from it.
        unsafe { RawValue::of_column(self.stmt, column) }
    }

    fn row(&self) -> Result<(Output, Text)> {
        let text = match self.column(1).text("text") {
            Ok(Some(text)) => Text::Text(text.into_owned().into()),
            Ok(None) => Text::Null,
            Err(why) => Text::Bad(why),
        };
        Ok((self.column(0).to_output()?, text))
    }
}

impl Iterator for Select {
    type Item = Result<(Output, Text)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let row = match self.step() {
            Ok(code::ROW) => return Some(self.row()),
            Ok(code::DONE) => None,
            Ok(code::INTERRUPT) => Some(Err(Error::Interrupted)),
            Ok(_) => Some(Err(failed(self.db))),
            Err(e) => Some(Err(e)),
        };
        self.done = true;
        row
    }
}

impl Drop for Select {
    fn drop(&mut self) {
        // SAFETY: prepared (or NULL, which is allowed), and finalized once.
        unsafe { ffi::finalize(self.stmt) };
    }
}

impl RawValue<'_> {
    /// A copy, with its type.
    fn to_output(&self) -> Result<Output> {
        let none = || Error::invalid("rembed_rows: out of memory");
        Ok(match self.kind() {
            Kind::Integer => Output::Int(self.int()),
            Kind::Real => Output::Real(self.real()),
            Kind::Blob => Output::Blob(self.bytes().ok_or_else(none)?.into()),
            Kind::Null => Output::Null,
            Kind::Text => {
                let bytes = self.text_bytes().ok_or_else(none)?;
                Output::Text(String::from_utf8_lossy(&bytes).into_owned().into())
            }
        })
    }
}
