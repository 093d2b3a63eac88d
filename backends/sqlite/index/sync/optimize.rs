//! `optimize`: the words in one piece, and the vectors in as few segments as hold them. Some at a time.

use std::time::Instant;

use super::Stop;
use super::run::Sync;
use super::segments::Segments;
use super::transaction::Transactions;
use crate::index::name::quote;
use crate::index::pace::fitting;
use crate::index::quant::Quantised;
use crate::index::rescore::vector_of;
use crate::index::segment::{PLACES_MAX, Segment};
use crate::sqlite::index::stored::{Stored, put, setting};
use crate::sqlite::sql::{Arg, Statement};

/// The least pages of words that are merged in a step, and those of the first.
const PAGES: i64 = 16;
/// The most pieces of words before they are merged: a search reads each. Each step writes a page of every piece anew, however few
/// pages it merges, so that merging more takes most of its time for that. Merging fewer writes each word more often.
pub const PIECES_MOST: u32 = 64;
/// Vectors that move in a step.
const VECTORS: usize = 32;

/// Does it, if it was asked for. The words of several syncs are merged in any case.
///
/// # Errors
/// What SQLite says; an interrupt. The next sync goes on.
pub fn optimize(sync: &mut Sync<'_>) -> Result<(), Stop> {
    let is_asked = sync.stored.is_set(setting::OPTIMIZE);
    if let Some(words) = sync.stored.words().filter(|_| is_asked) {
        merge(&mut sync.transactions, &sync.stored, words, -PAGES)?;
    }
    if let Some(words) = sync.stored.words() {
        merge_words(&mut sync.transactions, &sync.stored, words)?;
    }
    if !is_asked {
        return Ok(());
    }
    while move_some(sync)? {}
    let (db, schema, name) = (sync.stored.db, &*sync.stored.schema, &*sync.stored.name);
    sync.transactions.run(|_| Ok(put(db, schema, name, &[(setting::OPTIMIZE, Arg::Null)])?))
}

/// Merges the pieces that each transaction leaves, where there are some: FTS5 is told not to, since it would do much at once
/// while the lock is held.
///
/// # Errors
/// As [`Transactions::run`](super::transaction::Transactions::run).
pub fn merge_words(transactions: &mut Transactions, stored: &Stored, words: &str) -> Result<(), Stop> {
    merge(transactions, stored, words, PAGES)
}

/// <https://www.sqlite.org/fts5.html#the_merge_command>: a negative number first where all is to be one piece, and positive
/// ones until nothing changes.
fn merge(transactions: &mut Transactions, stored: &Stored, words: &str, pages: i64) -> Result<(), Stop> {
    let name = quote(&format!("{}_{words}", stored.name));
    let sql = format!("INSERT INTO {}({name}, rank) VALUES ('merge', ?1)", stored.table(words));
    let mut merge = Statement::prepare(stored.db, &sql)?;
    let mut changes = Statement::prepare(stored.db, "SELECT total_changes()")?;
    let mut step = pages;
    loop {
        let (is_done, next) = transactions.run(|until| {
            let start = Instant::now();
            let before = changes.first(&[], |row| row.int(0))?;
            merge.run(&[step.into()])?;
            let after = changes.first(&[], |row| row.int(0))?;
            Ok((
                after.unwrap_or(0) - before.unwrap_or(0) < 2,
                fitting(step, start.elapsed(), until - start).max(PAGES),
            ))
        })?;
        if is_done || pages < 0 {
            return Ok(());
        }
        step = next;
    }
}

/// Moves vectors out of the segment that has the fewest, if the others have room; false when there is nothing to move.
fn move_some(sync: &mut Sync<'_>) -> Result<bool, Stop> {
    let stored = &sync.stored;
    let (db, generation) = (stored.db, stored.generation());
    let Some(dimensions) = stored.dimensions() else { return Ok(false) };
    let of = |suffix: &str, sql: &str| Statement::prepare(db, &sql.replace("TABLE", &stored.table(suffix)));
    let mut counts =
        of("segments", "SELECT count(*), coalesce(sum(live), 0) FROM TABLE WHERE generation = ?1")?;
    let mut fewest =
        of("segments", "SELECT id, data FROM TABLE WHERE generation = ?1 ORDER BY live, id LIMIT 1")?;
    let mut vector =
        of("vectors", "SELECT id, place, vector FROM TABLE WHERE generation = ?1 AND chunk = ?2")?;
    let mut row = of("chunks", "SELECT \"row\" FROM TABLE WHERE id = ?1")?;
    let mut move_to = of("vectors", "UPDATE TABLE SET segment = ?2, place = ?3 WHERE id = ?1")?;
    let mut segments = Segments::new(stored)?;
    sync.transactions.run(|_| {
        segments.begin(false);
        let (count, live) =
            counts.first(&[generation.into()], |row| (row.int(0), row.int(1)))?.unwrap_or_default();
        if count <= 1 || live > (count - 1) * PLACES_MAX as i64 {
            return Ok(false);
        }
        let Some((from, data)) = fewest.first(&[generation.into()], |row| (row.int(0), row.bytes(1)))? else {
            return Ok(false);
        };
        let segment = Segment::read(&data, dimensions)?;
        let ids: Vec<i64> = (0..segment.len()).map(|place| segment.id(place)).filter(|id| *id != 0).collect();
        segments.leave_out(from);
        for id in ids.into_iter().take(VECTORS) {
            let found = vector
                .first(&[generation.into(), id.into()], |row| (row.int(0), row.int(1), row.bytes(2)))?;
            let content = row.first(&[id.into()], |row| row.int(0))?;
            let (Some((vector, place, bytes)), Some(content)) = (found, content) else {
                return Ok(false);
            };
            let quantised = Quantised::new(&vector_of(&bytes, dimensions, id)?)?;
            segments.free(from, place, id)?;
            let (segment, place) = segments.put(generation, id, content, &quantised)?;
            move_to.run(&[vector.into(), segment.into(), place.into()])?;
        }
        segments.flush()?;
        Ok(true)
    })
}
