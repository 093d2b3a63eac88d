//! The best vectors of many segments, and then the next best, for as long as somebody asks.
//!
//! A pass over all segments finds as many as the bound says, in a heap of that size. The next one finds those behind
//! them, four times as many, so that a query that reads everything takes few passes.
//!
//! ```
//! use sqlite_rembed::index::quant::Quantised;
//! use sqlite_rembed::index::scan::{Filter, Ranking};
//! use sqlite_rembed::index::segment::{self, Place, Segment};
//!
//! let mut blob = segment::empty(2)?;
//! for (id, vector) in [(1, [1.0, 0.0]), (2, [0.0, 1.0]), (3, [0.7, 0.7])] {
//!     segment::put(&mut blob, &Place { id, row: id * 10, vector: &Quantised::new(&vector)? })?;
//! }
//! let mut ranking = Ranking::new(&[1.0, 0.1], Filter::default(), 2)?;
//! let mut ids = Vec::new();
//! while !ranking.is_done() {
//!     ranking.scan(&Segment::read(&blob, 2)?);
//!     ids.extend(ranking.take().iter().map(|hit| hit.id));
//! }
//! assert_eq!(ids, [1, 3, 2]);
//! # Ok::<(), sqlite_rembed::Error>(())
//! ```

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};
use std::ops::RangeInclusive;

use super::quant::Question;
use super::segment::{Scored, Segment};
use crate::base::error::Result;

/// How many times as many hits the next pass finds.
const GROWTH: usize = 4;

/// Which content rows may be found.
#[derive(Debug, Clone)]
pub struct Filter {
    range: RangeInclusive<i64>,
    rows: Option<HashSet<i64>>,
}

impl Default for Filter {
    /// Every row.
    fn default() -> Filter {
        Filter { range: i64::MIN..=i64::MAX, rows: None }
    }
}

impl Filter {
    /// Those of them whose rowid is in `range` too.
    pub fn within(mut self, range: RangeInclusive<i64>) -> Filter {
        self.range = *self.range.start().max(range.start())..=*self.range.end().min(range.end());
        self
    }

    /// Those of them whose rowid is among `rows` too.
    pub fn among(mut self, rows: HashSet<i64>) -> Filter {
        self.rows = Some(match self.rows {
            Some(mut before) => {
                before.retain(|row| rows.contains(row));
                before
            }
            None => rows,
        });
        self
    }

    /// Whether a row may be found.
    pub fn wants(&self, row: i64) -> bool {
        self.range.contains(&row) && self.rows.as_ref().is_none_or(|rows| rows.contains(&row))
    }

    /// Whether no row may be found, so that nothing need be read.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty() || self.rows.as_ref().is_some_and(HashSet::is_empty)
    }
}

/// The better of two first: the higher score, and of equal ones the lower id.
pub fn by_score(a: &Scored, b: &Scored) -> Ordering {
    b.score.total_cmp(&a.score).then(a.id.cmp(&b.id))
}

/// The order of the heap, whose first is the worst.
#[derive(Debug, PartialEq)]
struct Entry(Scored);

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        by_score(&self.0, &other.0)
    }
}

/// A ranking that goes on where it stopped: passes over the same segments, and after each the hits that it found.
#[derive(Debug)]
pub struct Ranking {
    question: Question,
    filter: Filter,
    /// How many hits this pass finds.
    bound: usize,
    best: BinaryHeap<Entry>,
    /// The last hit that was given.
    last: Option<Scored>,
    /// Every chunk that was given: a damaged file may have one twice.
    given: HashSet<i64>,
    done: bool,
}

impl Ranking {
    /// By likeness to `vector`, of any length. The first pass finds `bound` hits; 0 counts as 1.
    ///
    /// # Errors
    /// A vector that no index takes.
    pub fn new(vector: &[f32], filter: Filter, bound: usize) -> Result<Ranking> {
        Ok(Ranking {
            question: Question::new(vector)?,
            done: filter.is_empty(),
            filter,
            bound: bound.max(1),
            best: BinaryHeap::new(),
            last: None,
            given: HashSet::new(),
        })
    }

    /// The numbers of the vector: what segments must have.
    pub fn dimensions(&self) -> usize {
        self.question.dimensions()
    }

    /// Whether another pass would find nothing.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Has the next pass find `bound` hits, if it would find fewer.
    pub fn at_least(&mut self, bound: usize) {
        self.bound = self.bound.max(bound);
    }

    /// Has no further pass find anything.
    pub fn end(&mut self) {
        self.done = true;
    }

    /// Looks through a segment. A pass is every segment once.
    ///
    /// # Panics
    /// When the segment's vectors have another width.
    pub fn scan(&mut self, segment: &Segment<'_>) {
        let Ranking { question, filter, bound, best, last, given, .. } = self;
        segment.score(
            question,
            |row| filter.wants(row),
            |hit| {
                if last.is_some_and(|last| by_score(&hit, &last) != Ordering::Greater) {
                    return;
                }
                let is_full = best.len() >= *bound;
                if is_full && best.peek().is_some_and(|worst| by_score(&hit, &worst.0) != Ordering::Less) {
                    return;
                }
                if given.contains(&hit.id) {
                    return;
                }
                if is_full {
                    best.pop();
                }
                best.push(Entry(hit));
            },
        );
    }

