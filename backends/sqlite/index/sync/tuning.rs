//! How a connection is set while a sync is at work.
//!
//! A write-ahead log: no commit waits for the disk, nor copies the log into the database, while others wait for the lock or right
//! after. What is lost when the power fails is marked still, since marks go in the transactions of what they are for. The last
//! commit of a sync is durable as the connection says, and with it all before.
//!
//! The page cache holds the index of the hashes, of which every batch changes pages anywhere. With SQLite's own 2 MB most of
//! them are read anew, and written before the commit.

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

/// The least page cache, in KiB.
const CACHE_LEAST: i64 = 32 << 10;

/// The settings of a schema, until this is dropped.
pub struct Tuning {
    db: Db,
    connection: Arc<Connection>,
    /// The settings of the connection before.
    before: Vec<(String, i64)>,
    checkpoint: Option<Statement>,
    written: u32,
}

impl Tuning {
    /// Of the schema of an index. A rollback journal is left as it is.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn new(stored: &Stored, connection: &Arc<Connection>) -> Result<Tuning, Failure> {
        let (db, schema) = (stored.db, quote(&stored.schema));
        let mut tuning =
            Tuning { db, connection: connection.clone(), before: Vec::new(), checkpoint: None, written: 0 };
        let prepare = |pragma: &str| Statement::prepare(db, &format!("PRAGMA {pragma}"));
        let ask =
            |pragma: &str| Ok::<_, Failure>(prepare(pragma)?.first(&[], |row| row.int(0))?.unwrap_or(0));
        let cache = format!("{schema}.cache_size");
        // Pages, or a negative number of KiB.
        let (before, page) = (ask(&cache)?, ask(&format!("{schema}.page_size"))?);
        if before.saturating_neg().max(before.saturating_mul(page) >> 10) < CACHE_LEAST {
            tuning.set(&cache, -CACHE_LEAST, before)?;
        }
        let is_log = prepare(&format!("{schema}.journal_mode"))?.first(&[], |row| row.text(0) == "wal")?;
        if is_log != Some(true) {
            return Ok(tuning);
        }
        let (synchronous, autocheckpoint) = (format!("{schema}.synchronous"), quote("wal_autocheckpoint"));
        let before = ask(&synchronous)?;
        if before > NORMAL {
            tuning.set(&synchronous, NORMAL, before)?;
        }
        // 0: the application makes its checkpoints by itself.
        let before = ask(&autocheckpoint)?;
        if before > 0 {
            tuning.set(&autocheckpoint, 0, before)?;
            tuning.checkpoint = Some(prepare(&format!("{schema}.wal_checkpoint"))?);
        }
        Ok(tuning)
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

impl Drop for Tuning {
    fn drop(&mut self) {
        self.restore();
    }
}

/// These pragmas do their work when they are prepared, which an interrupt does not keep SQLite from where the text has no
/// blank: it asks there alone (3.33 to 3.54), and when it reads a schema that has changed.
fn pragma(name: &str, value: i64) -> String {
    format!("PRAGMA{name}={value};")
}
