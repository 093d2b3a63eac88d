//! The rows of the content table as a sync reads them.

use crate::index::ddl::Watched;
use crate::index::name::quote;
use crate::index::plan::text_of;
use crate::sql::value::Value as _;
use crate::sqlite::index::stored::Stored;
use crate::sqlite::sql::{Failure, Statement};

/// A content row.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// There is none of this rowid.
    Gone,
    /// Its text.
    Text(String),
    /// Why it has none.
    Bad(String),
}

/// Reads content rows by rowid.
pub struct Rows {
    statement: Statement,
    columns: Vec<String>,
}

impl Rows {
    /// Those of the content table.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn new(stored: &Stored, watched: &Watched) -> Result<Rows, Failure> {
        let columns: Vec<String> = watched.columns.iter().map(|column| quote(column)).collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE {} = ?1",
            columns.join(", "),
            stored.content(watched),
            quote(&watched.rowid)
        );
        Ok(Rows { statement: Statement::prepare(stored.db, &sql)?, columns: watched.columns.clone() })
    }

    /// The row `row`.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn read(&mut self, row: i64) -> Result<Content, Failure> {
        let columns = &self.columns;
        let found = self.statement.first(&[row.into()], |statement| {
            let mut texts = Vec::with_capacity(columns.len());
            for (place, column) in (0..).zip(columns) {
                match statement.value(place).text(column) {
                    Ok(text) => texts.push(text.map(std::borrow::Cow::into_owned)),
                    Err(why) => return Content::Bad(why),
                }
            }
            Content::Text(text_of(texts.iter().map(Option::as_deref)))
        })?;
        Ok(found.unwrap_or(Content::Gone))
    }
}
