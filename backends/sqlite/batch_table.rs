//! The table-valued functions `rembed_batch(client, json)` and `rembed_rows(client, select)`: tables whose hidden columns
//! are the arguments (<https://www.sqlite.org/vtab.html#tabfunc2>).

use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use super::connection::{Connection, Db};
use super::running;
use super::select::Select;
use super::vtab::{Argument, VirtualTable};
use crate::base::error::Result;
use crate::embed::seen::Seen;
use crate::sql::functions::{Arguments, Callers};
use crate::sql::rows::{self, ERROR_COLUMN, Reading, Rows};
use crate::sql::session::Session;
use crate::sql::table::{self, Cursor, Plan, Query, Table};
use crate::sql::value::Output;

/// The column `client`, the first of the three arguments.
const FIRST_ARGUMENT: usize = 4;
const ARGUMENTS: usize = 3;
/// The one of them that holds what to embed.
const TEXTS: usize = 1;

/// The number of a plan has a bit for each argument that is given, and this one where the query reads the column `error`.
const READS_ERROR: i32 = 1 << ARGUMENTS;

const NO_ARGUMENTS: [Output; ARGUMENTS] = [const { Output::Null }; ARGUMENTS];

/// What is different in each of the two functions.
pub trait Function: 'static {
    /// Its name in SQL.
    const NAME: &'static CStr;
    /// Who may call it.
    const CALLERS: Callers;
    /// Its columns, the arguments last.
    const DECLARATION: &'static CStr;

    /// The rows of a call.
    ///
    /// # Errors
    /// As [`Rows::new`].
    fn rows(session: &Session, db: Db, asked: &Arguments<'_>, reading: &Reading) -> Result<Rows>;
}

/// `rembed_batch`, for the texts of a JSON value.
pub struct OfJson;

impl Function for OfJson {
    const NAME: &'static CStr = c"rembed_batch";
    const CALLERS: Callers = Callers::Anyone;
    const DECLARATION: &'static CStr =
        c"CREATE TABLE rembed_batch(key, text, embedding, error, client HIDDEN, json HIDDEN, input_type HIDDEN)";

    fn rows(session: &Session, _: Db, asked: &Arguments<'_>, reading: &Reading) -> Result<Rows> {
        Rows::of_json(session, asked, reading)
    }
}

/// `rembed_rows`, for the texts of a SELECT. It runs SQL that it is given: not for the schema of a stranger's file.
pub struct OfSelect;

impl Function for OfSelect {
    const NAME: &'static CStr = c"rembed_rows";
    const CALLERS: Callers = Callers::Application;
    const DECLARATION: &'static CStr = c"CREATE TABLE rembed_rows(key, text, embedding, error, client HIDDEN, \"select\" HIDDEN, input_type HIDDEN)";

    fn rows(session: &Session, db: Db, asked: &Arguments<'_>, reading: &Reading) -> Result<Rows> {
        match asked.input.as_deref() {
            Some(sql) => {
                let source = Box::new(Select::prepare(db, sql)?);
                Rows::new(session, asked, source, None, reading)
            }
            // NULL has no rows, whichever function is asked.
            None => Rows::of_json(session, asked, reading),
        }
    }
}

/// The table of the function `F`.
pub struct Batch<F> {
    connection: Arc<Connection>,
    db: Db,
    last: RefCell<Last>,
    function: PhantomData<F>,
}

/// The last scan that was opened.
#[derive(Default)]
struct Last {
    /// The statements that were under way then.
    statements: Vec<usize>,
    /// What they had asked for, while a scan of theirs is open.
    seen: Weak<Seen>,
}

impl<F: Function> VirtualTable for Batch<F> {
    fn connect(connection: &Arc<Connection>, db: Db, _: &[&CStr]) -> Result<Batch<F>> {
        Ok(Batch { connection: connection.clone(), db, last: RefCell::default(), function: PhantomData })
    }
}

impl<F: Function> Table<Argument> for Batch<F> {
    const NAME: &'static CStr = F::NAME;
    const CALLERS: Callers = F::CALLERS;
    type Cursor = Scan<F>;

