//! Whether the tables of an index are what they should be. A file may be anybody's, and where a table should be it may have a
//! view that never ends.

use crate::base::error::{Error, Result};
use crate::base::words::quoted;
use crate::index::ddl::{MARKS, SHADOWS, WORDS};
use crate::index::name::{self, quote};
use crate::sqlite::connection::Db;
use crate::sqlite::sql::Statement;

/// Checks the tables of the index `index` of `schema`, as far as they are there.
///
/// # Errors
/// One that is no ordinary table, or words that are not FTS5's.
pub fn check(db: Db, schema: &str, index: &str) -> Result<()> {
    let sql = format!("SELECT type, sql FROM {}.sqlite_master WHERE name = ?1 COLLATE NOCASE", quote(schema));
    let mut find = Statement::prepare(db, &sql)?;
    for suffix in SHADOWS.iter().copied().chain([MARKS]) {
        let table = format!("{index}_{suffix}");
        for (kind, sql) in find.all(&[(&table).into()], |row| (row.text(0), row.text(1)))? {
            if kind != "table" || name::module(&sql).as_deref() != WORDS.contains(&suffix).then_some("fts5") {
                return Err(Error::invalid(format!(
                    "the index {} is damaged: {} is not the table that the index made. DROP TABLE {0}, and make it anew",
                    quoted(index),
                    quoted(&table)
                )));
            }
        }
    }
    Ok(())
}
