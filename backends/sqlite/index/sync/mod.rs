//! `SELECT rembed_sync(index [, options])`: embeds what has changed, and lets others write meanwhile.
//!
//! A round reads rows that are marked and cuts them into chunks, looks their vectors up by hash, asks the client for the
//! others with nothing open, and writes in short transactions, each of which reads its rows again: one that changed
//! meanwhile stays marked.

mod gather;
mod rows;
mod segments;
mod transaction;
mod version;
mod write;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::stored::{Stored, setting};
use crate::base::error::{Error, Result};
use crate::base::words::quoted;
use crate::client::Client;
use crate::index::asked::Asked;
use crate::index::ddl::Watched;
use crate::index::fingerprint::Fingerprint;
use crate::sql::value::{Output, Value};
use crate::sqlite::connection::{Connection, Db};
use crate::sqlite::sql::{Failure, Statement, is_autocommit, is_in_transaction};
use crate::sqlite::vtab::Argument;
use gather::{Reader, Round, Source};
use transaction::Transactions;
use write::Writer;

/// Why a step of a sync ends early.
pub enum Stop {
    /// A statement failed.
    Failed(Failure),
    /// Something else did.
    Error(Error),
    /// The index is not what it was when the sync began.
    Stale,
    /// A vector that was there is not there any more.
    Lost,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Error(error)
    }
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Error {
        match stop {
            Stop::Failed(failure) => failure.into(),
            Stop::Error(error) => error,
            Stop::Stale | Stop::Lost => Error::invalid(
                "rembed_sync: the index was changed meanwhile. What was synced is kept: sync again",
            ),
        }
    }
}

/// What a sync has done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Chunks that the client embedded.
    pub embedded: u64,
    /// Chunks whose vectors were there.
    pub reused: u64,
    /// Chunks that went.
    pub deleted: u64,
    /// Rows that failed.
    pub failed: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Counts) {
        self.embedded += more.embedded;
        self.reused += more.reused;
        self.deleted += more.deleted;
        self.failed += more.failed;
    }
}

/// The function.
///
/// # Errors
/// A transaction that is open; an index that does not exist; what fails. What was written until then is kept.
pub fn rembed_sync(connection: &Arc<Connection>, db: Db, args: &[Argument]) -> Result<Output> {
    let text = |value: &Argument, what: &str| match value.text(what) {
        Ok(Some(text)) => Ok(text.into_owned()),
        Ok(None) => Err(Error::invalid(format!("{what} is NULL"))),
        Err(why) => Err(Error::invalid(why)),
    };
    let asked = match args.get(1) {
        Some(options) if !options.is_null() => Asked::parse(&text(options, "the options of rembed_sync")?)?,
        _ => Asked::default(),
    };
    let name = text(&args[0], "the name of the index")?;
    if !is_autocommit(db) || is_in_transaction(db) {
        return Err(Error::invalid(
            "rembed_sync commits in small steps, and a transaction is open: COMMIT first, or call it on a connection in \
             autocommit mode, as SELECT rembed_sync(…) by itself",
        ));
    }
    let start = Instant::now();
    let stored = Stored::find(db, &name)?;
    let client = connection.session.client(&stored.config.client)?;
    let requests = || client.stats().requests.load(Ordering::Relaxed);
    let before = requests();
    let mut sync = Sync::new(connection, stored, &client, asked)?;
    let counts = sync.run()?;
    let pending = sync.pending()?;
    Ok(Output::Text(
        json!({
            "embedded": counts.embedded, "reused": counts.reused, "deleted": counts.deleted,
            "failed": counts.failed, "pending": pending,
            "requests": requests() - before,
            "seconds": (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        })
        .to_string()
        .into(),
    ))
}

/// The vectors that a sync fills.
#[derive(Debug, Clone)]
pub struct Target {
    /// Their generation.
    pub generation: i64,
    /// How many dimensions they have, where that is known.
    pub dimensions: Option<usize>,
    /// The model.
    pub model: Fingerprint,
    /// The settings that have the model and the dimensions.
    names: (&'static str, &'static str),
}

/// A sync under way.
pub struct Sync<'a> {
    connection: &'a Arc<Connection>,
    stored: Stored,
    watched: Watched,
    target: Target,
    transactions: Transactions,
    /// The rows that it may still take up.
    left: u64,
    counts: Counts,
}

