//! The table `rembed_clients`, after `CREATE VIRTUAL TABLE rembed_clients USING rembed_clients`.
//!
//! Of an INSERT of several rows the engine passes the last one and drops the others; nothing tells a module of it. Whoever
//! asks for one of the others reads of it in the error: see [`lost_rows`].

use std::borrow::Cow;
use std::ffi::CStr;

use limbo_ext::VTabKind;

use super::SESSION;
use super::value::RawValue;
use super::vtab::Declared;
use crate::base::error::{Error, Result};
use crate::sql::clients::{Columns, Scanned, texts};
use crate::sql::functions::Callers;
use crate::sql::table::{Cursor, Table};
use crate::sql::value::{Output, Value};

// Without a quote: the engine reads its own comment after the statement, which repeats the columns, as arguments.
const SCHEMA: &CStr = c"CREATE TABLE rembed_clients(name TEXT NOT NULL PRIMARY KEY, \
    format TEXT, model TEXT, url TEXT, key TEXT, options TEXT)";

/// The table.
#[derive(Debug)]
pub struct Clients;

impl Declared for Clients {
    const KIND: VTabKind = VTabKind::VirtualTable;

    fn declare(args: &[RawValue]) -> Result<&'static Clients> {
        let first = args.first().and_then(Value::text_bytes).unwrap_or_default();
        let word = first.split(|b| !(b.is_ascii_alphanumeric() || *b == b'_')).next().unwrap_or_default();
        // When the engine reads the statement from a file again, the columns of its comment are arguments too.
        match word.to_ascii_lowercase().as_slice() {
            b"" | b"name" => Ok(&Clients),
            _ => Err(Error::invalid(format!(
                "rembed_clients takes no argument, and there is {}: USING rembed_clients",
                crate::base::words::quoted(&String::from_utf8_lossy(word))
            ))),
        }
    }
}

impl Table<RawValue> for Clients {
    const NAME: &'static CStr = c"rembed_clients";
    const CALLERS: Callers = Callers::Application;
    const WRITABLE: bool = true;
    type Cursor = Scan;

    fn declaration(&self) -> Cow<'static, CStr> {
        SCHEMA.into()
    }

    fn open(&self) -> Scan {
        Scan::default()
    }

    fn insert(&self, rowid: Option<i64>, columns: &[RawValue], replace: bool) -> Result<i64> {
        SESSION.insert(&Columns::of(&texts(columns)?), rowid, replace)
    }

    fn update(&self, old: i64, new: i64, columns: &[RawValue], replace: bool) -> Result<()> {
        // The engine passes all columns. Those that the statement leaves alone are just as the table shows them, by
        // which the session knows them.
        SESSION.update(old, new, &Columns::of(&texts(columns)?), replace)
    }

    fn delete(&self, rowid: i64) -> Result<()> {
        SESSION.delete(rowid)
    }
}

/// `error`, and where no client has the name, what the engine may have done to it.
pub fn lost_rows(error: Error) -> String {
    match error {
        Error::NotRegistered { .. } => format!(
            "{error}. Limbo keeps only the last row of an INSERT of several: INSERT one row at a time, or SELECT \
             rembed_register('name', 'format', …)"
        ),
        error => error.to_string(),
    }
}

/// A scan: the rows as they were when it began.
#[derive(Default)]
pub struct Scan {
    rows: Scanned,
}

impl Cursor<RawValue> for Scan {
    fn filter(&mut self, _: i32, _: &[RawValue]) -> Result<()> {
        self.rows = Scanned::new(SESSION.clients()?);
        Ok(())
    }

    fn advance(&mut self) -> Result<()> {
        self.rows.advance();
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.rows.current().is_none()
    }

    fn column(&mut self, column: usize) -> Result<Output> {
        Ok(self.rows.column(column))
    }

    fn rowid(&self) -> i64 {
        self.rows.current().map_or(-1, |entry| entry.rowid)
    }
}
