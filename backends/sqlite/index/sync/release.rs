//! Ends what a sync has open where it fails, also after an interrupt.

use crate::sqlite::connection::Db;
use crate::sqlite::sql::{Failure, Statement, fail_to_write, is_autocommit, is_in_transaction};

/// Ends a transaction, and gives back a lock that SQLite has forgotten.
///
/// SQLite forgets one where another connection has changed the schema, and the statement that finds out, which has its lock
/// by then, cannot be prepared anew: an interrupt keeps it from that. The lock would stay for as long as the connection
/// does nothing.
pub struct Release {
    db: Db,
    begin: Statement,
    rollback: Statement,
    /// It writes, and knows no table: where the connection is interrupted, SQLite takes everything back before its first
    /// step, and never has to prepare it anew.
    immediate: Statement,
}

impl Release {
    /// Of a connection that is not interrupted yet: an interrupt lets nothing be prepared.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn new(db: Db) -> Result<Release, Failure> {
        Ok(Release {
            db,
            begin: Statement::prepare(db, "BEGIN")?,
            rollback: Statement::prepare(db, "ROLLBACK")?,
            immediate: Statement::prepare(db, "BEGIN IMMEDIATE")?,
        })
    }

    /// Whether a transaction is open, or a lock is there that belongs to none.
    pub fn is_needed(&self) -> bool {
        !is_autocommit(self.db) || is_in_transaction(self.db)
    }

    /// Prepares itself anew: SQLite has every statement prepared anew once a virtual table is made, or a transaction taken
    /// back with its schema.
    ///
    /// # Errors
    /// What SQLite says; an interrupt.
    pub fn refresh(&mut self) -> Result<(), Failure> {
        *self = Release::new(self.db)?;
        Ok(())
    }

    /// Ends what is open.
    pub fn end(&mut self) {
        if !self.is_needed() {
            return;
        }
        if is_autocommit(self.db) {
            // A lock that belongs to no transaction goes with the next one.
            let _ = self.begin.run(&[]);
        }
        if self.rollback.run(&[]).is_err() {
            let _ = self.immediate.run(&[]);
        }
    }

    /// The same where a virtual table may have been made in what is open. The table and its column are there.
    pub fn end_with(&mut self, schema: &str, table: &str, column: &str) {
        self.end();
        if self.is_needed() {
            fail_to_write(self.db, schema, table, column);
        }
    }
}
