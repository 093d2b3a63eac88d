//! Generations of vectors: one answers, and another may be filled meanwhile, by another model.

use super::Stop;
use super::run::Sync;
use super::transaction::Transactions;
use crate::base::error::{Error, Result};
use crate::base::words::quoted;
use crate::index::fingerprint::Fingerprint;
use crate::index::name::string;
use crate::sqlite::index::stored::{Stored, put, setting, width};
use crate::sqlite::sql::{Arg, Statement};

/// The vectors that a sync fills.
#[derive(Debug, Clone)]
pub struct Target {
    /// Their generation.
    pub generation: i64,
    /// The generation whose vectors serve too: the same, but for a rebuild.
    pub source: i64,
    /// How many dimensions they have, where that is known.
    pub dimensions: Option<usize>,
    /// The model.
    pub model: Fingerprint,
    /// Whether another generation answers.
    pub is_next: bool,
}

impl Target {
    /// The settings that have the model and the dimensions.
    pub fn settings(&self) -> (&'static str, &'static str) {
        match self.is_next {
            true => (setting::NEXT_MODEL, setting::NEXT_DIMENSIONS),
            false => (setting::MODEL, setting::DIMENSIONS),
        }
    }
}

/// The query of `columns` of a vector of the generation `?1` or `?2`, of the hash `?3` and of `?4` bytes. For IN, SQLite would
/// make a table of the two each time, which takes longer than the search.
pub fn by_hash(stored: &Stored, columns: &str) -> String {
    let of = |generation: &str| {
        let table = stored.table("vectors");
        format!("SELECT {columns} FROM {table} WHERE {generation} AND hash = ?3 AND length(vector) = ?4")
    };
    format!("{} UNION ALL {} LIMIT 1", of("generation = ?1"), of("?1 <> ?2 AND generation = ?2"))
}

/// The vectors that are to be filled, if they can be by this model.
///
/// # Errors
/// Vectors of another model.
pub fn target(stored: &Stored, model: Fingerprint) -> Result<Target> {
    let answering = stored.generation();
    let (generation, before, dimensions) = match stored.next() {
        Some((next, before)) => (next, Some(before), stored.int(setting::NEXT_DIMENSIONS)),
        None => (answering, stored.text(setting::MODEL), stored.int(setting::DIMENSIONS)),
    };
    if let Some(before) = before {
        let before = Fingerprint::from_json(before)?;
        if before != model {
            return Err(other_model(stored, &before, &model));
        }
    }
    let copies = stored.is_set(setting::NEXT_COPIES);
    Ok(Target {
        generation,
        source: if copies { answering } else { generation },
        dimensions: dimensions.and_then(width),
        model,
        is_next: generation != answering,
    })
}

fn other_model(stored: &Stored, before: &Fingerprint, now: &Fingerprint) -> Error {
    let begun = if stored.next().is_some() { "being embedded anew by" } else { "of" };
    Error::invalid(format!(
        "the vectors of the index {} are {begun} the model {before}, and its client {} has {now} now: vectors of two models \
         cannot be compared. Register the client as it was, or embed every chunk anew: SELECT rembed_sync({}, \
         '{{\"reembed\": true}}')",
        quoted(&stored.name),
        quoted(&stored.config.client),
        string(&stored.qualified())
    ))
}

/// Begins a generation of `model`, unless one is begun already. Where nothing was embedded yet, nothing is embedded anew.
///
/// # Errors
/// As [`Transactions::run`].
pub fn begin(stored: Stored, model: &Fingerprint, transactions: &mut Transactions) -> Result<Stored, Stop> {
    let is_begun = stored.next().is_some_and(|(_, next)| next == model.to_json())
        && !stored.is_set(setting::NEXT_COPIES);
    if is_begun || (stored.next().is_none() && stored.dimensions().is_none()) {
        return Ok(stored);
    }
    let (db, schema, name) = (stored.db, stored.schema.clone(), stored.name.clone());
    let next = stored.next().map_or(stored.generation(), |(next, _)| next) + 1;
    let json = model.to_json();
    let mut retry = Statement::prepare(db, &format!("UPDATE {} SET again = 0", stored.table("errors")))?;
    transactions.run(|_| {
        retry.run(&[])?;
        let settings = [
            (setting::NEXT_GENERATION, next.into()),
            (setting::NEXT_MODEL, (&json).into()),
            (setting::NEXT_DIMENSIONS, Arg::Null),
            (setting::NEXT_COPIES, Arg::Null),
            (setting::REVISION, (stored.next_revision()).into()),
        ];
        Ok(put(db, &schema, &name, &settings)?)
    })?;
    Ok(Stored::read(db, &schema, &name)?)
}

/// Has the next generation answer, if only failed rows are left.
///
/// # Errors
/// As [`Transactions::run`].
pub fn swap(sync: &mut Sync<'_>) -> Result<bool, Stop> {
    let stored = &sync.stored;
    let (db, schema, name) = (stored.db, &stored.schema, &stored.name);
    let generation = sync.target.generation;
    let model = sync.target.model.to_json();
    let mut unfilled =
        Statement::prepare(db, &format!("SELECT 1 {} LIMIT 1", from_unfilled(stored, generation)))?;
    // Not within the transaction, since it may take long: from now on a chunk comes with its vector of this generation.
    if unfilled.first(&[], |_| ())?.is_some() {
        return Ok(false);
    }
    // Where nothing came at all, the client is wrong rather than every text: what answers now is kept.
    let has_chunks = Statement::prepare(db, &format!("SELECT 1 FROM {} LIMIT 1", stored.table("chunks")))?
        .first(&[], |_| ())?
        .is_some();
    if sync.target.dimensions.is_none() && has_chunks {
        return Ok(false);
    }
    let mut passing = Statement::prepare(
        db,
        &format!(
            "SELECT 1 FROM {} WHERE name = '{}' AND value IS NOT NULL",
            stored.table("config"),
            setting::PASS
        ),
    )?;
    let dimensions = sync.target.dimensions.map(|n| n as i64);
    let revision = stored.next_revision();
    sync.transactions.run(|_| {
        if passing.first(&[], |_| ())?.is_some() {
            return Ok(false);
        }
        let settings = [
            (setting::GENERATION, generation.into()),
            (setting::MODEL, (&model).into()),
            (setting::DIMENSIONS, dimensions.into()),
            (setting::NEXT_GENERATION, Arg::Null),
            (setting::NEXT_MODEL, Arg::Null),
            (setting::NEXT_DIMENSIONS, Arg::Null),
            (setting::NEXT_COPIES, Arg::Null),
            (setting::REVISION, revision.into()),
        ];
        put(db, schema, name, &settings)?;
        Ok(true)
    })
}

/// FROM and WHERE of the chunks without a vector of a generation, but those of rows that have failed.
pub fn from_unfilled(stored: &Stored, generation: i64) -> String {
    format!(
        "FROM {} AS c WHERE NOT EXISTS (SELECT 1 FROM {} AS v WHERE v.generation = {generation} AND v.chunk = c.id) \
         AND NOT EXISTS (SELECT 1 FROM {} AS e WHERE e.\"row\" = c.\"row\")",
        stored.table("chunks"),
        stored.table("vectors"),
        stored.table("errors")
    )
}
