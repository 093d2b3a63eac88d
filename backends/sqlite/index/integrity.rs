//! `INSERT INTO docs_index(docs_index) VALUES ('integrity-check')`: whether the tables of an index agree.

use std::collections::BTreeMap;

use super::stored::{Stored, setting};
use super::sync::rows::{Content, Rows};
use crate::base::error::{Error, Result};
use crate::base::words::quoted;
use crate::index::name::{quote, string};
use crate::index::plan::key_of;
use crate::index::quant::Quantised;
use crate::index::rescore::vector_of;
use crate::index::segment::{PLACES_MAX, Place, Segment, encode};
use crate::sqlite::sql::{Statement, exec};

/// Checks an index.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(stored: &Stored) -> Result<()> {
    let is_rebuilt = stored.is_set(setting::NEXT_COPIES);
    said(stored, chunks(stored), is_rebuilt)?;
    said(stored, words(stored), stored.words_are_due())?;
    said(stored, vectors(stored, stored.generation()), is_rebuilt)?;
    said(stored, content(stored), false)
}

/// What is wrong, and what to do: a sync where it `is_due` to be made anew.
fn said(stored: &Stored, done: Result<()>, is_due: bool) -> Result<()> {
    done.map_err(|e| match e {
        Error::Invalid(why) if is_due => Error::invalid(format!(
            "the index {} is not synced yet, and until then {why}: SELECT rembed_sync({})",
            quoted(&stored.name),
            string(&stored.qualified())
        )),
        Error::Invalid(why) => Error::invalid(format!(
            "the index {} is damaged: {why}. INSERT INTO {name}({name}) VALUES ('rebuild'), and sync it",
            quoted(&stored.name),
            name = quote(&stored.name)
        )),
        e => e,
    })
}

fn wrong(why: String) -> Result<()> {
    Err(Error::invalid(why))
}

/// Each chunk has the text that its hash is of.
fn chunks(stored: &Stored) -> Result<()> {
    let mut all =
        Statement::prepare(stored.db, &format!("SELECT id, hash, chunk FROM {}", stored.table("chunks")))?;
    all.start(&[])?;
    while all.step()? {
        let (id, hash, text) = (all.int(0), all.bytes(1), all.text(2));
        if id <= 0 || hash != key_of(&text) {
            return wrong(format!("the text of chunk {id} is not the one that was embedded"));
        }
    }
    Ok(())
}

/// There are words of each chunk, and of no other.
fn words(stored: &Stored) -> Result<()> {
    let Some(suffix) = stored.words() else { return Ok(()) };
    let (chunks, words) = (stored.table("chunks"), stored.table(suffix));
    for (sql, what) in [
        (format!("SELECT id FROM {chunks} EXCEPT SELECT rowid FROM {words}"), "has no words"),
        (format!("SELECT rowid FROM {words} EXCEPT SELECT id FROM {chunks}"), "has words and is not there"),
    ] {
        if let Some(id) = Statement::prepare(stored.db, &sql)?.first(&[], |row| row.int(0))? {
            return wrong(format!("chunk {id} {what}"));
        }
    }
    let name = quote(&format!("{}_{suffix}", stored.name));
    let checked = exec(stored.db, &format!("INSERT INTO {words}({name}) VALUES ('integrity-check')"));
    // FTS5 goes on reading until its table is read again or the statement ends. Where that fails, SQLite would keep the lock.
    let _ = Statement::prepare(stored.db, &format!("SELECT rowid FROM {words}"))?.first(&[], |_| ());
    match checked {
        Ok(()) => Ok(()),
        Err(failure) => match Error::from(failure) {
            Error::Invalid(why) => wrong(format!("its words are damaged ({why})")),
            e => Err(e),
        },
    }
}