impl<'a> Sync<'a> {
    fn new(
        connection: &'a Arc<Connection>,
        stored: Stored,
        client: &Client,
        asked: Asked,
    ) -> Result<Sync<'a>> {
        let watched = stored.searchable()?.clone();
        let call = connection.session.call(&stored.config.client, Some("document"))?;
        let target = target(&stored, Fingerprint::of(&call)?)?;
        let transactions = Transactions::new(&stored, client.timeout())?;
        let left = asked.limit.unwrap_or(u64::MAX);
        Ok(Sync { connection, stored, watched, target, transactions, left, counts: Counts::default() })
    }

    fn run(&mut self) -> Result<Counts> {
        self.take_up(Source::Marked)?;
        self.note_end()?;
        Ok(self.counts)
    }

    /// Does the rows of `source`, round by round.
    fn take_up(&mut self, source: Source) -> Result<()> {
        let mut from = i64::MIN;
        while self.left > 0 {
            let call = self.connection.session.call(&self.stored.config.client, Some("document"))?;
            let reader = Reader { stored: &self.stored, watched: &self.watched, target: &self.target };
            let mut round = reader.read(call.client(), source, from, self.left)?;
            let Some(last) = round.last() else { break };
            self.left -= round.rows.len() as u64;
            round.embed(self.connection, call)?;
            self.write(&round)?;
            let Some(next) = last.checked_add(1) else { break };
            from = next;
        }
        Ok(())
    }

    /// Writes the rows of a round.
    fn write(&mut self, round: &Round) -> Result<()> {
        let mut writer = Writer::new(&self.stored, &self.watched, &self.target)?;
        let mut next = 0;
        while next < round.rows.len() {
            let written = self.transactions.run(|until| {
                writer.begin(&self.target)?;
                let (mut done, mut counts) = (next, Counts::default());
                while done < round.rows.len() && (done == next || Instant::now() < until) {
                    counts += writer.row(&round.rows[done], round)?;
                    done += 1;
                }
                Ok((done, counts, writer.end()?))
            });
            match written {
                Ok((done, counts, target)) => {
                    next = done;
                    self.counts += counts;
                    self.target = target;
                }
                // Another sync took the vector out that the row was to have. It stays marked.
                Err(Stop::Lost) => next += 1,
                Err(stop) => return Err(stop.into()),
            }
        }
        Ok(())
    }

    fn note_end(&mut self) -> Result<()> {
        let stored = &self.stored;
        let sql = format!("INSERT OR REPLACE INTO {}(name, value) VALUES (?1, ?2)", stored.table("config"));
        let mut put = Statement::prepare(stored.db, &sql)?;
        Ok(self.transactions.run(|_| Ok(put.run(&[setting::SYNCED.into(), now().into()])?))?)
    }

    fn pending(&self) -> Result<i64> {
        let sql = format!("SELECT count(*) FROM {}", self.stored.table("marks"));
        Ok(Statement::prepare(self.stored.db, &sql)?.first(&[], |row| row.int(0))?.unwrap_or(0))
    }
}

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// The vectors that are to be filled, if they can be by this client.
fn target(stored: &Stored, model: Fingerprint) -> Result<Target> {
    if let Some(before) = stored.text(setting::MODEL) {
        let before = Fingerprint::from_json(before)?;
        if before != model {
            return Err(other_model(stored, &before.to_string(), &model.to_string()));
        }
    }
    Ok(Target {
        generation: stored.generation(),
        dimensions: stored.dimensions(),
        model,
        names: (setting::MODEL, setting::DIMENSIONS),
    })
}

fn other_model(stored: &Stored, before: &str, now: &str) -> Error {
    Error::invalid(format!(
        "the vectors of the index {} are of {before}, and its client {} has {now}: vectors of two models cannot be compared. \
         SELECT rembed_sync({}, '{{\"reembed\": true}}') embeds every chunk anew; or register the client as it was",
        quoted(&stored.name),
        quoted(&stored.config.client),
        crate::index::name::string(&stored.qualified())
    ))
}
