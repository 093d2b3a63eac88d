//! A scan of an index.

use std::sync::Arc;

use super::stored::Stored;
use super::table::Index;
use crate::base::error::Result;
use crate::sql::table::Cursor;
use crate::sql::value::Output;
use crate::sqlite::connection::{Connection, Db};
use crate::sqlite::sql::Statement;
use crate::sqlite::vtab::Argument;

/// Every chunk, without a score.
pub struct Scan {
    connection: Arc<Connection>,
    db: Db,
    schema: String,
    name: String,
    rows: Option<Statement>,
}

impl Scan {
    /// A scan of `index`.
    pub fn new(index: &Index) -> Scan {
        Scan {
            connection: index.connection.clone(),
            db: index.db,
            schema: index.schema.clone(),
            name: index.name.clone(),
            rows: None,
        }
    }
}

impl Cursor<Argument> for Scan {
    fn filter(&mut self, _: i32, _: &[Argument]) -> Result<()> {
        let _ = &self.connection;
        self.rows = None;
        let stored = Stored::read(self.db, &self.schema, &self.name)?;
        stored.searchable()?;
        let sql =
            format!("SELECT id, \"row\", seq, chunk FROM {} ORDER BY \"row\", seq", stored.table("chunks"));
        let mut rows = Statement::prepare(self.db, &sql)?;
        rows.start(&[])?;
        self.rows = Some(rows);
        self.advance()
    }

    fn advance(&mut self) -> Result<()> {
        if let Some(rows) = &mut self.rows {
            if !rows.step()? {
                self.rows = None;
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.rows.is_none()
    }

    fn column(&mut self, column: usize) -> Result<Output> {
        let Some(rows) = &self.rows else { return Ok(Output::Null) };
        match column {
            0 => rows.output(1),
            1 => rows.output(2),
            2 => rows.output(3),
            _ => Ok(Output::Null),
        }
    }

    fn rowid(&self) -> i64 {
        self.rows.as_ref().map_or(0, |rows| rows.int(0))
    }
}
