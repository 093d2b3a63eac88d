//! Two rankings as one: by meaning and by words (reciprocal rank fusion,
//! <https://plg.uwaterloo.ca/~gvcormac/cormacksigir09-rrf.pdf>).
//!
//! A chunk's score is the sum, over the rankings that it is in, of 1 / (60 + its rank there). So neither the size nor the spread of
//! cosines and of BM25 counts.
//!
//! ```
//! use sqlite_rembed::index::fuse::{Chunk, Fusion};
//!
//! let by_meaning = [Chunk { id: 1, row: 10 }, Chunk { id: 2, row: 20 }];
//! let by_words = [Chunk { id: 2, row: 20 }, Chunk { id: 3, row: 10 }];
//! let hits = Fusion::new(false).more(&by_meaning, &by_words);
//! assert_eq!(hits.iter().map(|hit| (hit.row, hit.id)).collect::<Vec<_>>(), [(20, 2), (10, 1)]);
//! assert_eq!((hits[0].vec_rank, hits[0].fts_rank), (Some(2), Some(1)));
//! ```

use std::collections::{HashMap, HashSet};

use super::segment::Scored;

/// The constant of the method's paper: how little the first places weigh more than the next.
const CONSTANT: f64 = 60.0;

/// How many candidates each ranking should bring, where `k` rows are wanted.
pub fn candidates(k: usize) -> usize {
    k.saturating_mul(5).max(100)
}

/// A chunk in a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// The chunk's id.
    pub id: i64,
    /// The rowid of its content row.
    pub row: i64,
}

impl From<&Scored> for Chunk {
    fn from(hit: &Scored) -> Chunk {
        Chunk { id: hit.id, row: hit.row }
    }
}

/// A chunk in the ranking of both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The chunk's id.
    pub id: i64,
    /// The rowid of its content row.
    pub row: i64,
    /// Higher is better.
    pub score: f64,
    /// Its rank by meaning, from 1.
    pub vec_rank: Option<usize>,
    /// Its rank by words, from 1.
    pub fts_rank: Option<usize>,
}

/// The fused ranking, as far as it was asked for.
#[derive(Debug)]
pub struct Fusion {
    per_chunk: bool,
    given: HashSet<i64>,
    lowest: f64,
}

impl Fusion {
    /// Of chunks, or of content rows, each by its best chunk.
    pub fn new(per_chunk: bool) -> Fusion {
        Fusion { per_chunk, given: HashSet::new(), lowest: f64::INFINITY }
    }

