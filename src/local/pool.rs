//! One vector a text, from the vectors of its tokens.

/// How the vectors of a text's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooling {
    /// Their mean.
    #[default]
    Mean,
    /// That of the first, which stands for the text.
    Cls,
}

impl Pooling {
    /// The vectors of a batch: `data` is `width` numbers a token, padded to equally many tokens a text, of which `lengths`
    /// are the text's own.
    pub fn apply(self, data: &[f32], lengths: &[usize], width: usize) -> Vec<f32> {
        let padded = data.len().checked_div(lengths.len() * width).unwrap_or(0) * width;
        let mut pooled = vec![0.0; lengths.len() * width];
        let texts = data.chunks_exact(padded.max(1)).zip(lengths);
        for (out, (text, &length)) in pooled.chunks_exact_mut(width).zip(texts) {
            match self {
                Pooling::Cls => out.copy_from_slice(&text[..width]),
                Pooling::Mean => {
                    for token in text.chunks_exact(width).take(length) {
                        out.iter_mut().zip(token).for_each(|(sum, x)| *sum += x);
                    }
                    out.iter_mut().for_each(|sum| *sum /= length as f32);
                }
            }
        }
        pooled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_counts_for_nothing() {
        // Two texts of three places, the second with one token of its own.
        let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 90.0, 90.0, 90.0, 90.0];
        assert_eq!(Pooling::Mean.apply(&data, &[3, 1], 2), [3.0, 4.0, 7.0, 8.0]);
        assert_eq!(Pooling::Cls.apply(&data, &[3, 1], 2), [1.0, 2.0, 7.0, 8.0]);
    }
}
