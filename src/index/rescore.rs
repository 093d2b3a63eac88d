//! The exact order of what a scan found: bytes tell about the cosine, the vectors themselves the rest.
//!
//! ```
//! use sqlite_rembed::index::rescore::Exact;
//! use sqlite_rembed::index::segment::Scored;
//!
//! let mut exact = Exact::new(vec![1.0, 0.0]);
//! let found = vec![Scored { id: 1, row: 10, score: 0.90 }, Scored { id: 2, row: 20, score: 0.89 }];
//! exact.add(found, |id| Ok(Some(if id == 1 { vec![0.0, 1.0] } else { vec![1.0, 0.0] })))?;
//! assert_eq!(exact.take(1)[0].id, 2);
//! # Ok::<(), sqlite_rembed::Error>(())
//! ```

use super::quant::exact_cosine;
use super::scan::by_score;
use super::segment::Scored;
use crate::base::error::{Error, Result};

/// How many times as many hits a scan must find as are wanted: recall@10 is then over 0.99.
pub const OVERSCAN: usize = 2;

/// Hits with their exact scores. Those that are not taken wait for the next pass, whose hits may be better.
#[derive(Debug)]
pub struct Exact {
    vector: Vec<f32>,
    /// The best last.
    waiting: Vec<Scored>,
}

impl Exact {
    /// By cosine with `vector`, of any length.
    pub fn new(vector: Vec<f32>) -> Exact {
        Exact { vector, waiting: Vec::new() }
    }

    /// Adds the hits of a pass. `fetch` gives a chunk's vector by its id; a hit that has none is left out.
    ///
    /// # Errors
    /// What `fetch` says; a vector of another width, or with a number that is not finite.
    pub fn add(
        &mut self,
        hits: Vec<Scored>,
        mut fetch: impl FnMut(i64) -> Result<Option<Vec<f32>>>,
    ) -> Result<()> {
        for hit in hits {
            let Some(vector) = fetch(hit.id)? else { continue };
            self.waiting.push(Scored { score: self.cosine(hit.id, &vector)?, ..hit });
        }
        self.waiting.sort_unstable_by(|a, b| by_score(b, a));
        Ok(())
    }

    /// The best `n`, best first.
    pub fn take(&mut self, n: usize) -> Vec<Scored> {
        let from = self.waiting.len().saturating_sub(n);
        self.waiting.drain(from..).rev().collect()
    }

    /// The cosine with the vector of the chunk `id`.
    ///
    /// # Errors
    /// A vector of another width, or with a number that is not finite.
    pub fn cosine(&self, id: i64, vector: &[f32]) -> Result<f32> {
        if vector.len() != self.vector.len() || !vector.iter().all(|x| x.is_finite()) {
            return Err(damaged(id));
        }
        Ok(exact_cosine(&self.vector, vector))
    }

