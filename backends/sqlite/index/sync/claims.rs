//! Which rows a sync has its client embed, so that another sync takes others meanwhile. A claim that is not renewed
//! expires: whoever made it was killed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::now;
use crate::base::interrupt::Interrupt;
use crate::index::name::string;
use crate::sqlite::connection::{Connection, Db, Meanwhile};
use crate::sqlite::index::stored::Stored;
use crate::sqlite::sql::{Failure, Statement, exec};

/// How long a claim holds, in seconds.
const HOLDS: f64 = 30.0;
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(8);

/// The claims of a sync.
pub struct Claims {
    db: Db,
    table: String,
    owner: String,
    expire: Statement,
    claim: Statement,
    ours: Statement,
}

impl Claims {
    /// Of a sync of `stored` on a connection. One that was interrupted left claims, which are ours as well.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn new(stored: &Stored, connection: &Connection) -> Result<Claims, Failure> {
        // A process has other numbers than the one that it is the fork of.
        let owner = format!("{:x}-{:x}", std::process::id(), connection.number);
        let (db, table) = (stored.db, stored.table("claims"));
        let prepare = |sql: &str| Statement::prepare(db, &sql.replace("TABLE", &table));
        Ok(Claims {
            db,
            owner,
            expire: prepare("DELETE FROM TABLE WHERE until < ?1")?,
            claim: prepare(
                "INSERT INTO TABLE(\"row\", owner, until) VALUES (?1, ?2, ?3) ON CONFLICT(\"row\") DO UPDATE SET until = \
                 excluded.until WHERE owner = excluded.owner",
            )?,
            ours: prepare("SELECT \"row\" FROM TABLE WHERE owner = ?1 AND \"row\" BETWEEN ?2 AND ?3")?,
            table,
        })
    }

    /// Whose they are.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// A condition by which rows that others have claimed are left to them; `row` is the name of the column.
    pub fn condition(&self, row: &str) -> String {
        format!(
            "NOT EXISTS (SELECT 1 FROM {} AS k WHERE k.\"row\" = {row} AND k.owner <> {} AND k.until > {})",
            self.table,
            string(&self.owner),
            now()
        )
    }

    /// Claims rows, which are in order, within a transaction. Gives those that no other sync has claimed.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn claim(&mut self, rows: &[i64]) -> Result<HashSet<i64>, Failure> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(HashSet::new()) };
        let time = now();
        self.expire.run(&[time.into()])?;
        for row in rows {
            self.claim.run(&[(*row).into(), (&self.owner).into(), (time + HOLDS).into()])?;
        }
        let range = [(&self.owner).into(), (*first).into(), (*last).into()];
        Ok(self.ours.all(&range, |row| row.int(0))?.into_iter().collect())
    }

    /// What ends waits for requests, and renews the claims meanwhile.
    pub fn renewing(&self) -> Arc<dyn Interrupt> {
        let (table, owner) = (self.table.clone(), string(&self.owner));
        let last = Mutex::new(Instant::now());
        Arc::new(Meanwhile::new(self.db, move |db| {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.elapsed() >= RENEWAL {
                *last = Instant::now();
                // Where another has the lock, the next time is soon enough.
                let until = now() + HOLDS;
                let _ = exec(db, &format!("UPDATE {table} SET until = {until} WHERE owner = {owner}"));
            }
        }))
    }

    /// Lets others have the rows at once.
    pub fn give_up(&self) {
        let _ = exec(self.db, &format!("DELETE FROM {} WHERE owner = {}", self.table, string(&self.owner)));
    }
}
