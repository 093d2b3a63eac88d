//! The ranking by words, which FTS5 makes.

use std::collections::HashSet;

use super::candidates::{few, is_shown};
use super::stored::{Stored, setting};
use crate::base::error::{Error, Result};
use crate::index::ddl::Watched;
use crate::index::fuse::Chunk;
use crate::index::lazy::Source;
use crate::index::name::{self, is_same, quote};
use crate::index::question::fts_query;
use crate::sql::search::Rows;
use crate::sql::value::Value;
use crate::sqlite::sql::{Failure, Statement};

/// From so many chunks on, common words are looked for: BM25 takes its time with each match.
const MANY: i64 = 2000;

/// How many times as many matches the next query of words asks for.
const GROWTH: usize = 4;

/// The ranking by words.
pub struct Words {
    /// FTS5's query.
    query: String,
    /// The query with its common words too, which is asked when the first has no more matches.
    with_common: Option<String>,
    /// What the first has matched, then.
    before: HashSet<i64>,
    find: Statement,
    find_of_row: Statement,
    row: Statement,
    wanted: Rows,
    few: Option<Vec<i64>>,
    found: Vec<Chunk>,
    /// How many matches were looked at, and how many the next query asks for.
    looked_at: usize,
    next: usize,
    is_done: bool,
}

impl Words {
    /// By the words of `question`; `None` where it has none, or the index none. Chunks that have its common words alone come
    /// last, and only with `common`.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn new(
        stored: &Stored,
        watched: &Watched,
        question: &str,
        wanted: &Rows,
        common: bool,
    ) -> Result<Option<Words>> {
        let Some(suffix) = stored.words() else { return Ok(None) };
        // Until a sync has filled the table that is to follow, the words are those of the tokenizer before.
        let tokenize = stored.text(setting::WORDS_TOKENIZE).unwrap_or(&stored.config.tokenize);
        let tokenizer = name::word(tokenize.trim_start()).map(|(word, _)| word);
        let is_trigram = tokenizer.is_some_and(|word| is_same(&word, "trigram"));
        let Some(query) = fts_query(question, is_trigram) else { return Ok(None) };
        let (words, chunks) = (stored.table(suffix), stored.table("chunks"));
        let name = quote(&format!("{}_{suffix}", stored.name));
        let prepare = |sql: &str| Statement::prepare(stored.db, sql);
        let is_shown = is_shown(stored, watched);
        let few = few(wanted);
        let telling = if few.is_none() { telling(stored, suffix, &query)? } else { None };
        let (query, with_common) = match telling {
            Some(telling) => (telling, common.then_some(query)),
            None => (query, None),
        };
        Ok(Some(Words {
            query,
            with_common,
            before: HashSet::new(),
            find: prepare(&format!(
                "SELECT rowid FROM {words} WHERE {name} MATCH ?1 ORDER BY bm25({name}), rowid LIMIT ?2 OFFSET ?3"
            ))?,
            find_of_row: prepare(&format!(
                "SELECT rowid, bm25({name}) FROM {words} WHERE {name} MATCH ?1 \
                 AND rowid IN (SELECT id FROM {chunks} WHERE \"row\" = ?2)"
            ))?,
            row: prepare(&format!("SELECT c.\"row\" FROM {chunks} AS c WHERE c.id = ?1 AND {is_shown}"))?,
            wanted: wanted.clone(),
            few,
            found: Vec::new(),
            looked_at: 0,
            next: 0,
            is_done: false,
        }))
    }

    /// Every match of a few rows.
    fn look_at(&mut self, rows: &[i64]) -> Result<(), Failure> {
        let mut matches = Vec::new();
        for row in rows {
            let found = |found: &Statement| (found.value(1).real(), found.int(0));
            matches.extend(self.find_of_row.all(&[(&self.query).into(), (*row).into()], found)?);
        }
        matches.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        self.is_done = true;
        matches.into_iter().try_for_each(|(_, id)| self.add(id))
    }

    fn add(&mut self, id: i64) -> Result<(), Failure> {
        if let Some(row) = self.row.first(&[id.into()], |found| found.int(0))? {
            let Rows { from, to, among } = &self.wanted;
            let is_wanted = (*from..=*to).contains(&row)
                && among.as_ref().is_none_or(|among| among.binary_search(&row).is_ok());
            if is_wanted {
                self.found.push(Chunk { id, row });
            }
        }
        Ok(())
    }
}

/// The query without the words that more than half of all chunks have, where others are left. BM25 gives them no weight, and takes
/// longest with them.
fn telling(stored: &Stored, suffix: &str, query: &str) -> Result<Option<String>, Failure> {
    // A word has no blanks.
    let words: Vec<&str> = query.split(" OR ").collect();
    let half = stored.number(&format!("SELECT max(id) FROM {}", stored.table("chunks")))? / 2;
    if words.len() < 2 || half < MANY / 2 {
        return Ok(None);
    }
    let name = quote(&format!("{}_{suffix}", stored.name));
    let mut is_common = Statement::prepare(
        stored.db,
        &format!("SELECT 1 FROM {} WHERE {name} MATCH ?1 LIMIT 1 OFFSET ?2", stored.table(suffix)),
    )?;
    let mut telling = Vec::new();
    for word in &words {
        if is_common.first(&[(*word).into(), half.into()], |_| ())?.is_none() {
            telling.push(*word);
        }
    }
    let is_shorter = !telling.is_empty() && telling.len() < words.len();
    Ok(is_shorter.then(|| telling.join(" OR ")))
}

impl Source for Words {
    fn extend(&mut self, n: usize) -> Result<()> {
        if let Some(rows) = self.few.take() {
            self.look_at(&rows)?;
        }
        while self.found.len() < n && !self.is_done {
            self.next = n.max(self.next.saturating_mul(GROWTH));
            let (limit, offset) = (as_int(self.next), as_int(self.looked_at));
            let ids =
                self.find.all(&[(&self.query).into(), limit.into(), offset.into()], |found| found.int(0));
            let ids = ids.map_err(|failure| self.said(failure))?;
            let is_last = ids.len() < self.next;
            self.looked_at += ids.len();
            for id in ids {
                if self.with_common.is_some() {
                    self.before.insert(id);
                    self.add(id)?;
                } else if !self.before.contains(&id) {
                    self.add(id)?;
                }
            }
            match self.with_common.take_if(|_| is_last) {
                Some(query) => (self.query, self.looked_at, self.next) = (query, 0, 0),
                None => self.is_done = is_last,
            }
        }
        Ok(())
    }

    fn found(&self) -> &[Chunk] {
        &self.found
    }

    fn is_done(&self) -> bool {
        self.is_done
    }
}

impl Words {
    fn said(&self, failure: Failure) -> Error {
        match Error::from(failure) {
            Error::Invalid(why) => {
                Error::invalid(format!("the words of the index cannot be searched: {why}"))
            }
            e => e,
        }
    }
}

fn as_int(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
