//! Which rows a sync has its client embed, so that another sync takes others meanwhile. A claim that is not renewed
//! expires: whoever made it was killed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::gather::Round;
use super::transaction::Transactions;
use super::{Stop, now};
use crate::base::interrupt::Interrupt;
use crate::index::name::string;
use crate::sqlite::connection::{Connection, Db, Meanwhile};
use crate::sqlite::index::stored::Stored;
use crate::sqlite::sql::{Statement, exec};

/// How long a claim holds, in seconds.
const HOLDS: f64 = 30.0;
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(8);

/// The claims of a sync.
pub struct Claims {
    db: Db,
    table: String,
    owner: String,
}

impl Claims {
    /// Of a sync of `stored` on a connection. One that was interrupted left claims, which are ours as well.
    pub fn new(stored: &Stored, connection: &Connection) -> Claims {
        // A process has other numbers than the one that it is the fork of.
        let owner = format!("{:x}-{:x}", std::process::id(), connection.number);
        Claims { db: stored.db, table: stored.table("claims"), owner }
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

    /// Claims the rows of a round that lack vectors. Those that another sync has claimed leave the round.
    ///
    /// # Errors
    /// As [`Transactions::run`].
    pub fn claim(&self, round: &mut Round, transactions: &mut Transactions) -> Result<(), Stop> {
        let (db, table) = (self.db, &self.table);
        let mut expire = Statement::prepare(db, &format!("DELETE FROM {table} WHERE until < ?1"))?;
        let mut claim = Statement::prepare(
            db,
            &format!(
                "INSERT INTO {table}(\"row\", owner, until) VALUES (?1, ?2, ?3) ON CONFLICT(\"row\") DO UPDATE SET until = \
                 excluded.until WHERE owner = excluded.owner"
            ),
        )?;
        let mut ours = Statement::prepare(
            db,
            &format!("SELECT \"row\" FROM {table} WHERE owner = ?1 AND \"row\" BETWEEN ?2 AND ?3"),
        )?;
        let wanted = round.rows_without_vectors();
        let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Ok(()) };
        let claimed: HashSet<i64> = transactions.run(|_| {
            let time = now();
            expire.run(&[time.into()])?;
            for row in &wanted {
                claim.run(&[(*row).into(), (&self.owner).into(), (time + HOLDS).into()])?;
            }
            let range = [(&self.owner).into(), (*first).into(), (*last).into()];
            Ok(ours.all(&range, |row| row.int(0))?.into_iter().collect())
        })?;
        round.keep(&claimed);
        Ok(())
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
