//! The table `rembed_clients`, after `CREATE VIRTUAL TABLE rembed_clients USING rembed_clients`.
//!
//! Of an INSERT of several rows the engine passes the last one and drops the others; nothing tells a module of it.
//! So the table refuses INSERT, and takes SELECT, UPDATE and DELETE. `USING rembed_clients(one_row_inserts)` makes one that
//! takes INSERT, for an app that never inserts two rows at once.

use std::borrow::Cow;
use std::ffi::CStr;

use limbo_ext::VTabKind;

use super::SESSION;
use super::value::RawValue;
use super::vtab::Declared;
use crate::base::error::{Error, Result};
use crate::client::registry::Entry;
use crate::sql::clients::{Columns, texts};
use crate::sql::functions::Callers;
use crate::sql::table::{Cursor, Table};
use crate::sql::value::{Output, Value};

/// The argument of CREATE VIRTUAL TABLE for a table that takes INSERT.
const ONE_ROW_INSERTS: &[u8] = b"one_row_inserts";

/// The function that is the default of the columns. The text of its error reaches the user; that of an INSERT's does not.
pub const REFUSES_INSERT: &CStr = c"rembed_refuse_insert";

// Without a quote: the engine reads its own comment after the statement, which repeats the columns, as arguments.
const SCHEMA: &CStr = c"CREATE TABLE rembed_clients(name TEXT NOT NULL PRIMARY KEY, \
    format TEXT DEFAULT (rembed_refuse_insert()), model TEXT DEFAULT (rembed_refuse_insert()), \
    url TEXT DEFAULT (rembed_refuse_insert()), key TEXT DEFAULT (rembed_refuse_insert()), \
    options TEXT DEFAULT (rembed_refuse_insert()))";
const SCHEMA_OF_INSERTS: &CStr = c"CREATE TABLE rembed_clients(name TEXT NOT NULL PRIMARY KEY, \
    format TEXT, model TEXT, url TEXT, key TEXT, options TEXT)";

/// The table.
#[derive(Debug)]
pub struct Clients {
    takes_insert: bool,
}

static CLIENTS: Clients = Clients { takes_insert: false };
static OF_INSERTS: Clients = Clients { takes_insert: true };

impl Declared for Clients {
    const KIND: VTabKind = VTabKind::VirtualTable;

    fn declare(args: &[RawValue]) -> Result<&'static Clients> {
        let first = args.first().and_then(Value::text_bytes).unwrap_or_default();
        let word = first.split(|b| !(b.is_ascii_alphanumeric() || *b == b'_')).next().unwrap_or_default();
        // When the engine reads the statement from a file again, the columns of its comment are arguments too.
        match word.to_ascii_lowercase().as_slice() {
            b"" | b"name" => Ok(&CLIENTS),
            ONE_ROW_INSERTS => Ok(&OF_INSERTS),
            _ => Err(Error::invalid(format!(
                "rembed_clients knows no argument {}: USING rembed_clients, or USING rembed_clients(one_row_inserts)",
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
        if self.takes_insert { SCHEMA_OF_INSERTS.into() } else { SCHEMA.into() }
    }

    fn open(&self) -> Scan {
        Scan::default()
    }

    fn insert(&self, rowid: Option<i64>, columns: &[RawValue], replace: bool) -> Result<i64> {
        match self.takes_insert {
            true => SESSION.insert(&Columns::of(&texts(columns)?), rowid, replace),
            false => Err(insert_refused()),
        }
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

/// Why the table takes no INSERT, and what does the job.
pub fn insert_refused() -> Error {
    Error::invalid(
        "rembed_clients takes no INSERT in Limbo, which keeps only the last row of an INSERT of several: \
         SELECT rembed_register('name', 'format', 'openai', …), once for each client. (Or CREATE VIRTUAL TABLE \
         rembed_clients USING rembed_clients(one_row_inserts), and one row in each INSERT)",
    )
}

/// A scan: the rows as they were when it began.
#[derive(Default)]
pub struct Scan {
    rows: std::vec::IntoIter<Entry>,
    current: Option<Entry>,
}

impl Cursor<RawValue> for Scan {
    fn filter(&mut self, _: i32, _: &[RawValue]) -> Result<()> {
        self.rows = SESSION.clients()?.into_iter();
        self.advance()
    }

    fn advance(&mut self) -> Result<()> {
        self.current = self.rows.next();
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.current.is_none()
    }

    fn column(&mut self, column: usize) -> Result<Output> {
        let text = self.current.as_ref().and_then(|entry| entry.client.column(column));
        Ok(text.map_or(Output::Null, |text| Output::Text(text.into())))
    }

    fn rowid(&self) -> i64 {
        self.current.as_ref().map_or(-1, |entry| entry.rowid)
    }
}