    /// Ends a pass: what it found, the best first.
    pub fn take(&mut self) -> Vec<Scored> {
        let found = std::mem::take(&mut self.best);
        self.done |= found.len() < self.bound;
        self.bound = self.bound.saturating_mul(GROWTH);
        let mut hits: Vec<Scored> = found.into_sorted_vec().into_iter().map(|entry| entry.0).collect();
        self.last = hits.last().copied().or(self.last);
        hits.retain(|hit| self.given.insert(hit.id));
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::quant::Quantised;
    use crate::index::segment::{self, Place};

    /// A segment of vectors at an angle to the question: the smaller, the nearer.
    fn blob(chunks: &[(i64, i64, f32)]) -> Vec<u8> {
        let mut blob = segment::empty(2).unwrap();
        for &(id, row, angle) in chunks {
            let vector = Quantised::new(&[angle.cos(), angle.sin()]).unwrap();
            segment::put(&mut blob, &Place { id, row, vector: &vector }).unwrap();
        }
        blob
    }

    fn pass(ranking: &mut Ranking, blobs: &[Vec<u8>]) -> Vec<i64> {
        for blob in blobs {
            ranking.scan(&Segment::read(blob, 2).unwrap());
        }
        ranking.take().iter().map(|hit| hit.id).collect()
    }

    fn all(filter: Filter, bound: usize, blobs: &[Vec<u8>]) -> Vec<i64> {
        let mut ranking = Ranking::new(&[1.0, 0.0], filter, bound).unwrap();
        let mut ids = Vec::new();
        while !ranking.is_done() {
            ids.extend(pass(&mut ranking, blobs));
        }
        ids
    }

    #[test]
    fn passes_go_on_where_the_last_one_stopped() {
        let blobs: Vec<_> = (0..10)
            .map(|s| {
                blob(&(0..50).map(|i| (s * 50 + i + 1, i, (i * 10 + s) as f32 / 200.0)).collect::<Vec<_>>())
            })
            .collect();
        let whole = all(Filter::default(), 1000, &blobs);
        assert_eq!(whole.len(), 500);
        for bound in [0, 1, 3, 7, 100, 499, 500] {
            assert_eq!(all(Filter::default(), bound, &blobs), whole, "{bound}");
        }
        let mut ranking = Ranking::new(&[1.0, 0.0], Filter::default(), 2).unwrap();
        assert_eq!(pass(&mut ranking, &blobs), whole[..2]);
        assert_eq!(pass(&mut ranking, &blobs), whole[2..10]);
        assert_eq!(pass(&mut ranking, &blobs), whole[10..42]);
    }

    #[test]
    fn a_pass_finds_as_many_as_it_is_told() {
        let blobs = [blob(&(1..=60).map(|i| (i, i, i as f32 / 100.0)).collect::<Vec<_>>())];
        let mut ranking = Ranking::new(&[1.0, 0.0], Filter::default(), 1).unwrap();
        ranking.at_least(7);
        assert_eq!(pass(&mut ranking, &blobs), (1..=7).collect::<Vec<_>>());
        ranking.at_least(3);
        assert_eq!(pass(&mut ranking, &blobs), (8..=35).collect::<Vec<_>>());
        ranking.end();
        assert!(ranking.is_done());
    }

    #[test]
    fn equal_scores_are_in_the_order_of_their_ids() {
        let blobs = [blob(&[(5, 1, 0.1), (3, 1, 0.1)]), blob(&[(4, 1, 0.1), (1, 1, 0.1), (9, 1, 0.0)])];
        for bound in 1..7 {
            assert_eq!(all(Filter::default(), bound, &blobs), [9, 1, 3, 4, 5], "{bound}");
        }
    }

    #[test]
    fn only_rows_of_the_filter_are_found() {
        let blobs = [blob(&[(1, 10, 0.1), (2, 20, 0.2), (3, 30, 0.3), (4, -40, 0.4)])];
        let filter = Filter::default;
        assert_eq!(all(filter().within(20..=30), 1, &blobs), [2, 3]);
        assert_eq!(all(filter().among(HashSet::from([30, -40, 50])), 1, &blobs), [3, 4]);
        assert_eq!(all(filter().among(HashSet::from([10, 30, -40])).within(0..=i64::MAX), 9, &blobs), [1, 3]);
        assert_eq!(all(filter().among(HashSet::from([10, 30])).among(HashSet::from([30])), 9, &blobs), [3]);
        for none in [filter().among(HashSet::new()), filter().within(5..=9).within(10..=20).within(0..=9)] {
            assert!(none.is_empty());
            assert!(Ranking::new(&[1.0, 0.0], none, 1).unwrap().is_done());
        }
    }

    #[test]
    fn a_chunk_that_a_file_has_twice_comes_once() {
        let blobs = [blob(&[(1, 1, 0.1), (1, 1, 0.5), (2, 1, 0.3), (1, 1, 0.1)])];
        for bound in 1..6 {
            assert_eq!(all(Filter::default(), bound, &blobs), [1, 2], "{bound}");
        }
    }

    #[test]
    fn an_empty_index_has_no_hits() {
        assert_eq!(all(Filter::default(), 5, &[]), [0; 0]);
        assert_eq!(all(Filter::default(), 5, &[segment::empty(2).unwrap()]), [0; 0]);
    }
}
