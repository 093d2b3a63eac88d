//! A search as it is read: as many of the best chunks as were asked for, then the next ones, for as long as somebody reads.
//!
//! ```
//! use sqlite_rembed::index::fuse::Chunk;
//! use sqlite_rembed::index::lazy::{Lazy, Source, Sorted};
//!
//! let chunk = |id| Chunk { id, row: id };
//! let by_words = Sorted::new([chunk(3), chunk(1), chunk(2)]);
//! let mut search = Lazy::new(None::<Sorted>, Some(by_words), false, Some(1));
//! assert_eq!(search.get(0)?.map(|hit| hit.id), Some(3));
//! assert_eq!(search.get(2)?.map(|hit| hit.id), Some(2));
//! assert!(search.get(3)?.is_none());
//! # Ok::<(), sqlite_rembed::Error>(())
//! ```

use super::fuse::{Chunk, Fusion, Hit, candidates};
use crate::base::error::Result;

/// How many rows are reckoned with, where nobody says.
const FIRST: usize = 10;

/// How many times as many rows the next step reckons with.
const GROWTH: usize = 4;

/// How many chunks of a content row may be among the best before a single ranking needs a second step.
const CHUNKS_OF_A_ROW: usize = 4;

/// A ranking that is found bit by bit.
pub trait Source {
    /// Finds the best `n` chunks, or all there are. What was found before stays in its place.
    ///
    /// # Errors
    /// What fails.
    fn extend(&mut self, n: usize) -> Result<()>;

    /// What was found, best first.
    fn found(&self) -> &[Chunk];

    /// Whether there is no more to find.
    fn is_done(&self) -> bool;
}

/// A ranking that is known.
#[derive(Debug)]
pub struct Sorted {
    chunks: Vec<Chunk>,
    shown: usize,
}

impl Sorted {
    /// Of these chunks, best first.
    pub fn new(chunks: impl Into<Vec<Chunk>>) -> Sorted {
        Sorted { chunks: chunks.into(), shown: 0 }
    }
}

impl Source for Sorted {
    fn extend(&mut self, n: usize) -> Result<()> {
        self.shown = self.shown.max(n.min(self.chunks.len()));
        Ok(())
    }

    fn found(&self) -> &[Chunk] {
        &self.chunks[..self.shown]
    }

    fn is_done(&self) -> bool {
        self.shown == self.chunks.len()
    }
}

/// A search by meaning, by words or by both. What it gave once it gives again, and no chunk (or content row) comes twice.
#[derive(Debug)]
pub struct Lazy<M, W> {
    meaning: Option<M>,
    words: Option<W>,
    fusion: Fusion,
    per_chunk: bool,
    /// How many rows the next step reckons with.
    rows: usize,
    hits: Vec<Hit>,
    is_done: bool,
}

impl<M: Source, W: Source> Lazy<M, W> {
    /// Of chunks, or of content rows by their best chunk. `rows` is how many will be read, as far as that is known.
    pub fn new(meaning: Option<M>, words: Option<W>, per_chunk: bool, rows: Option<usize>) -> Lazy<M, W> {
        Lazy {
            meaning,
            words,
            fusion: Fusion::new(per_chunk),
            per_chunk,
            rows: rows.unwrap_or(FIRST),
            hits: Vec::new(),
            is_done: false,
        }
    }

    /// The hit at a place of the ranking, from 0; `None` behind the last.
    ///
    /// # Errors
    /// What a source says.
    pub fn get(&mut self, place: usize) -> Result<Option<Hit>> {
        while self.hits.len() <= place && !self.is_done {
            let n = self.candidates();
            // The next step is not taken for one row: what is read goes on to be read.
            self.rows = self.rows.max(FIRST).saturating_mul(GROWTH);
            if let Some(source) = &mut self.meaning {
                source.extend(n)?;
            }
            if let Some(source) = &mut self.words {
                source.extend(n)?;
            }
            self.is_done = self.meaning.as_ref().is_none_or(Source::is_done)
                && self.words.as_ref().is_none_or(Source::is_done);
            let by_meaning = self.meaning.as_ref().map_or(&[][..], Source::found);
            let by_words = self.words.as_ref().map_or(&[][..], Source::found);
            self.hits.extend(self.fusion.more(by_meaning, by_words));
        }
        Ok(self.hits.get(place).copied())
    }

    /// How many chunks each source should bring for the next step. One alone decides by itself.
    fn candidates(&self) -> usize {
        match (&self.meaning, &self.words) {
            (Some(_), Some(_)) => candidates(self.rows),
            _ if self.per_chunk => self.rows.max(1),
            _ => self.rows.max(1).saturating_mul(CHUNKS_OF_A_ROW),
        }
    }

    /// The ranking by meaning, where there is one.
    pub fn meaning(&mut self) -> Option<&mut M> {
        self.meaning.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn sorted(ids: impl IntoIterator<Item = i64>) -> Sorted {
        Sorted::new(ids.into_iter().map(|id| Chunk { id, row: id / 3 }).collect::<Vec<_>>())
    }

    fn ids(mut search: Lazy<Sorted, Sorted>) -> Vec<i64> {
        (0..).map_while(|place| search.get(place).unwrap().map(|hit| hit.id)).collect()
    }

    #[test]
    fn it_goes_on_to_the_end_and_repeats_nothing() {
        for rows in [None, Some(0), Some(1), Some(50), Some(usize::MAX)] {
            let search = Lazy::new(Some(sorted(0..2000)), Some(sorted((500..3000).rev())), true, rows);
            let ids = ids(search);
            assert_eq!(ids.len(), 3000, "{rows:?}");
            assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 3000);
        }
    }

    #[test]
    fn a_content_row_comes_once_by_its_best_chunk() {
        let search = Lazy::new(Some(sorted([4, 3, 5, 0, 1, 2, 8])), None, false, None);
        assert_eq!(ids(search), [4, 0, 8]);
    }

    #[test]
    fn what_was_given_stays_where_it_is() {
        let mut search = Lazy::new(Some(sorted(0..900)), Some(sorted((0..900).rev())), true, Some(3));
        let first: Vec<_> = (0..100).map(|place| search.get(place).unwrap()).collect();
        assert!(search.get(899).unwrap().is_some() && search.get(900).unwrap().is_none());
        let again: Vec<_> = (0..100).map(|place| search.get(place).unwrap()).collect();
        assert_eq!(first, again);
        let scores: Vec<_> = (0..900).map(|place| search.get(place).unwrap().unwrap().score).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn a_first_step_finds_no_more_than_it_must() {
        for (per_chunk, words, found) in
            [(true, None, 10), (false, None, 40), (true, Some(sorted(0..9000)), candidates(10))]
        {
            let mut search = Lazy::new(Some(sorted(0..9000)), words, per_chunk, Some(10));
            search.get(0).unwrap();
            assert_eq!(search.meaning().unwrap().found().len(), found);
        }
    }

    #[test]
    fn no_source_has_no_hits() {
        assert!(Lazy::new(None::<Sorted>, None::<Sorted>, true, None).get(0).unwrap().is_none());
    }
}
