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

/// How the numbers of an embedding are written in its BLOB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Little-endian f32.
    #[default]
    Float32,
    /// A byte each. Providers send whole numbers from -128 to 127.
    Int8,
    /// A bit each, the first dimension in the lowest bit of the first byte. Providers send a number from 0 to 255 for
    /// eight dimensions, of which the first is the highest bit (NumPy's `packbits`).
    Bit,
}

impl Encoding {
    /// The name of the option's value.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Float32 => "float32",
            Encoding::Int8 => "int8",
            Encoding::Bit => "bit",
        }
    }

    /// How many numbers of a reply hold `dimensions`.
    pub fn numbers(self, dimensions: usize) -> usize {
        match self {
            Encoding::Bit => dimensions.div_ceil(8),
            Encoding::Float32 | Encoding::Int8 => dimensions,
        }
    }

    /// Whether a row of a reply may be in this encoding.
    pub fn holds(self, row: &[f32]) -> bool {
        let all_in = |least, most| row.iter().all(|x| x.fract() == 0.0 && *x >= least && *x <= most);
        match self {
            Encoding::Float32 => true,
            Encoding::Int8 => all_in(-128.0, 127.0),
            Encoding::Bit => all_in(0.0, 255.0),
        }
    }

    /// The bytes of the BLOB of a row that it [holds](Encoding::holds).
    pub fn bytes(self, row: &[f32]) -> Cow<'_, [u8]> {
        match self {
            Encoding::Float32 => to_bytes(row),
            Encoding::Int8 => row.iter().map(|x| *x as i8 as u8).collect(),
            Encoding::Bit => row.iter().map(|x| (*x as u8).reverse_bits()).collect(),
        }
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
    fn a_number_of_a_reply_is_a_byte_or_eight_bits() {
        assert_eq!(&*Encoding::Int8.bytes(&[-128.0, 127.0, -1.0]), &[0x80, 0x7f, 0xff]);
        assert_eq!(&*Encoding::Bit.bytes(&[128.0, 3.0]), &[0b0000_0001, 0b1100_0000]);
        for (encoding, bad) in [
            (Encoding::Int8, 128.0),
            (Encoding::Int8, 0.5),
            (Encoding::Bit, -1.0),
            (Encoding::Bit, 256.0),
            (Encoding::Bit, f32::NAN),
        ] {
            assert!(!encoding.holds(&[1.0, bad]) && encoding.holds(&[1.0, 127.0]), "{encoding:?} {bad}");
        }
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
