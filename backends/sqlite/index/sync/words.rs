//! A table of words that is made anew: from the chunks that are there, some at a time, beside the one that answers meanwhile.

use std::time::Instant;

use super::optimize::{PIECES_MOST, merge_words};
use super::run::Sync;
use super::{Stop, after};
use crate::index::ddl;
use crate::sqlite::index::drop::drop_words;
use crate::sqlite::index::stored::{Stored, put, setting};
use crate::sqlite::sql::{Arg, Statement};

/// Chunks whose words are written before the time is looked at.
const CHUNKS: i64 = 16;

/// Fills the table of words that is to follow, if there is one, and has it answer; true where it does now.
///
/// No chunk changes meanwhile: whoever syncs fills the table first, and a sync that began before sees that the index was
/// changed.
///
/// # Errors
/// What SQLite says; an interrupt. The next sync goes on.
pub fn fill(sync: &mut Sync<'_>) -> Result<bool, Stop> {
    let stored = &sync.stored;
    let Some(next) = stored.next_words().filter(|_| stored.has_fts5) else { return Ok(false) };
    let (db, schema, name) = (stored.db, &*stored.schema, &*stored.name);
    let of = |suffix: &str, sql: &str| Statement::prepare(db, &sql.replace("TABLE", &stored.table(suffix)));
    // Read within the transaction: another sync may fill the table too.
    let mut from = of("config", "SELECT value FROM TABLE WHERE name = ?1")?;
    let mut chunks = of("chunks", "SELECT id, chunk FROM TABLE WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let mut add = of(next, "INSERT INTO TABLE(rowid, chunk) VALUES (?1, ?2)")?;
    for count in 1.. {
        let is_full = sync.transactions.run(|until| {
            let from = from.first(&[setting::NEXT_WORDS_FROM.into()], |row| row.int(0))?.unwrap_or(0);
            let (mut last, mut is_full) = (from, false);
            while !is_full && (last == from || Instant::now() < until) {
                let some = chunks.all(&[last.into(), CHUNKS.into()], |row| (row.int(0), row.text(1)))?;
                is_full = some.is_empty();
                for (id, text) in some {
                    after(stored, last.saturating_add(1), id)?;
                    add.run(&[id.into(), (&text).into()])?;
                    last = id;
                }
            }
            put(db, schema, name, &[(setting::NEXT_WORDS_FROM, last.into())])?;
            Ok(is_full)
        })?;
        if is_full || count % PIECES_MOST == 0 {
            merge_words(&mut sync.transactions, stored, next)?;
        }
        if is_full {
            break;
        }
    }
    drop((from, chunks, add));
    sync.transactions.run(|_| {
        if let Some(before) = stored.words() {
            drop_words(db, schema, name, before)?;
        }
        let settings = [
            (setting::WORDS, number_of(next).into()),
            (setting::WORDS_TOKENIZE, (&stored.config.tokenize).into()),
            (setting::NEXT_WORDS, Arg::Null),
            (setting::NEXT_WORDS_FROM, Arg::Null),
            (setting::REVISION, stored.next_revision().into()),
        ];
        Ok(put(db, schema, name, &settings)?)
    })?;
    Ok(true)
}

/// The table of words that is to be filled where `stored` has its own.
pub fn other(stored: &Stored) -> &'static str {
    if stored.words() == Some(ddl::WORDS[0]) { ddl::WORDS[1] } else { ddl::WORDS[0] }
}

/// The number of a table of words in the settings.
pub fn number_of(words: &str) -> i64 {
    ddl::WORDS.iter().zip(1..).find(|(known, _)| **known == words).map_or(0, |(_, number)| number)
}
