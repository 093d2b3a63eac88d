//! The table-valued function `rembed_batch(client, json [, input_type])`.
//!
//! Limbo does not say beforehand which columns a query reads: the cursor sees it as they are read. A row that failed shows
//! its message in `error`. Reading its `embedding` ends the statement with that message, unless the query has read
//! `error` before. So does going on to the next row, where the query has never read `error`.

use std::borrow::Cow;
use std::ffi::CStr;
use std::sync::Arc;

use limbo_ext::VTabKind;

use super::SESSION;
use super::value::RawValue;
use super::vtab::Declared;
use crate::base::error::{Error, Result};
use crate::embed::seen::Seen;
use crate::sql::functions::{Arguments, Callers};
use crate::sql::rows::{self, ERROR_COLUMN, Reading, Rows};
use crate::sql::table::{Cursor, Table};
use crate::sql::value::Output;

const EMBEDDING: usize = 2;

/// The function.
#[derive(Debug)]
pub struct Batch;

static BATCH: Batch = Batch;

impl Declared for Batch {
    const KIND: VTabKind = VTabKind::TableValuedFunction;

    /// The arguments are not evaluated yet: their values come to [`Scan::filter`].
    fn declare(_: &[RawValue]) -> Result<&'static Batch> {
        Ok(&BATCH)
    }
}

impl Table<RawValue> for Batch {
    const NAME: &'static CStr = c"rembed_batch";
    const CALLERS: Callers = Callers::Anyone;
    type Cursor = Scan;

    fn declaration(&self) -> Cow<'static, CStr> {
        c"CREATE TABLE rembed_batch(key, text, embedding BLOB, error TEXT)".into()
    }

    fn open(&self) -> Scan {
        Scan::default()
    }
}

/// A call of the function.
#[derive(Default)]
pub struct Scan {
    rows: Option<Rows>,
    rowid: i64,
    reads_error: bool,
    seen: Arc<Seen>,
}

impl Cursor<RawValue> for Scan {
    fn filter(&mut self, _: i32, arguments: &[RawValue]) -> Result<()> {
        *self = Scan { rowid: 1, seen: self.seen.clone(), ..Scan::default() };
        let (client, texts, input_type) = match arguments {
            [client, texts] => (client, texts, None),
            [client, texts, input_type] => (client, texts, Some(input_type)),
            _ => return Err(rows::usage("rembed_batch")),
        };
        let asked = Arguments::read(&SESSION, client, texts, "the second argument", input_type)?;
        let reading = Reading { isolate: true, whole: false, seen: self.seen.clone() };
        let rows = Rows::of_json(&SESSION, &asked, &reading);
        self.rows = Some(rows.map_err(|e| asked.explain(&SESSION, "rembed_batch", e))?);
        Ok(())
    }

    fn advance(&mut self) -> Result<()> {
        if !self.reads_error {
            if let Some(message) = self.message() {
                return Err(Error::Invalid(message));
            }
        }
        self.rowid += 1;
        self.rows.as_mut().map_or(Ok(()), Rows::advance)
    }

    fn is_done(&self) -> bool {
        self.rows.as_ref().is_none_or(Rows::is_done)
    }

    fn column(&mut self, column: usize) -> Result<Output> {
        self.reads_error |= column == ERROR_COLUMN;
        match self.message() {
            Some(message) if column == EMBEDDING && !self.reads_error => Err(Error::invalid(format!(
                "{message} (to go on past rows that fail, read the column error before embedding: SELECT error, key, \
                 embedding FROM rembed_batch(…))"
            ))),
            _ => Ok(self.rows.as_ref().map_or(Output::Null, |rows| rows.column(column))),
        }
    }

    fn rowid(&self) -> i64 {
        self.rowid
    }
}

impl Scan {
    /// Why the row failed, if it did.
    fn message(&self) -> Option<String> {
        match self.rows.as_ref()?.column(ERROR_COLUMN) {
            Output::Text(message) => Some(message.into_owned()),
            _ => None,
        }
    }
}
