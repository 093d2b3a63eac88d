//! The two rankings of a search, from the tables of an index.

use std::collections::{HashMap, HashSet};

use super::stored::Stored;
use crate::base::error::{Error, Result};
use crate::index::ddl::{MARKS, Mark, WORDS, Watched};
use crate::index::fuse::{Chunk, candidates};
use crate::index::lazy::Source;
use crate::index::name::{self, is_same, quote};
use crate::index::question::fts_query;
use crate::index::rescore::{Exact, OVERSCAN, vector_of};
use crate::index::scan::Ranking;
use crate::index::segment::{Scored, Segment};
use crate::sql::search::Rows;
use crate::sql::value::Value;
use crate::sqlite::sql::{Failure, Statement};

/// Up to so many content rows are looked at one by one: a scan would read every vector.
const FEW: usize = 64;

/// From so many chunks on, common words are looked for: BM25 takes its time with each match.
const MANY: i64 = 2000;

/// How many times as many matches the next query of words asks for.
const GROWTH: usize = 4;

/// Rows that are asked for, where they are few.
fn few(rows: &Rows) -> Option<Vec<i64>> {
    let wanted = |row: &i64| (rows.from..=rows.to).contains(row);
    match &rows.among {
        Some(among) if among.len() <= FEW => Some(among.iter().copied().filter(wanted).collect()),
        None if rows.from == rows.to => Some(vec![rows.from]),
        _ => None,
    }
}

/// A condition on chunks `c`: their row is there, and no mark hides it. REPLACE takes rows away without a mark.
pub fn is_shown(stored: &Stored, watched: &Watched) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM {} AS m WHERE m.\"row\" = c.\"row\" AND m.kind IS NOT {}) \
         AND EXISTS (SELECT 1 FROM {} AS d WHERE d.{} = c.\"row\")",
        stored.table(MARKS),
        Mark::Changed as i64,
        stored.content(watched),
        quote(&watched.rowid)
    )
}

/// The ranking by meaning.
pub struct Meaning {
    generation: i64,
    dimensions: usize,
    ranking: Ranking,
    exact: Exact,
    segments: Statement,
    vector: Statement,
    of_row: Statement,
    few: Option<Vec<i64>>,
    found: Vec<Chunk>,
    /// Their cosines with the question.
    cosines: Vec<f32>,
}

impl Meaning {
    /// By likeness to `question`; `rows` is how many will be read, as far as that is known.
    ///
    /// # Errors
    /// What SQLite says; a question that no index takes.
    pub fn new(
        stored: &Stored,
        watched: &Watched,
        question: Vec<f32>,
        wanted: &Rows,
        first: usize,
    ) -> Result<Meaning> {
        let (vectors, chunks) = (stored.table("vectors"), stored.table("chunks"));
        let is_shown = is_shown(stored, watched);
        let prepare = |sql: &str| Statement::prepare(stored.db, sql);
        Ok(Meaning {
            generation: stored.generation(),
            dimensions: question.len(),
            ranking: Ranking::new(&question, wanted.filter(), candidates(first).saturating_mul(OVERSCAN))?,
            exact: Exact::new(question),
            segments: prepare(&format!(
                "SELECT data FROM {} WHERE generation = ?1",
                stored.table("segments")
            ))?,
            vector: prepare(&format!(
                "SELECT v.vector, c.\"row\" FROM {vectors} AS v CROSS JOIN {chunks} AS c ON c.id = v.chunk \
                 WHERE v.generation = ?1 AND v.chunk = ?2 AND {is_shown}"
            ))?,
            of_row: prepare(&format!(
                "SELECT v.vector, c.id FROM {chunks} AS c CROSS JOIN {vectors} AS v ON v.chunk = c.id \
                 WHERE c.\"row\" = ?2 AND v.generation = ?1 AND {is_shown}"
            ))?,
            few: few(wanted),
            found: Vec::new(),
            cosines: Vec::new(),
        })
    }

    /// The cosine of the chunk at a rank, from 1.
    pub fn cosine(&self, rank: usize) -> Option<f32> {
        self.cosines.get(rank.checked_sub(1)?).copied()
    }

    /// The cosine of a chunk that was not among the candidates, if it has a vector.
    ///
    /// # Errors
    /// What SQLite says; a vector that is damaged.
    pub fn cosine_of(&mut self, id: i64) -> Result<Option<f32>> {
        let Some((vector, _)) = shown(&mut self.vector, self.generation, self.dimensions, id)? else {
            return Ok(None);
        };
        self.exact.cosine(id, &vector).map(Some)
    }

