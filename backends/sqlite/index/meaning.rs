//! The ranking by meaning: bytes of all vectors for the scan, the vectors themselves for the best.

use std::collections::HashMap;

use super::candidates::{few, is_shown};
use super::stored::Stored;
use crate::base::error::Result;
use crate::index::ddl::Watched;
use crate::index::fuse::Chunk;
use crate::index::lazy::Source;
use crate::index::rescore::{Exact, OVERSCAN, vector_of};
use crate::index::scan::Ranking;
use crate::index::segment::{Scored, Segment};
use crate::sql::search::Rows;
use crate::sqlite::sql::Statement;

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
    /// By likeness to `question`.
    ///
    /// # Errors
    /// What SQLite says; a question that no index takes.
    pub fn new(stored: &Stored, watched: &Watched, question: Vec<f32>, wanted: &Rows) -> Result<Meaning> {
        let (vectors, chunks) = (stored.table("vectors"), stored.table("chunks"));
        let is_shown = is_shown(stored, watched);
        let prepare = |sql: &str| Statement::prepare(stored.db, sql);
        Ok(Meaning {
            generation: stored.generation(),
            dimensions: question.len(),
            ranking: Ranking::new(&question, wanted.filter(), 1)?,
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
            self.ranking.at_least(enough);
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