    /// How many hits wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// The numbers of a vector's BLOB of chunk `id`, which may be anybody's bytes.
///
/// # Errors
/// Another length than `dimensions` says.
pub fn vector_of(bytes: &[u8], dimensions: usize, id: i64) -> Result<Vec<f32>> {
    if bytes.len() != dimensions * 4 {
        return Err(damaged(id));
    }
    let numbers = bytes.chunks_exact(4).filter_map(|bytes| bytes.try_into().ok());
    Ok(numbers.map(f32::from_le_bytes).collect())
}

fn damaged(id: i64) -> Error {
    Error::invalid(format!(
        "the vector of chunk {id} is damaged: INSERT 'rebuild' into the index, and sync it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::quant::Quantised;
    use crate::index::scan::{Filter, Ranking};
    use crate::index::segment::{self, PLACES_MAX, Place, Segment};

    fn hit(id: i64) -> Scored {
        Scored { id, row: id, score: 0.0 }
    }

    #[test]
    fn hits_that_wait_are_compared_with_those_of_the_next_pass() {
        let mut exact = Exact::new(vec![1.0, 0.0]);
        let vector = |id: i64| Ok(Some(vec![1.0, id as f32]));
        exact.add(vec![hit(4), hit(1), hit(3)], vector).unwrap();
        assert_eq!(exact.take(2).iter().map(|h| h.id).collect::<Vec<_>>(), [1, 3]);
        exact.add(vec![hit(5), hit(2)], vector).unwrap();
        assert_eq!(exact.waiting(), 3);
        let rest = exact.take(9);
        assert_eq!(rest.iter().map(|h| h.id).collect::<Vec<_>>(), [2, 4, 5]);
        assert!((rest[0].score - 1.0 / 5f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn a_vector_that_is_gone_is_left_out_and_a_damaged_one_is_an_error() {
        let mut exact = Exact::new(vec![1.0, 0.0]);
        exact.add(vec![hit(1)], |_| Ok(None)).unwrap();
        assert_eq!(exact.waiting(), 0);
        for bad in [vec![1.0], vec![], vec![1.0, f32::NAN]] {
            let e = exact.add(vec![hit(7)], |_| Ok(Some(bad.clone()))).unwrap_err().to_string();
            assert!(e.contains("chunk 7 is damaged"), "{e}");
        }
        assert_eq!(vector_of(&[0, 0, 0x80, 0x3f], 1, 7).unwrap(), [1.0]);
        assert!(vector_of(&[0; 5], 1, 7).is_err() && vector_of(&[], 1, 7).is_err());
    }

    /// Vectors around centres, as embeddings of texts of some subjects are: an easy ranking has none that are near alike.
    fn clustered(random: &mut fastrand::Rng, count: usize, width: usize) -> Vec<Vec<f32>> {
        let mut numbers = |spread: f32| -> Vec<f32> {
            // About normal: the sum of some uniform ones.
            (0..width).map(|_| (0..6).map(|_| random.f32() - 0.5).sum::<f32>() * spread).collect()
        };
        let centres: Vec<_> = (0..count / 200).map(|_| numbers(1.0)).collect();
        (0..count)
            .map(|i| centres[i % centres.len()].iter().zip(numbers(0.5)).map(|(c, x)| c + x).collect())
            .collect()
    }

    #[test]
    fn ten_of_ten_are_found_but_for_one_in_a_hundred() {
        const K: usize = 10;
        let (count, width, questions) = (4000, 64, 50);
        let mut random = fastrand::Rng::with_seed(11);
        let vectors = clustered(&mut random, count + questions, width);
        let (stored, asked) = vectors.split_at(count);
        let blobs: Vec<Vec<u8>> = stored
            .chunks(PLACES_MAX)
            .enumerate()
            .map(|(s, vectors)| {
                let mut blob = segment::empty(width).unwrap();
                let mut places = Vec::new();
                for (i, vector) in vectors.iter().enumerate() {
                    let id = (s * PLACES_MAX + i + 1) as i64;
                    let vector = Quantised::new(vector).unwrap();
                    places.extend(segment::encode(&Place { id, row: id, vector: &vector }).unwrap());
                }
                blob.extend(places);
                blob[8..12].copy_from_slice(&(vectors.len() as u32).to_le_bytes());
                blob
            })
            .collect();
        let (mut found, mut found_without) = (0, 0);
        for question in asked {
            let mut truth: Vec<Scored> = (1..)
                .zip(stored)
                .map(|(id, vector)| Scored { id, row: id, score: exact_cosine(question, vector) })
                .collect();
            truth.sort_unstable_by(by_score);
            let mut ranking = Ranking::new(question, Filter::default(), OVERSCAN * K).unwrap();
            for blob in &blobs {
                ranking.scan(&Segment::read(blob, width).unwrap());
            }
            let hits = ranking.take();
            let is_true = |hit: &&Scored| truth[..K].iter().any(|t| t.id == hit.id);
            found_without += hits[..K].iter().filter(is_true).count();
            let mut exact = Exact::new(question.clone());
            exact.add(hits, |id| Ok(Some(stored[id as usize - 1].clone()))).unwrap();
            found += exact.take(K).iter().filter(is_true).count();
        }
        let recall = |found: usize| found as f64 / (K * questions) as f64;
        assert!(recall(found) >= 0.99, "{}", recall(found));
        // The bytes alone are not exact, or the test shows nothing.
        assert!(found_without < K * questions, "{}", recall(found_without));
    }
}
