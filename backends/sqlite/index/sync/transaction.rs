//! A batch's transaction: it waits for a lock by itself, ends whatever happens, and gives others their turn.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Stop;
use super::release::Release;
use super::tuning::Tuning;
use super::version::Version;
use crate::base::error::{Error, Result};
use crate::base::interrupt::Interrupt;
use crate::index::ddl::{MARKS, Watched};
use crate::index::pace::{Pace, away, backoff};
use crate::sqlite::connection::{Connection, Db, Handle};
use crate::sqlite::index::stored::Stored;
use crate::sqlite::sql::{Failure, Statement, is_autocommit};

/// How long a commit waits for readers (of a rollback journal) before it gives way.
const COMMIT_WAIT: Duration = Duration::from_millis(60);
/// How often a wait asks whether it is interrupted.
const SLICE: Duration = Duration::from_millis(5);

/// Opens transactions on a connection.
pub struct Transactions {
    db: Db,
    interrupt: Arc<dyn Interrupt>,
    // Prepared before the first BEGIN: an interrupt lets nothing be prepared.
    begin: Statement,
    /// The first write, to the index's own schema: BEGIN IMMEDIATE would lock every attached database.
    first: Statement,
    /// The table that it writes.
    marks: (String, String),
    commit: Statement,
    release: Rc<RefCell<Release>>,
    /// How long to ask for a lock.
    patience: Duration,
    /// Whether others may wait for the lock.
    is_shared: bool,
    pace: Pace,
    /// Until then the lock is left to others.
    away: Instant,
    tuning: Tuning,
    /// What the index was when the sync began.
    version: Option<Version>,
}

impl Transactions {
    /// For the index, waiting `patience` for a lock.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn new(
        stored: &Stored,
        patience: Duration,
        connection: &Arc<Connection>,
        release: &Rc<RefCell<Release>>,
    ) -> Result<Transactions, Failure> {
        let db = stored.db;
        let mut file = Statement::prepare(db, "SELECT file FROM pragma_database_list WHERE name = ?1")?;
        let file = file.first(&[(&stored.schema).into()], |row| row.text(0))?;
        Ok(Transactions {
            db,
            interrupt: Arc::new(Handle(db.as_ptr())),
            begin: Statement::prepare(db, "BEGIN")?,
            first: Statement::prepare(db, &format!("DELETE FROM {} WHERE 0", stored.table(MARKS)))?,
            marks: (stored.schema.clone(), format!("{}_{MARKS}", stored.name)),
            commit: Statement::prepare(db, "COMMIT")?,
            release: release.clone(),
            patience,
            is_shared: file.is_some_and(|file| !file.is_empty()),
            pace: Pace::default(),
            away: Instant::now(),
            tuning: Tuning::new(stored, connection)?,
            version: None,
        })
    }

    /// From now on each transaction ends by [`Stop::Stale`] where the index is not this one any more.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn watch(&mut self, stored: &Stored, watched: &Watched) -> Result<(), Failure> {
        self.version = Some(Version::new(stored, watched)?);
        Ok(())
    }

    /// From now on a commit is as durable as the connection says.
    pub fn durably(&mut self) {
        self.tuning.restore();
    }

    /// Runs `work` in a transaction, which it ends by `true` where it has anything to be kept. `work` is told until when
    /// it may go on. Whatever it counted is void where this fails. It may run again.
    ///
    /// # Errors
    /// What `work` says; an interrupt; a lock that others keep for too long.
    pub fn run<T>(&mut self, mut work: impl FnMut(Instant) -> Result<T, Stop>) -> Result<T, Stop> {
        self.sleep(self.away.saturating_duration_since(Instant::now()))?;
        let deadline = Instant::now() + self.patience;
        let mut tries = 0;
        loop {
            let mut since = None;
            match self.attempt(&mut since, &mut work) {
                Ok(done) => {
                    let held = since.map_or(Duration::ZERO, |since| since.elapsed());
                    self.pace.held(held);
                    if self.is_shared {
                        self.away = Instant::now() + away(held);
                    }
                    self.tuning.written();
                    return Ok(done);
                }
                Err(Stop::Failed(failure)) if failure.is_busy() => {
                    if Instant::now() >= deadline {
                        return Err(Error::invalid(format!(
                            "rembed_sync: others have kept the lock of the database for {} s (option timeout of the client): \
                             {}. What was synced is kept: sync again",
                            self.patience.as_secs_f64(),
                            failure.text
                        ))
                        .into());
                    }
                    self.sleep(backoff(tries))?;
                    tries += 1;
                }
                Err(stop) => return Err(stop),
            }
        }
    }

    fn attempt<T>(
        &mut self,
        since: &mut Option<Instant>,
        work: &mut impl FnMut(Instant) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        self.begin.run(&[])?;
        let done = self.first.run(&[]).map_err(Stop::from).and_then(|()| {
            let start = Instant::now();
            *since = Some(start);
            if let Some(version) = &mut self.version {
                version.check()?;
            }
            let done = work(start + self.pace.work())?;
            self.commit()?;
            Ok(done)
        });
        if done.is_err() {
            let (schema, table) = &self.marks;
            self.release.borrow_mut().end_with(schema, table, "kind");
        }
        self.release.borrow_mut().refresh()?;
        done
    }

    fn commit(&mut self) -> Result<(), Failure> {
        let start = Instant::now();
        loop {
            match self.commit.run(&[]) {
                // Readers may end at any moment, and no new one begins.
                Err(failure)
                    if failure.is_busy() && start.elapsed() < COMMIT_WAIT && !is_autocommit(self.db) =>
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
                done => return done,
            }
        }
    }

    /// Waits.
    ///
    /// # Errors
    /// An interrupt meanwhile.
    pub fn sleep(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            if self.interrupt.is_interrupted() {
                return Err(Error::Interrupted);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(SLICE));
        }
    }
}