    fn declaration(&self) -> Cow<'static, CStr> {
        F::DECLARATION.into()
    }

    fn plan(&self, query: &Query) -> Option<Plan> {
        let mut given = [None; ARGUMENTS];
        for (place, constraint) in query.constraints.iter().enumerate() {
            let argument = constraint.column.and_then(|column| column.checked_sub(FIRST_ARGUMENT));
            let Some(given) = argument.and_then(|argument| given.get_mut(argument)) else {
                continue;
            };
            if constraint.is_equals() {
                // A plan without the argument would be a call without it.
                if !constraint.usable {
                    return None;
                }
                *given = Some(table::Argument { constraint: place, exact: true, whole: false });
            }
        }
        let bits = given.iter().enumerate().map(|(i, argument)| i32::from(argument.is_some()) << i);
        let mut number = bits.sum();
        if query.reads(ERROR_COLUMN) {
            number |= READS_ERROR;
        }
        let arguments = given.into_iter().flatten().collect();
        Some(Plan { number, arguments, unique: false, cost: 1e6, rows: 1000, ordered: false })
    }

    fn open(&self) -> Scan<F> {
        // Up to some version SQLite opens a scan anew, and then closes the one before, each time it runs a correlated subquery.
        let statements = running::statements(self.db);
        let mut last = self.last.borrow_mut();
        let seen = last.seen.upgrade().filter(|_| last.statements == statements).unwrap_or_default();
        *last = Last { statements, seen: Arc::downgrade(&seen) };
        Scan {
            connection: self.connection.clone(),
            db: self.db,
            rows: None,
            rowid: 1,
            arguments: NO_ARGUMENTS,
            seen,
            function: PhantomData,
        }
    }
}

/// A call of the function.
pub struct Scan<F> {
    connection: Arc<Connection>,
    db: Db,
    rows: Option<Rows>,
    rowid: i64,
    /// What the hidden columns have, but for a JSON value: `rows` has that, and there must not be two of them in memory.
    arguments: [Output; ARGUMENTS],
    /// Lives as long as the statement: a join reads the table again for each row of another one.
    seen: Arc<Seen>,
    function: PhantomData<F>,
}

impl<F: Function> Cursor<Argument> for Scan<F> {
    fn filter(&mut self, plan: i32, arguments: &[Argument]) -> Result<()> {
        self.rows = None;
        self.rowid = 1;
        let mut given = arguments.iter();
        let mut argument = |i: usize| if plan & (1 << i) != 0 { given.next() } else { None };
        let (client, texts, input_type) = (argument(0), argument(1), argument(2));
        let (Some(client), Some(texts)) = (client, texts) else {
            return Err(rows::usage(&F::NAME.to_string_lossy()));
        };
        let session = &self.connection.session;
        let asked = Arguments::read(session, client, texts, "the second argument", input_type)?;
        let reading = Reading {
            isolate: plan & READS_ERROR != 0,
            whole: running::takes_every_row(self.db, F::NAME),
            seen: self.seen.clone(),
        };
        let rows = F::rows(session, self.db, &asked, &reading);
        let rows = rows.map_err(|e| asked.explain(session, &F::NAME.to_string_lossy(), e))?;
        let copy = |value: Option<&Argument>| value.map_or(Ok(Output::Null), Argument::to_output);
        let texts = if rows.json().is_some() { None } else { Some(texts) };
        self.arguments = [copy(Some(client))?, copy(texts)?, copy(input_type)?];
        self.rows = Some(rows);
        Ok(())
    }

    fn advance(&mut self) -> Result<()> {
        self.rowid += 1;
        self.rows.as_mut().map_or(Ok(()), Rows::advance)
    }

    fn is_done(&self) -> bool {
        self.rows.as_ref().is_none_or(Rows::is_done)
    }

    fn column(&mut self, column: usize) -> Result<Output> {
        let Some(rows) = &self.rows else { return Ok(Output::Null) };
        Ok(match (column.checked_sub(FIRST_ARGUMENT), rows.json()) {
            (None, _) => rows.column(column),
            (Some(TEXTS), Some(json)) => Output::Text(json.to_owned().into()),
            (Some(i), _) => self.arguments.get(i).cloned().unwrap_or(Output::Null),
        })
    }

    fn rowid(&self) -> i64 {
        self.rowid
    }
}