    /// Fuses two rankings, best first; either may be empty. Called again with the same rankings made longer, it gives what
    /// was not given yet: behind what was, so with a score that is no higher.
    ///
    /// Equal scores are in the order of the ranks by meaning, then of the ids. Of a chunk that a ranking has twice the
    /// first place counts.
    pub fn more(&mut self, by_meaning: &[Chunk], by_words: &[Chunk]) -> Vec<Hit> {
        let mut places: HashMap<i64, usize> = HashMap::with_capacity(by_meaning.len() + by_words.len());
        let mut hits: Vec<Hit> = Vec::with_capacity(by_meaning.len() + by_words.len());
        let mut hit = |chunk: &Chunk| -> usize {
            *places.entry(chunk.id).or_insert_with(|| {
                let Chunk { id, row } = *chunk;
                hits.push(Hit { id, row, score: 0.0, vec_rank: None, fts_rank: None });
                hits.len() - 1
            })
        };
        let by_meaning: Vec<usize> = by_meaning.iter().map(&mut hit).collect();
        let by_words: Vec<usize> = by_words.iter().map(&mut hit).collect();
        for (rank, place) in (1..).zip(by_meaning) {
            hits[place].vec_rank.get_or_insert(rank);
        }
        for (rank, place) in (1..).zip(by_words) {
            hits[place].fts_rank.get_or_insert(rank);
        }
        let part = |rank: Option<usize>| rank.map_or(0.0, |rank| 1.0 / (CONSTANT + rank as f64));
        for hit in &mut hits {
            hit.score = part(hit.vec_rank) + part(hit.fts_rank);
        }
        let rank = |hit: &Hit| hit.vec_rank.unwrap_or(usize::MAX);
        hits.sort_unstable_by(|a, b| {
            b.score.total_cmp(&a.score).then(rank(a).cmp(&rank(b))).then(a.id.cmp(&b.id))
        });
        hits.retain(|hit| self.given.insert(if self.per_chunk { hit.id } else { hit.row }));
        for hit in &mut hits {
            hit.score = hit.score.min(self.lowest);
        }
        self.lowest = hits.last().map_or(self.lowest, |hit| hit.score);
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chunk of the row that is its id over ten.
    fn chunks(ids: &[i64]) -> Vec<Chunk> {
        ids.iter().map(|&id| Chunk { id, row: id / 10 }).collect()
    }

    fn ids(hits: &[Hit]) -> Vec<i64> {
        hits.iter().map(|hit| hit.id).collect()
    }

    #[test]
    fn a_chunk_that_both_have_comes_first() {
        let hits = Fusion::new(true).more(&chunks(&[10, 20, 30]), &chunks(&[40, 30]));
        assert_eq!(ids(&hits), [30, 10, 40, 20]);
        assert_eq!((hits[0].vec_rank, hits[0].fts_rank), (Some(3), Some(2)));
        assert_eq!((hits[2].vec_rank, hits[2].fts_rank), (None, Some(1)));
        assert!((hits[0].score - (1.0 / 63.0 + 1.0 / 62.0)).abs() < 1e-12);
        assert!((hits[3].score - 1.0 / 62.0).abs() < 1e-12);
    }

    #[test]
    fn one_ranking_alone_keeps_its_order() {
        assert_eq!(ids(&Fusion::new(true).more(&chunks(&[30, 10, 20]), &[])), [30, 10, 20]);
        assert_eq!(ids(&Fusion::new(true).more(&[], &chunks(&[30, 10, 20]))), [30, 10, 20]);
        assert_eq!(ids(&Fusion::new(true).more(&[], &[])), [0; 0]);
    }

    #[test]
    fn equal_scores_are_in_the_order_of_meaning() {
        assert_eq!(ids(&Fusion::new(true).more(&chunks(&[20, 10]), &chunks(&[10, 20]))), [20, 10]);
        assert_eq!(ids(&Fusion::new(true).more(&chunks(&[20]), &chunks(&[10]))), [20, 10]);
    }

    #[test]
    fn a_content_row_comes_once_by_its_best_chunk() {
        let (meaning, words) = (chunks(&[11, 20, 12, 13]), chunks(&[12, 30, 20]));
        assert_eq!(ids(&Fusion::new(false).more(&meaning, &words)), [12, 20, 30]);
        assert_eq!(ids(&Fusion::new(true).more(&meaning, &words)), [12, 20, 11, 30, 13]);
    }

    #[test]
    fn longer_rankings_bring_what_was_not_given_and_no_higher_score() {
        let mut fusion = Fusion::new(false);
        let first = fusion.more(&chunks(&[11, 20]), &chunks(&[30]));
        assert_eq!(ids(&first), [11, 30, 20]);
        // 40 is in both, and would have been the first.
        let second = fusion.more(&chunks(&[11, 20, 40, 12]), &chunks(&[30, 40, 50]));
        assert_eq!(ids(&second), [40, 50]);
        let scores: Vec<f64> = first.iter().chain(&second).map(|hit| hit.score).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
        assert_eq!(fusion.more(&chunks(&[11, 20, 40, 12]), &chunks(&[30, 40, 50])), []);
    }

    #[test]
    fn the_first_place_counts_where_a_ranking_has_a_chunk_twice() {
        let hits = Fusion::new(true).more(&chunks(&[10, 20, 10]), &[]);
        assert_eq!(ids(&hits), [10, 20]);
        assert_eq!(hits[0].vec_rank, Some(1));
    }

    #[test]
    fn candidates_are_a_hundred_or_five_times_as_many_as_wanted() {
        assert_eq!([0, 10, 20, 50, usize::MAX].map(candidates), [100, 100, 100, 250, usize::MAX]);
    }
}
