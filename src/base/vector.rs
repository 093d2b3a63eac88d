//! Embeddings as numbers and as bytes.

use std::borrow::Cow;

/// Equally wide embeddings in one allocation, row after row.
///
/// Width 0 means that there are no rows: `new` lets no number in beside it, `len` is then 0, and `rows_mut` yields none.
/// So an empty reply is a value like others, and no division by the width can fail.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vectors {
    data: Vec<f32>,
    width: usize,
}

impl Vectors {
    /// Takes `data` as rows of `width` numbers.
    ///
    /// # Panics
    /// When `data` is not a whole number of rows.
    pub fn new(data: Vec<f32>, width: usize) -> Vectors {
        assert!(if width == 0 { data.is_empty() } else { data.len() % width == 0 });
        Vectors { data, width }
    }

    /// Numbers in a row: the embedding's dimensions.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many embeddings there are.
    pub fn len(&self) -> usize {
        self.data.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Embedding `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.width..(i + 1) * self.width]
    }

    /// The embeddings, to be changed in place.
    pub fn rows_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.data.chunks_exact_mut(self.width.max(1))
    }

    /// All rows in one, without a copy.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }
}

/// The bytes of an embedding's BLOB: little-endian f32.
pub fn to_bytes(row: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(row))
    } else {
        Cow::Owned(row.iter().flat_map(|x| x.to_le_bytes()).collect())
    }
}

/// Scales `row` to length 1. A row of zeros stays as it is.
pub fn normalize(row: &mut [f32]) {
    let length = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if length > 0.0 {
        for x in row {
            *x = (f64::from(*x) / length) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_little_endian() {
        assert_eq!(&*to_bytes(&[1.0, -2.0]), &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
    }

    #[test]
    fn rows_are_cut_by_width() {
        let v = Vectors::new(vec![1.0, 2.0, 3.0, 4.0], 2);
        assert_eq!((v.len(), v.row(1)), (2, &[3.0, 4.0][..]));
        assert_eq!(Vectors::default().len(), 0);
    }

    #[test]
    fn normalize_gives_length_one_without_overflow() {
        let big = 2f32.powi(100);
        let mut row = [3.0 * big, 4.0 * big];
        normalize(&mut row);
        assert_eq!(row, [0.6, 0.8]);
    }
}
