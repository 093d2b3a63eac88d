//! Vectors as bytes: a quarter of the memory to read, and a ranking that is within a hundredth of the exact one.
//!
//! A vector's numbers are divided by its scale, the largest of them over 127, and rounded. The cosine of two vectors is then the
//! product of their bytes, times the factor of each, which is its scale over its length.
//!
//! ```
//! use sqlite_rembed::index::quant::{Quantised, Question};
//!
//! let stored = Quantised::new(&[3.0, 4.0])?;
//! let question = Question::new(&[4.0, 3.0])?;
//! assert!((question.cosine(&stored.bytes, stored.factor) - 0.96).abs() < 0.01);
//! # Ok::<(), sqlite_rembed::Error>(())
//! ```

use crate::base::error::{Error, Result};

/// The most dimensions of a vector in an index: no sum of products of bytes overflows.
pub const DIMENSIONS_MAX: usize = 65_536;

/// A vector as bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantised {
    /// Its scale over its length; 0 for a vector of zeros, which is like nothing.
    pub factor: f32,
    /// Its numbers over its scale, from -127 to 127.
    pub bytes: Vec<i8>,
}

impl Quantised {
    /// Quantises `vector`, of any length.
    ///
    /// # Errors
    /// No dimensions or more than [`DIMENSIONS_MAX`]; a number that is not finite.
    pub fn new(vector: &[f32]) -> Result<Quantised> {
        if vector.is_empty() || vector.len() > DIMENSIONS_MAX {
            return Err(Error::invalid(format!(
                "a vector of {} dimensions: an index takes 1 to {DIMENSIONS_MAX}",
                vector.len()
            )));
        }
        if !vector.iter().all(|x| x.is_finite()) {
            return Err(Error::invalid("a vector with a number that is not finite"));
        }
        // In f64, where no square of an f32 overflows or vanishes.
        let length = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        let largest = vector.iter().map(|&x| f64::from(x).abs()).fold(0.0, f64::max);
        if largest == 0.0 {
            return Ok(Quantised { factor: 0.0, bytes: vec![0; vector.len()] });
        }
        let scale = largest / 127.0;
        let bytes = vector.iter().map(|&x| (f64::from(x) / scale).round() as i8).collect();
        Ok(Quantised { factor: (scale / length) as f32, bytes })
    }
}

/// A vector that others are compared with.
#[derive(Debug, Clone)]
pub struct Question {
    factor: f32,
    /// Widened once for all products.
    numbers: Vec<i16>,
}

impl Question {
    /// Quantises `vector`, of any length.
    ///
    /// # Errors
    /// As [`Quantised::new`].
    pub fn new(vector: &[f32]) -> Result<Question> {
        let Quantised { factor, bytes } = Quantised::new(vector)?;
        Ok(Question { factor, numbers: bytes.into_iter().map(i16::from).collect() })
    }

    /// The numbers of a vector.
    pub fn dimensions(&self) -> usize {
        self.numbers.len()
    }

    /// About the cosine with a quantised vector, from -1 (opposite) to 1 (alike).
    ///
    /// # Panics
    /// When the vectors differ in width.
    pub fn cosine(&self, bytes: &[i8], factor: f32) -> f32 {
        assert_eq!(bytes.len(), self.numbers.len());
        product(&self.numbers, bytes) as f32 * self.factor * factor
    }
}

/// The sum of the products. Compilers make SIMD of it, SSE2's too.
fn product(question: &[i16], bytes: &[i8]) -> i32 {
    const LANES: usize = 16;
    let (questions, chunks) = (question.chunks_exact(LANES), bytes.chunks_exact(LANES));
    let rest: i32 = questions.remainder().iter().zip(chunks.remainder()).map(|(&a, &b)| times(a, b)).sum();
    let sum: i32 = questions
        .zip(chunks)
        .map(|(questions, chunk)| questions.iter().zip(chunk).map(|(&a, &b)| times(a, b)).sum::<i32>())
        .sum();
    sum + rest
}

fn times(a: i16, b: i8) -> i32 {
    i32::from(a) * i32::from(b)
}

/// The cosine of two vectors, exactly: 0 where one is all zeros.
///
/// # Panics
/// When the vectors differ in width.
pub fn exact_cosine(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let (mut product, mut square_a, mut square_b) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f64::from(a), f64::from(b));
        product += a * b;
        square_a += a * a;
        square_b += b * b;
    }
    let lengths = (square_a * square_b).sqrt();
    if lengths > 0.0 { (product / lengths).clamp(-1.0, 1.0) as f32 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(random: &mut fastrand::Rng, width: usize, size: f32) -> Vec<f32> {
        (0..width).map(|_| (random.f32() - 0.5) * size).collect()
    }

    #[test]
    fn the_cosine_is_near_the_exact_one() {
        let mut random = fastrand::Rng::with_seed(1);
        for width in [1, 2, 7, 16, 17, 384, 1000] {
            for size in [1e-38, 1e-3, 1.0, 1e19, f32::MAX] {
                let (a, b) = (vector(&mut random, width, size), vector(&mut random, width, size));
                let stored = Quantised::new(&a).unwrap();
                let near = Question::new(&b).unwrap().cosine(&stored.bytes, stored.factor);
                let exact = exact_cosine(&a, &b);
                assert!((near - exact).abs() < 0.012, "{width} {size}: {near} {exact}");
            }
        }
    }

    #[test]
    fn the_largest_products_do_not_overflow() {
        let question = Question::new(&vec![1.0; DIMENSIONS_MAX]).unwrap();
        // From a file: we write no -128.
        let cosine = question.cosine(&vec![-128; DIMENSIONS_MAX], 1.0 / (127.0 * 256.0));
        assert!((cosine + 128.0 / 127.0).abs() < 1e-3, "{cosine}");
    }

    #[test]
    fn zeros_are_like_nothing() {
        let zeros = Quantised::new(&[0.0, -0.0]).unwrap();
        assert_eq!(zeros, Quantised { factor: 0.0, bytes: vec![0, 0] });
        assert_eq!(Question::new(&[1.0, 2.0]).unwrap().cosine(&zeros.bytes, zeros.factor), 0.0);
        assert_eq!(exact_cosine(&[0.0], &[1.0]), 0.0);
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        for bad in [&[][..], &[f32::NAN], &[1.0, f32::INFINITY], &vec![1.0; DIMENSIONS_MAX + 1]] {
            assert!(Quantised::new(bad).is_err());
        }
    }
}
