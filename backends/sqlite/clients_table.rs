//! The table `rembed_clients`, over the session's clients.

use std::borrow::Cow;
use std::ffi::CStr;
use std::sync::Arc;

use super::connection::{Connection, Db};
use super::schema;
use super::vtab::{Argument, VirtualTable};
use crate::base::error::{Error, Result};
use crate::sql::clients::{Columns, Scanned, texts};
use crate::sql::functions::Callers;
use crate::sql::table::{self, Cursor, Plan, Query, Table};
use crate::sql::value::{Output, Value};

/// The column `name`.
const NAME: usize = 0;

/// The plan that looks up one name. 0 is the scan of all.
const BY_NAME: i32 = 1;

/// The table.
pub struct Clients {
    connection: Arc<Connection>,
    db: Db,
}

impl VirtualTable for Clients {
    fn connect(connection: &Arc<Connection>, db: Db, _: &[&CStr]) -> Result<Clients> {
        Ok(Clients { connection: connection.clone(), db })
    }
}

impl Table<Argument> for Clients {
    const NAME: &'static CStr = c"rembed_clients";
    const CALLERS: Callers = Callers::Application;
    const WRITABLE: bool = true;
    type Cursor = Scan;

    fn declaration(&self) -> Cow<'static, CStr> {
        c"CREATE TABLE rembed_clients(
    name TEXT NOT NULL PRIMARY KEY, format TEXT, model TEXT, url TEXT, key TEXT, options TEXT)"
            .into()
    }

    fn plan(&self, query: &Query) -> Option<Plan> {
        // Names are compared byte by byte: a comparison by another collation needs the scan.
        let by_name = query.constraints.iter().position(|constraint| {
            constraint.column == Some(NAME)
                && constraint.usable
                && constraint.is_equals()
                && constraint.binary
        });
        Some(match by_name {
            Some(constraint) => {
                let arguments = vec![table::Argument { constraint, exact: false, whole: false }];
                Plan { number: BY_NAME, arguments, unique: true, cost: 1.0, rows: 1, ordered: false }
            }
            None => Plan::default(),
        })
    }

    fn open(&self) -> Scan {
        Scan { connection: self.connection.clone(), rows: Scanned::default() }
    }

    fn insert(&self, rowid: Option<i64>, columns: &[Argument], replace: bool) -> Result<i64> {
        self.refuse_triggers()?;
        self.connection.session.insert(&Columns::of(&texts(columns)?), rowid, replace)
    }

    fn update(&self, old: i64, new: i64, columns: &[Argument], replace: bool) -> Result<()> {
        self.refuse_triggers()?;
        self.connection.session.update(old, new, &Columns::of(&texts(columns)?), replace)
    }

    fn delete(&self, rowid: i64) -> Result<()> {
        self.refuse_triggers()?;
        self.connection.session.delete(rowid)
    }
}

impl Clients {
    fn refuse_triggers(&self) -> Result<()> {
        match schema::may_be_a_trigger(self.db) {
            true => Err(Error::invalid(
                "rembed_clients may not be written by a trigger, nor while another statement writes: a database file \
                 must not redirect where text is sent. SELECT rembed_register(…) may",
            )),
            false => Ok(()),
        }
    }
}

/// A scan: the rows as they were when it began.
pub struct Scan {
    connection: Arc<Connection>,
    rows: Scanned,
}

impl Cursor<Argument> for Scan {
    fn filter(&mut self, plan: i32, arguments: &[Argument]) -> Result<()> {
        let session = &self.connection.session;
        let rows = match (plan, arguments) {
            (BY_NAME, [name]) => match name.text("name") {
                Ok(Some(name)) => session.row_named(&name)?.into_iter().collect(),
                // A BLOB or NULL equals no name.
                _ => Vec::new(),
            },
            _ => session.clients()?,
        };
        self.rows = Scanned::new(rows);
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
        self.rows.current().map_or(0, |entry| entry.rowid)
    }
}
