//! The query of `rembed_rows`. It runs on the connection that calls the function, and its rows are read as they are needed.

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};

use super::connection::Db;
use super::ffi::{self, code, sqlite3_stmt};
use super::running;
use super::value::RawValue;
use crate::base::error::{Error, Result};
use crate::embed::stream::Text;
use crate::sql::value::{Kind, Output, Value};

/// The word MATERIALIZED came with 3.35.0.
const MATERIALIZED_SINCE: c_int = 3_035_000;

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
    /// Prepares `sql`. Where a statement that writes is under way, the query is read to its end before its first row
    /// comes, into a table of SQLite's own that moves to a temporary file where it grows: an `INSERT INTO t SELECT … FROM
    /// rembed_rows('c', 'SELECT … FROM t')` would else read what it inserts, for ever.
    ///
    /// # Errors
    /// What SQLite says of it; anything but one read-only statement of two columns without parameters.
    pub fn prepare(db: Db, sql: &str) -> Result<Select> {
        let (select, rest) = Select::first(db, sql)?;
        let wrong = |why: &str| Err(Error::invalid(format!("rembed_rows: the query {why}")));
        if select.stmt.is_null() {
            return wrong("is empty");
        }
        // What is left may be comments.
        let mut more = rest;
        while !more.trim_matches(is_blank).is_empty() {
            let (next, after) = Select::first(db, more)?;
            if !next.stmt.is_null() {
                return wrong("is more than one statement");
            }
            if after.len() == more.len() {
                // SQLite reads no further than a NUL.
                return wrong("has a NUL character in it");
            }
            more = after;
        }
        if let Some(parameter) = select.parameter() {
            return wrong(&format!(
                "has the parameter {parameter}, and nothing can be bound to it: write the value into the query, as with \
                 printf('… %Q', value)"
            ));
        }
        // SAFETY: the statement is prepared.
        match unsafe { (ffi::stmt_readonly(select.stmt) != 0, ffi::column_count(select.stmt)) } {
            (true, 2) if is_pragma(sql) => {
                return wrong(
                    "is a PRAGMA: only a SELECT of key and text may stand there, and FROM pragma_NAME reads most of them",
                );
            }
            (true, 2) => {}
            (false, _) => return wrong("is not read-only: only a SELECT may stand there"),
            (true, n) => return wrong(&format!("has {n} columns, not the two of key and text")),
        }
        if !running::is_writing(db) {
            return Ok(select);
        }
        drop(select);
        let query = without_blanks(&sql[..sql.len() - rest.len()]).trim_end_matches(is_blank);
        // SAFETY: it takes nothing.
        let has_materialized = unsafe { ffi::libversion_number() } >= MATERIALIZED_SINCE;
        // A comment at its end must not hide the bracket, and the name must not hide a table of the query.
        let whole = match has_materialized {
            true => format!(
                "WITH \"query of rembed_rows\" AS MATERIALIZED (\n{query}\n) SELECT * FROM \"query of rembed_rows\""
            ),
            // The number of all rows is known after the last one.
            false => format!("SELECT *, count(*) OVER () FROM (\n{query}\n)"),
        };
        Ok(Select::first(db, &whole)?.0)
    }

    /// The name of its first parameter, or `?` where that has none.
    fn parameter(&self) -> Option<Cow<'_, str>> {
        // SAFETY: the statement is prepared; the name is a C string of it, or NULL.
        unsafe {
            if ffi::bind_parameter_count(self.stmt) == 0 {
                return None;
            }
            let name = ffi::bind_parameter_name(self.stmt, 1);
            Some(if name.is_null() { "?".into() } else { CStr::from_ptr(name).to_string_lossy() })
        }
    }

    /// Prepares the first statement of `sql`, NULL for white space and comments. Returns what comes after it.
    fn first(db: Db, sql: &str) -> Result<(Select, &str)> {
        let mut stmt = std::ptr::null_mut();
        let mut tail: *const c_char = std::ptr::null();
        let n = i32::try_from(sql.len()).map_err(|_| Error::invalid("rembed_rows: the query is too long"))?;
        // SAFETY: the connection is open; the text is valid for its length; `tail` points into it.
        let rc = unsafe { ffi::prepare_v2(db.as_ptr(), sql.as_ptr().cast(), n, &mut stmt, &mut tail) };
        if rc != code::OK {
            return Err(failed(db));
        }
        let read = if tail.is_null() { sql.len() } else { tail.addr() - sql.as_ptr().addr() };
        // From here on the statement is finalized whatever happens.
        Ok((Select { db, stmt, done: false }, sql.get(read..).unwrap_or_default()))
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == ';'
}

/// `sql` from its first word on.
fn without_blanks(sql: &str) -> &str {
    let mut rest = sql.trim_start_matches(is_blank);
    loop {
        let after = match (rest.strip_prefix("--"), rest.strip_prefix("/*")) {
            (Some(comment), _) => comment.split_once('\n'),
            (_, Some(comment)) => comment.split_once("*/"),
            _ => return rest,
        };
        rest = after.map_or("", |(_, after)| after.trim_start_matches(is_blank));
    }
}

/// Whether a statement that SQLite has read is a PRAGMA: it cannot stand within another, and so not in every statement
/// that reads `rembed_rows`.
fn is_pragma(sql: &str) -> bool {
    without_blanks(sql).get(..6).is_some_and(|word| word.eq_ignore_ascii_case("pragma"))
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
    pub fn to_output(&self) -> Result<Output> {
        let none = || Error::invalid("rembed_rows: out of memory");
        Ok(match self.kind() {
            Kind::Integer => Output::Int(self.int()),
            Kind::Real => Output::Real(self.real()),
            Kind::Blob => Output::Blob(self.bytes().ok_or_else(none)?.into()),
            Kind::Null => Output::Null,
            Kind::Text => {
                let bytes = self.text_bytes().ok_or_else(none)?;
                match String::from_utf8(bytes.into_owned()) {
                    Ok(text) => Output::Text(text.into()),
                    Err(e) => Output::Bytes(e.into_bytes()),
                }
            }
        })
    }
}