    fn give(&mut self, n: usize) {
        for hit in self.exact.take(n) {
            self.found.push(Chunk::from(&hit));
            self.cosines.push(hit.score);
        }
    }

    /// Every chunk of a few rows.
    fn look_at(&mut self, rows: &[i64]) -> Result<()> {
        for &row in rows {
            let mut vectors = HashMap::new();
            let mut hits = Vec::new();
            self.of_row.start(&[self.generation.into(), row.into()])?;
            while self.of_row.step()? {
                let id = self.of_row.int(1);
                vectors.insert(id, vector_of(self.of_row.blob(0), self.dimensions, id)?);
                hits.push(Scored { id, row, score: 0.0 });
            }
            self.exact.add(hits, |id| Ok(vectors.remove(&id)))?;
        }
        Ok(())
    }

    /// A pass over all segments.
    fn scan(&mut self) -> Result<()> {
        self.segments.start(&[self.generation.into()])?;
        while self.segments.step()? {
            self.ranking.scan(&Segment::read(self.segments.blob(0), self.dimensions)?);
        }
        let hits = self.ranking.take();
        let rows: HashMap<i64, i64> = hits.iter().map(|hit| (hit.id, hit.row)).collect();
        let (generation, dimensions, vector) = (self.generation, self.dimensions, &mut self.vector);
        self.exact.add(hits, |id| {
            let found = shown(vector, generation, dimensions, id)?;
            // A damaged file may say that the chunk is of another row than the filter let through.
            Ok(found.filter(|(_, row)| rows.get(&id) == Some(row)).map(|(vector, _)| vector))
        })
    }
}

/// The vector of a chunk and its row, unless it is hidden.
fn shown(
    vector: &mut Statement,
    generation: i64,
    dimensions: usize,
    id: i64,
) -> Result<Option<(Vec<f32>, i64)>> {
    let found = vector.first(&[generation.into(), id.into()], |found| {
        Ok((vector_of(&found.bytes(0), dimensions, id)?, found.int(1)))
    })?;
    found.transpose()
}

impl Source for Meaning {
    fn extend(&mut self, n: usize) -> Result<()> {
        if let Some(rows) = self.few.take() {
            self.look_at(&rows)?;
            self.ranking.end();
        }
        let need = n.saturating_sub(self.found.len());
        // What waits is compared with what a pass finds before any of it is given. Of hits that are hidden more passes make up
        // for those that are needed alone.
        let mut enough = need.saturating_mul(OVERSCAN);
        while need > 0 && self.exact.waiting() < enough && !self.ranking.is_done() {
            self.scan()?;
            enough = need;
        }
        self.give(need);
        Ok(())
    }

    fn found(&self) -> &[Chunk] {
        &self.found
    }

    fn is_done(&self) -> bool {
        self.few.is_none() && self.ranking.is_done() && self.exact.waiting() == 0
    }
}

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
        if !stored.has_words() {
            return Ok(None);
        }
        let tokenizer = name::word(stored.config.tokenize.trim_start()).map(|(word, _)| word);
        let is_trigram = tokenizer.is_some_and(|word| is_same(&word, "trigram"));
        let Some(query) = fts_query(question, is_trigram) else { return Ok(None) };
        let (words, chunks) = (stored.table(WORDS), stored.table("chunks"));
        let name = quote(&format!("{}_{WORDS}", stored.name));
        let prepare = |sql: &str| Statement::prepare(stored.db, sql);
        let is_shown = is_shown(stored, watched);
        let few = few(wanted);
        let telling = if few.is_none() { telling(stored, &query)? } else { None };
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
fn telling(stored: &Stored, query: &str) -> Result<Option<String>, Failure> {
    // A word has no blanks.
    let words: Vec<&str> = query.split(" OR ").collect();
    let half = stored.number(&format!("SELECT max(id) FROM {}", stored.table("chunks")))? / 2;
    if words.len() < 2 || half < MANY / 2 {
        return Ok(None);
    }
    let name = quote(&format!("{}_{WORDS}", stored.name));
    let mut is_common = Statement::prepare(
        stored.db,
        &format!("SELECT 1 FROM {} WHERE {name} MATCH ?1 LIMIT 1 OFFSET ?2", stored.table(WORDS)),
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
