//! A write-ahead log while a sync is at work: no commit waits for the disk, nor copies the log into the database, while
//! others wait for the lock or right after.
//!
//! What is lost when the power fails is marked still, since marks go in the transactions of what they are for. The last
//! commit of a sync is durable as the connection says, and with it all before.

use std::ffi::CString;
use std::sync::Arc;

use crate::index::name::quote;
use crate::sqlite::connection::{Connection, Db};
use crate::sqlite::index::stored::Stored;
use crate::sqlite::sql::{Failure, Statement};

/// `PRAGMA synchronous`: NORMAL.
const NORMAL: i64 = 1;

/// The transactions between two checkpoints. One more often writes the same pages of the database again and again.
const TRANSACTIONS: u32 = 8;

/// The log of a schema, until this is dropped.
pub struct Journal {
    db: Db,
    connection: Arc<Connection>,
    /// The settings of the connection before.
    before: Vec<(String, i64)>,
    checkpoint: Option<Statement>,
    written: u32,
}

impl Journal {
    /// Of the schema of an index. A rollback journal is left as it is.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn new(stored: &Stored, connection: &Arc<Connection>) -> Result<Journal, Failure> {
        let (db, schema) = (stored.db, quote(&stored.schema));
        let mut journal =
            Journal { db, connection: connection.clone(), before: Vec::new(), checkpoint: None, written: 0 };
        let ask = |name: &str| Statement::prepare(db, &format!("PRAGMA {name}"));
        let is_log = ask(&format!("{schema}.journal_mode"))?.first(&[], |row| row.text(0) == "wal")?;
        if is_log != Some(true) {
            return Ok(journal);
        }
        let (synchronous, autocheckpoint) = (format!("{schema}.synchronous"), quote("wal_autocheckpoint"));
        if let Some(before) =
            ask(&synchronous)?.first(&[], |row| row.int(0))?.filter(|before| *before > NORMAL)
        {
            journal.set(&synchronous, NORMAL, before)?;
        }
        // 0: the application makes its checkpoints by itself.
        if let Some(before) = ask(&autocheckpoint)?.first(&[], |row| row.int(0))?.filter(|before| *before > 0)
        {
            journal.set(&autocheckpoint, 0, before)?;
            journal.checkpoint = Some(ask(&format!("{schema}.wal_checkpoint"))?);
        }
        Ok(journal)
    }

    fn set(&mut self, name: &str, now: i64, before: i64) -> Result<(), Failure> {
        Statement::prepare(self.db, &pragma(name, now))?;
        self.before.push((name.to_owned(), before));
        Ok(())
    }

    /// A transaction has ended: the log is copied into the database now and then. That takes no lock from a writer.
    pub fn written(&mut self) {
        self.written += 1;
        if let Some(checkpoint) = self.checkpoint.as_mut().filter(|_| self.written % TRANSACTIONS == 0) {
            // Where another does the same, or the connection is interrupted, the next one does more.
            let _ = checkpoint.run(&[]);
        }
    }

    /// Gives the connection its settings back.
    pub fn restore(&mut self) {
        self.checkpoint = None;
        for (name, value) in self.before.drain(..) {
            // A name of a schema has no NUL.
            if let Ok(pragma) = CString::new(pragma(&name, value)) {
                self.connection.unsettled.settle(self.db, pragma);
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.restore();
    }
}

/// These pragmas do their work when they are prepared, which an interrupt does not keep SQLite from where the text has no
/// blank: it asks there alone (3.33 to 3.54), and when it reads a schema that has changed.
fn pragma(name: &str, value: i64) -> String {
    format!("PRAGMA{name}={value};")
}
