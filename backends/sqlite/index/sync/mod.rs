//! `SELECT rembed_sync(index [, options])`: embeds what has changed, and lets others write meanwhile.
//!
//! A round reads rows that are marked and cuts them into chunks, looks their vectors up by hash, and asks the client for the
//! others. While the requests of some rounds travel, one that has all of its vectors is written, in short transactions. A
//! row that changed since it was read stays marked. Replies are waited for with nothing open.

mod claims;
mod gather;
mod generations;
mod optimize;
mod pass;
mod release;
pub mod rows;
mod run;
mod segments;
mod settle;
mod transaction;
mod tuning;
mod version;
mod words;
mod write;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::shapes;
use super::stored::Stored;
use crate::base::error::{Error, Result};
use crate::base::words::quoted;
use crate::index::asked::Asked;
use crate::index::fingerprint::Fingerprint;
use crate::index::plan::Key;
use crate::sql::value::{Output, Value};
use crate::sqlite::connection::{Connection, Db};
use crate::sqlite::sql::{Failure, is_autocommit, is_in_transaction, patiently};
use crate::sqlite::vtab::Argument;
use gather::Came;
use release::Release;
use run::Sync;

/// How often a sync begins anew since the index was changed meanwhile.
const RESTARTS: usize = 20;

/// How long a sync asks for a lock before it knows its client's timeout.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a step of a sync ends early.
#[derive(Debug)]
pub enum Stop {
    /// A statement failed.
    Failed(Failure),
    /// Something else did.
    Error(Error),
    /// The index is not what it was when the sync began.
    Stale,
    /// A vector that was there is not there any more, which this row was to have.
    Lost(i64),
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
            Stop::Stale | Stop::Lost(_) => Error::invalid(
                "rembed_sync: the index is changed over and over meanwhile. What was synced is kept: sync again",
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
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Counts) {
        self.embedded += more.embedded;
        self.reused += more.reused;
        self.deleted += more.deleted;
    }
}

/// What a sync that begins anew takes with it.
pub struct Progress {
    /// By this number the vectors are known that it has taken from chunks.
    number: i64,
    counts: Counts,
    /// The rows that it took up.
    taken: u64,
    /// Vectors that came and were not written, and their model.
    spare: Option<(Fingerprint, HashMap<Key, Came>)>,
    /// Whether the second generation that the call asks for was begun.
    has_begun: bool,
}

/// The function.
///
/// # Errors
/// A transaction that is open; an index that does not exist; what fails. What was written until then is kept.
pub fn rembed_sync(connection: &Arc<Connection>, db: Db, args: &[Argument]) -> Result<Output> {
    connection.unsettled.try_again(db);
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
    if !is_autocommit(db) {
        return Err(Error::invalid(
            "rembed_sync commits in small steps, and a transaction is open: COMMIT first, or call it on a connection in \
             autocommit mode, as SELECT rembed_sync(…) by itself",
        ));
    }
    if is_in_transaction(db) {
        return Err(Error::invalid(
            "rembed_sync commits in small steps, and a statement is still reading on this connection: read it to its end or \
             close its cursor, and SELECT rembed_sync(…) by itself, without FROM",
        ));
    }
    if let Some(lock) = connection.session.locked().filter(|_| asked.reembed) {
        return Err(Error::invalid(format!(
            "locked by {lock}: an index may be synced, but not embedded anew. SELECT rembed_sync(…, '{{\"reembed\": true}}') \
             where no lock is"
        )));
    }
    let release = Rc::new(RefCell::new(Release::new(db)?));
    let done = synced(connection, db, asked, &name, &release);
    if done.is_err() {
        release.borrow_mut().end();
    }
    done
}

fn synced(
    connection: &Arc<Connection>,
    db: Db,
    asked: Asked,
    name: &str,
    release: &Rc<RefCell<Release>>,
) -> Result<Output> {
    let start = Instant::now();
    let patient = patiently(PATIENCE);
    let stored = Stored::find(db, name)?;
    let client = connection.session.client(&stored.config.client)?;
    drop(patient);
    let _patient = patiently(client.timeout());
    let requests = || client.stats().requests.load(Ordering::Relaxed);
    let before = requests();
    let (schema, name) = (stored.schema.clone(), stored.name.clone());
    let mut progress = Progress {
        number: fastrand::i64(1..),
        counts: Counts::default(),
        taken: 0,
        spare: None,
        has_begun: false,
    };
    for restart in 0.. {
        shapes::check(db, &schema, &name)?;
        let stored = Stored::read(db, &schema, &name)?;
        match Sync::new(connection, stored, asked, &mut progress, release).and_then(Sync::run) {
            Ok(()) => break,
            Err(Stop::Stale) if restart < RESTARTS => {}
            Err(stop) => return Err(stop.into()),
        }
    }
    let stored = Stored::read(db, &schema, &name)?;
    let Counts { embedded, reused, deleted } = progress.counts;
    Ok(Output::Text(
        json!({
            "embedded": embedded, "reused": reused, "deleted": deleted,
            "failed": stored.failed()?, "pending": stored.pending()?,
            "requests": requests() - before,
            "seconds": (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        })
        .to_string()
        .into(),
    ))
}

/// Where a walk through a table by rowid goes on after a slice from `from` on that ends with `last`; `None` after the last
/// rowid there is.
///
/// # Errors
/// A slice that ends before it begins: the table is a stranger's, and the walk would never end.
fn after(stored: &Stored, from: i64, last: i64) -> Result<Option<i64>> {
    if last < from {
        return Err(Error::invalid(format!(
            "the index {} is damaged: its rows are in no order. DROP TABLE {0}, and make it anew",
            quoted(&stored.name)
        )));
    }
    Ok(last.checked_add(1))
}

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}