/// Each vector is of a chunk, and stands at its place; each chunk has one, but where the client gave none.
fn vectors(stored: &Stored, generation: i64) -> Result<()> {
    let Some(dimensions) = stored.dimensions() else { return Ok(()) };
    let mut segments = BTreeMap::new();
    let sql = format!("SELECT id, live, data FROM {} WHERE generation = ?1", stored.table("segments"));
    let mut all = Statement::prepare(stored.db, &sql)?;
    for (id, live, data) in all.all(&[generation.into()], |row| (row.int(0), row.int(1), row.bytes(2)))? {
        let segment = Segment::read(&data, dimensions)?;
        if segment.live() as i64 != live {
            return wrong(format!("segment {id} has {} vectors and counts {live}", segment.live()));
        }
        segments.insert(id, (data, live));
    }
    let sql = format!(
        "SELECT v.chunk, c.\"row\", v.hash IS c.hash, v.segment, v.place, v.vector FROM {} AS v LEFT JOIN {} AS c ON c.id = v.chunk \
         WHERE v.generation = ?1 AND v.chunk > 0",
        stored.table("vectors"),
        stored.table("chunks")
    );
    let mut all = Statement::prepare(stored.db, &sql)?;
    all.start(&[generation.into()])?;
    while all.step()? {
        let (id, row, place) = (all.int(0), all.int(1), usize::try_from(all.int(4)).unwrap_or(usize::MAX));
        if all.int(2) == 0 {
            return wrong(format!("the vector of chunk {id} is of another text"));
        }
        let vector = Quantised::new(&vector_of(&all.bytes(5), dimensions, id)?)?;
        let expected = encode(&Place { id, row, vector: &vector })?;
        let is_there = segments.get_mut(&all.int(3)).is_some_and(|(data, live)| {
            *live = live.saturating_sub(1);
            place < PLACES_MAX && data.get(Segment::range(dimensions, place)) == Some(&expected[..])
        });
        if !is_there {
            return wrong(format!("the vector of chunk {id} is not at its place"));
        }
    }
    if let Some((id, _)) = segments.iter().find(|(_, (_, left))| *left != 0) {
        return wrong(format!("segment {id} has a vector of no chunk"));
    }
    let sql = format!(
        "SELECT c.id FROM {} AS c WHERE NOT EXISTS (SELECT 1 FROM {} AS v WHERE v.generation = ?1 AND v.chunk = c.id) \
         AND NOT EXISTS (SELECT 1 FROM {} AS e WHERE e.\"row\" = c.\"row\")",
        stored.table("chunks"),
        stored.table("vectors"),
        stored.table("errors")
    );
    // While another generation is filled, new chunks have vectors of that one alone.
    match Statement::prepare(stored.db, &sql)?.first(&[generation.into()], |row| row.int(0))? {
        Some(id) if stored.next().is_none() => wrong(format!("chunk {id} has no vector")),
        _ => Ok(()),
    }
}

/// Each row that is not marked has the text that it was synced with.
fn content(stored: &Stored) -> Result<()> {
    let (Ok(watched), None) = (stored.searchable(), stored.pass()) else { return Ok(()) };
    let mut rows = Rows::new(stored, watched)?;
    let sql = format!(
        "SELECT c.{}, r.hash FROM {} AS c LEFT JOIN {} AS r ON r.\"row\" = c.{id} WHERE NOT EXISTS (SELECT 1 FROM {} AS m \
         WHERE m.\"row\" = c.{id})",
        quote(&watched.rowid),
        stored.content(watched),
        stored.table("rows"),
        stored.table("marks"),
        id = quote(&watched.rowid)
    );
    let mut all = Statement::prepare(stored.db, &sql)?;
    all.start(&[])?;
    while all.step()? {
        let (row, hash) = (all.int(0), all.bytes(1));
        match rows.read(row)? {
            Content::Text(text) if hash != key_of(&text) => {
                return wrong(format!("the row {row} has changed, and no trigger has marked it"));
            }
            _ => {}
        }
    }
    Ok(())
}
