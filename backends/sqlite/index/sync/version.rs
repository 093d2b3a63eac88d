//! Whether an index is still what it was when the sync began.

use super::Stop;
use crate::index::ddl::Watched;
use crate::index::name::quote;
use crate::sqlite::index::stored::{Stored, setting};
use crate::sqlite::sql::{Failure, Statement};

/// What is compared within each transaction.
pub struct Version {
    of_schema: Statement,
    of_options: Statement,
    before: Stored,
    watched: Watched,
    schema: i64,
    options: i64,
}

impl Version {
    /// Of the index as it was read.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn new(stored: &Stored, watched: &Watched) -> Result<Version, Failure> {
        let db = stored.db;
        Ok(Version {
            of_schema: Statement::prepare(db, &format!("PRAGMA {}.schema_version", quote(&stored.schema)))?,
            of_options: Statement::prepare(
                db,
                &format!("SELECT value FROM {} WHERE name = '{}'", stored.table("config"), setting::REVISION),
            )?,
            before: stored.clone(),
            watched: watched.clone(),
            // The first check reads it: it may have changed since the index was read.
            schema: -1,
            options: stored.revision(),
        })
    }

    /// Compares.
    ///
    /// # Errors
    /// It is another; what SQLite says.
    pub fn check(&mut self) -> Result<(), Stop> {
        let options = self.of_options.first(&[], |row| row.int(0))?.unwrap_or(0);
        if options != self.options {
            return Err(Stop::Stale);
        }
        let schema = self.of_schema.first(&[], |row| row.int(0))?.unwrap_or(0);
        if schema != self.schema {
            let now = Stored::read(self.before.db, &self.before.schema, &self.before.name)?;
            if now.watched.as_ref() != Some(&self.watched) {
                return Err(Stop::Stale);
            }
            self.schema = schema;
        }
        Ok(())
    }
}
