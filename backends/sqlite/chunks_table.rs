//! The table-valued function `rembed_chunks(text, size, overlap)`: a long text in pieces, a row each.

use std::borrow::Cow;
use std::ffi::CStr;
use std::ops::Range;
use std::sync::Arc;

use super::connection::{Connection, Db};
use super::vtab::{Argument, VirtualTable};
use crate::base::error::{Error, Result};
use crate::sql::chunks;
use crate::sql::functions::Callers;
use crate::sql::table::{self, Cursor, Plan, Query, Table};
use crate::sql::value::{Output, Value};

/// The column `text`, the first of the three arguments.
const FIRST_ARGUMENT: usize = 4;
const ARGUMENTS: usize = 3;

/// The table of the function.
pub struct Chunks;

impl VirtualTable for Chunks {
    fn connect(_: &Arc<Connection>, _: Db, _: &[&CStr]) -> Result<Chunks> {
        Ok(Chunks)
    }
}

impl Table<Argument> for Chunks {
    const NAME: &'static CStr = c"rembed_chunks";
    const CALLERS: Callers = Callers::Anyone;
    type Cursor = Scan;

    fn declaration(&self) -> Cow<'static, CStr> {
        c"CREATE TABLE rembed_chunks(seq, start, \"end\", chunk, text HIDDEN, size HIDDEN, overlap HIDDEN)"
            .into()
    }

    /// The number of the plan has a bit for each argument that is given.
    fn plan(&self, query: &Query) -> Option<Plan> {
        let mut given = [None; ARGUMENTS];
        for (constraint, asked) in query.constraints.iter().enumerate() {
            let argument = asked.column.and_then(|column| column.checked_sub(FIRST_ARGUMENT));
            let Some(given) = argument.and_then(|argument| given.get_mut(argument)) else { continue };
            if asked.is_equals() {
                // A plan without the argument would be a call without it.
                if !asked.usable {
                    return None;
                }
                *given = Some(table::Argument { constraint, exact: true, whole: false });
            }
        }
        let number = given.iter().enumerate().map(|(i, argument)| i32::from(argument.is_some()) << i).sum();
        let arguments = given.into_iter().flatten().collect();
        Some(Plan { number, arguments, cost: 1000.0, rows: 100, ..Plan::default() })
    }

    fn open(&self) -> Scan {
        Scan::default()
    }
}

/// A call of the function.
#[derive(Default)]
pub struct Scan {
    text: String,
    /// Where the chunks are in the text, and as the columns say.
    chunks: Vec<(Range<usize>, Range<usize>)>,
    seq: usize,
    /// What the hidden columns give back but for the text.
    size: Option<Output>,
    overlap: Option<Output>,
}

impl Cursor<Argument> for Scan {
    fn filter(&mut self, plan: i32, arguments: &[Argument]) -> Result<()> {
        *self = Scan::default();
        let mut given = arguments.iter();
        let mut argument = |i: usize| if plan & (1 << i) != 0 { given.next() } else { None };
        let (text, size, overlap) = (argument(0), argument(1), argument(2));
        let Some(text) = text else {
            return Err(Error::invalid(
                "rembed_chunks wants a text: rembed_chunks(text, 1000, 100), of which size and overlap may be left out",
            ));
        };
        let cut = chunks::cut(size, overlap)?;
        self.size = size.map(Argument::to_output).transpose()?;
        self.overlap = overlap.map(Argument::to_output).transpose()?;
        let Some(text) = text.text("text").map_err(Error::Invalid)? else { return Ok(()) };
        self.text = text.into_owned();
        let start = self.text.as_ptr().addr();
        let chunks = cut.chunks(&self.text).map(|chunk| {
            let from = chunk.text.as_ptr().addr() - start;
            (from..from + chunk.text.len(), chunk.start..chunk.end)
        });
        self.chunks = chunks.collect();
        Ok(())
    }

    fn advance(&mut self) -> Result<()> {
        self.seq += 1;
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.seq >= self.chunks.len()
    }

    fn column(&mut self, column: usize) -> Result<Output> {
        let number = |n: usize| Output::Int(n as i64);
        let echo = |value: &Option<Output>| value.clone().unwrap_or(Output::Null);
        let Some((bytes, characters)) = self.chunks.get(self.seq) else { return Ok(Output::Null) };
        Ok(match column {
            0 => number(self.seq),
            1 => number(characters.start),
            2 => number(characters.end),
            3 => Output::Text(self.text.get(bytes.clone()).unwrap_or_default().to_owned().into()),
            4 => Output::Text(self.text.clone().into()),
            5 => echo(&self.size),
            6 => echo(&self.overlap),
            _ => Output::Null,
        })
    }

    fn rowid(&self) -> i64 {
        self.seq as i64 + 1
    }
}
