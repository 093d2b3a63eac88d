//! The table-valued functions `rembed_index_status(index)` and `rembed_index_errors(index)`.

use std::borrow::Cow;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::sync::Arc;

use super::shapes;
use super::status::Status;
use super::stored::Stored;
use crate::base::error::{Error, Result};
use crate::sql::functions::Callers;
use crate::sql::table::{self, Cursor, Plan, Query, Table};
use crate::sql::value::{Output, Value};
use crate::sqlite::connection::{Connection, Db};
use crate::sqlite::sql::Statement;
use crate::sqlite::vtab::{Argument, VirtualTable};

/// What is different in each of the two functions.
pub trait Report: Sized + 'static {
    /// Its name in SQL.
    const NAME: &'static CStr;
    /// Its columns, the index's name last.
    const DECLARATION: &'static CStr;
    /// The number of that column.
    const ARGUMENT: usize;

    /// What it tells of an index; it is at the first row.
    ///
    /// # Errors
    /// What SQLite says.
    fn of(connection: &Arc<Connection>, stored: Stored) -> Result<Self>;

    /// Goes to the next row; false after the last.
    ///
    /// # Errors
    /// What SQLite says.
    fn advance(&mut self) -> Result<bool>;

    /// A column of the row.
    ///
    /// # Errors
    /// What SQLite says.
    fn column(&mut self, column: usize) -> Result<Output>;
}

/// What failed: a row each chunk, or content row that is no text.
pub struct Errors(Statement);

impl Report for Errors {
    const NAME: &'static CStr = c"rembed_index_errors";
    const DECLARATION: &'static CStr =
        c"CREATE TABLE rembed_index_errors(rowid, seq, message, attempts, \"index\" HIDDEN)";
    const ARGUMENT: usize = 4;

    fn of(_: &Arc<Connection>, stored: Stored) -> Result<Errors> {
        // What is of no chunk has a number below 0.
        let sql = format!(
            "SELECT \"row\", iif(seq >= 0, seq, NULL), message, attempts FROM {} ORDER BY \"row\", seq",
            stored.table("errors")
        );
        let mut rows = Statement::prepare(stored.db, &sql)?;
        rows.start(&[])?;
        Ok(Errors(rows))
    }

    fn advance(&mut self) -> Result<bool> {
        Ok(self.0.step()?)
    }

    fn column(&mut self, column: usize) -> Result<Output> {
        self.0.output(i32::try_from(column).unwrap_or(i32::MAX))
    }
}

/// How an index is.
pub struct OfIndex {
    status: Status,
    is_over: bool,
}

impl Report for OfIndex {
    const NAME: &'static CStr = c"rembed_index_status";
    const DECLARATION: &'static CStr =
        c"CREATE TABLE rembed_index_status(rows, chunks, pending, failed, dimensions, model, bytes, \
          last_sync, answers, \"index\" HIDDEN)";
    const ARGUMENT: usize = 9;

    fn of(connection: &Arc<Connection>, stored: Stored) -> Result<OfIndex> {
        Ok(OfIndex { status: Status::new(connection.clone(), stored), is_over: false })
    }

    fn advance(&mut self) -> Result<bool> {
        Ok(!std::mem::replace(&mut self.is_over, true))
    }

    fn column(&mut self, column: usize) -> Result<Output> {
        match column {
            0 => self.status.count("rows"),
            1 => self.status.count("chunks"),
            2 => Ok(Output::Int(self.status.stored.pending()?)),
            3 => Ok(Output::Int(self.status.stored.failed()?)),
            4 => Ok(self.status.stored.dimensions().map_or(Output::Null, |n| Output::Int(n as i64))),
            5 => self.status.model(),
            6 => self.status.bytes(),
            7 => self.status.last_sync(),
            8 => self.status.answers(),
            _ => Ok(Output::Null),
        }
    }
}

/// The table of the function `R`.
pub struct Reports<R> {
    connection: Arc<Connection>,
    db: Db,
    report: PhantomData<R>,
}

impl<R: Report> VirtualTable for Reports<R> {
    fn connect(connection: &Arc<Connection>, db: Db, _: &[&CStr]) -> Result<Reports<R>> {
        Ok(Reports { connection: connection.clone(), db, report: PhantomData })
    }
}

impl<R: Report> Table<Argument> for Reports<R> {
    const NAME: &'static CStr = R::NAME;
    const CALLERS: Callers = Callers::Anyone;
    type Cursor = Scan<R>;

    fn declaration(&self) -> Cow<'static, CStr> {
        R::DECLARATION.into()
    }

    fn plan(&self, query: &Query) -> Option<Plan> {
        let is_argument = |asked: &&table::Constraint| asked.column == Some(R::ARGUMENT) && asked.is_equals();
        if query.constraints.iter().any(|asked| is_argument(&asked) && !asked.usable) {
            return None;
        }
        let given = query.constraints.iter().position(|asked| is_argument(&asked));
        let arguments = given.map(|constraint| table::Argument { constraint, exact: true, whole: false });
        Some(Plan { arguments: arguments.into_iter().collect(), cost: 1000.0, rows: 1, ..Plan::default() })
    }

    fn open(&self) -> Scan<R> {
        Scan {
            connection: self.connection.clone(),
            db: self.db,
            report: None,
            rowid: 0,
            argument: Output::Null,
        }
    }
}

/// A call of the function.
pub struct Scan<R> {
    connection: Arc<Connection>,
    db: Db,
    report: Option<R>,
    rowid: i64,
    argument: Output,
}

impl<R: Report> Cursor<Argument> for Scan<R> {
    fn filter(&mut self, _: i32, arguments: &[Argument]) -> Result<()> {
        self.report = None;
        self.rowid = 0;
        let Some(argument) = arguments.first() else {
            let name = R::NAME.to_string_lossy();
            return Err(Error::invalid(format!("{name} wants the name of an index: {name}('docs_index')")));
        };
        self.argument = argument.to_output()?;
        let Some(index) = argument.text("the name of the index").map_err(Error::Invalid)? else {
            return Ok(());
        };
        let stored = Stored::find(self.db, &index)?;
        shapes::check(self.db, &stored.schema, &stored.name)?;
        self.report = Some(R::of(&self.connection, stored)?);
        self.advance()
    }

    fn advance(&mut self) -> Result<()> {
        self.rowid += 1;
        if let Some(report) = &mut self.report {
            if !report.advance()? {
                self.report = None;
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.report.is_none()
    }

    fn column(&mut self, column: usize) -> Result<Output> {
        match &mut self.report {
            Some(_) if column == R::ARGUMENT => Ok(self.argument.clone()),
            Some(report) => report.column(column),
            None => Ok(Output::Null),
        }
    }

    fn rowid(&self) -> i64 {
        self.rowid
    }
}
