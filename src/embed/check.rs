//! Is this reply believable? A failed check is an error, never a wrong vector.

use std::collections::HashMap;

use crate::base::vector::{Encoding, Vectors};
use crate::provider::{NO_INDEX, Reply};

/// A reply that was checked.
#[derive(Debug)]
pub struct Checked {
    /// The rows in the order of the texts.
    pub vectors: Vectors,
    /// The rows that are no vector, and why: null, a number that is not finite, all zeros, another width than most.
    pub bad: Vec<(usize, String)>,
}

/// Checks `reply`, the answer to `texts` texts, and puts its rows into the order of the texts.
///
/// # Errors
/// Too few or many rows, indexes that are no permutation, another width than `dimensions`, empty vectors.
pub fn check(
    reply: Reply,
    texts: usize,
    dimensions: Option<usize>,
    encoding: Encoding,
) -> Result<Checked, String> {
    let Reply { mut data, width, rows, mut index, nulls, others, .. } = reply;
    if rows != texts {
        return Err(format!("the reply has {rows} embeddings for {texts} text(s)"));
    }
    if width == 0 {
        let what = if nulls.is_empty() { "an empty embedding" } else { "null for an embedding" };
        return Err(format!("the reply has {what} (ollama answers so to an empty text)"));
    }
    if let Some(wanted) = dimensions.filter(|wanted| encoding.numbers(*wanted) != width) {
        if encoding != Encoding::Float32 {
            return Err(format!(
                "the embeddings have {width} numbers, and {wanted} dimensions have {} in the encoding '{}': the server \
                 ignores the option 'encoding' or 'dimensions'",
                encoding.numbers(wanted),
                encoding.name()
            ));
        }
        return Err(format!(
            "the embeddings have {width} dimensions, not the {wanted} asked for: the server ignores the option \
             'dimensions', or the model cannot be cut to that size"
        ));
    }
    if nulls.len() + others.len() > 0 {
        let mut missing = [nulls, others.iter().map(|(row, _)| *row).collect()].concat();
        missing.sort_unstable();
        data = with_nulls(&data, width, rows, &missing);
    }
    let mut widths: HashMap<usize, usize> =
        others.iter().map(|(row, width)| (*row as usize, *width)).collect();
    if index.iter().any(|at| *at != NO_INDEX) {
        fill_gap(&mut index, rows)?;
        widths = widths.into_iter().map(|(row, width)| (index[row] as usize, width)).collect();
        place(&mut data, width, &mut index, rows)?;
    }
    let why = |i: usize, row: &[f32]| {
        if let Some(other) = widths.get(&i) {
            return Some(format!("has {other} numbers, and the others have {width}"));
        }
        // To the end in any case: then the compiler looks at many numbers at a time.
        let is_finite = row.iter().fold(true, |all, x| all & x.is_finite());
        let why = if !is_finite {
            "is null, or has a number that is not finite"
        } else if !encoding.holds(row) {
            "is not in the encoding that was asked for"
        } else if row.iter().all(|x| *x == 0.0) {
            "is all zeros (is the server's embedding mode on?)"
        } else {
            return None;
        };
        Some(why.to_owned())
    };
    let rows = data.chunks_exact(width).enumerate();
    let bad =
        rows.filter_map(|(i, row)| why(i, row).map(|why| (i, format!("embedding {i} of the reply {why}"))));
    Ok(Checked { bad: bad.collect(), vectors: Vectors::new(data, width) })
}

/// `data` with a row of NaN in the place of each row that is null.
fn with_nulls(data: &[f32], width: usize, rows: usize, nulls: &[u32]) -> Vec<f32> {
    let mut all = vec![f32::NAN; rows * width];
    let mut nulls = nulls.iter().map(|row| *row as usize).peekable();
    let mut rest = data.chunks_exact(width);
    for (i, row) in all.chunks_exact_mut(width).enumerate() {
        if nulls.next_if_eq(&i).is_none() {
            row.copy_from_slice(rest.next().unwrap_or_default());
        }
    }
    all
}

/// Gives the one row without an index the one that is left: proto3 leaves a 0 out.
fn fill_gap(index: &mut [u64], rows: usize) -> Result<(), String> {
    let with = index.iter().filter(|at| **at != NO_INDEX).count();
    if index.len() != rows || with + 1 < rows {
        return Err(format!("{with} of {rows} embeddings in the reply have an index"));
    }
    if let Some(gap) = index.iter().position(|at| *at == NO_INDEX) {
        let mut seen = vec![false; rows];
        for at in &*index {
            if let Some(seen) = usize::try_from(*at).ok().and_then(|at| seen.get_mut(at)) {
                *seen = true;
            }
        }
        index[gap] = seen.iter().position(|seen| !seen).unwrap_or(rows) as u64;
    }
    Ok(())
}

/// Puts rows at their `index`, within `data`: providers may answer out of order.
fn place(data: &mut [f32], width: usize, index: &mut [u64], rows: usize) -> Result<(), String> {
    let mut seen = vec![false; rows];
    for at in &*index {
        match usize::try_from(*at).ok().and_then(|at| seen.get_mut(at)) {
            Some(seen) if !*seen => *seen = true,
            Some(_) => return Err(format!("index {at} comes twice in the reply")),
            None => return Err(format!("index {at} in the reply is beyond its {rows} embeddings")),
        }
    }
    for row in 0..rows {
        // Each swap puts one row into its place.
        while index[row] != row as u64 {
            let at = index[row] as usize;
            let (low, high) = (row.min(at), row.max(at));
            let (before, from) = data.split_at_mut(high * width);
            before[low * width..][..width].swap_with_slice(&mut from[..width]);
            index.swap(row, at);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const F: Encoding = Encoding::Float32;

    fn reply(data: &[f32], width: usize, index: &[u64]) -> Reply {
        let rows = data.len().checked_div(width).unwrap_or(1);
        Reply { data: data.into(), width, rows, index: index.into(), ..Reply::default() }
    }

    #[test]
    fn rows_are_placed_by_index() {
        let v = check(reply(&[1.0, 2.0, 3.0, 4.0], 2, &[1, 0]), 2, Some(2), F).unwrap().vectors;
        assert_eq!((v.row(0), v.row(1)), (&[3.0, 4.0][..], &[1.0, 2.0][..]));
    }

    #[test]
    fn any_order_is_put_right() {
        for shift in 0..7 {
            for step in 1..7 {
                // A permutation of 0..7, as 7 is prime.
                let index: Vec<u64> = (0..7).map(|i| (i * step + shift) % 7).collect();
                let data: Vec<f32> = index.iter().flat_map(|i| [*i as f32, *i as f32 + 0.5]).collect();
                let v = check(reply(&data, 2, &index), 7, None, F).unwrap().vectors;
                assert!((0..7).all(|i| v.row(i) == [i as f32, i as f32 + 0.5]), "{index:?}");
            }
        }
    }

    #[test]
    fn an_unbelievable_reply_is_refused() {
        let two = [1.0, 2.0];
        for (reply, texts, dimensions, why) in [
            (reply(&two, 1, &[]), 1, None, "2 embeddings for 1"),
            (reply(&two, 1, &[0, 0]), 2, None, "twice"),
            (reply(&two, 1, &[0, 2]), 2, None, "beyond"),
            (reply(&two, 1, &[0]), 2, None, "1 of 2"),
            (reply(&two, 2, &[]), 1, Some(3), "not the 3 asked for"),
            (reply(&[], 0, &[]), 1, None, "empty embedding"),
            (reply(&[1.0, 2.0, 3.0], 1, &[2, NO_INDEX, NO_INDEX]), 3, None, "1 of 3"),
            (reply(&two, 1, &[1, NO_INDEX, NO_INDEX]), 2, None, "1 of 2"),
            (reply(&two, 1, &[5, NO_INDEX]), 2, None, "beyond"),
        ] {
            let e = check(reply, texts, dimensions, F).unwrap_err();
            assert!(e.contains(why), "{e}");
        }
    }

    #[test]
    fn a_row_without_an_index_has_the_one_that_is_left() {
        for (index, first) in [
            ([NO_INDEX, 1, 2], [1.0, 2.0, 3.0]),
            ([2, 1, NO_INDEX], [3.0, 2.0, 1.0]),
            ([NO_INDEX; 3], [1.0, 2.0, 3.0]),
        ] {
            let v = check(reply(&[1.0, 2.0, 3.0], 1, &index), 3, None, F).unwrap().vectors;
            assert_eq!([0, 1, 2].map(|i| v.row(i)[0]), first, "{index:?}");
        }
    }

    #[test]
    fn a_bad_row_leaves_the_others() {
        let data = [1.0, 0.0, f32::NAN, f32::INFINITY, 5.0];
        let nulls = Reply { nulls: vec![0, 3], rows: 7, ..reply(&data, 1, &[6, 5, 4, 3, 2, 1, 0]) };
        let checked = check(nulls, 7, None, F).unwrap();
        let bad: Vec<_> = checked.bad.iter().map(|(row, _)| *row).collect();
        assert_eq!(bad, [1, 2, 3, 4, 6]);
        assert_eq!((checked.vectors.row(0), checked.vectors.row(5)), (&[5.0][..], &[1.0][..]));
        assert!(checked.bad[0].1.contains("embedding 1 of the reply is null"), "{:?}", checked.bad);
        assert!(checked.bad[2].1.contains("embedding 3 of the reply is null"), "{:?}", checked.bad);
        assert!(checked.bad[3].1.contains("all zeros"), "{:?}", checked.bad);
    }

    #[test]
    fn a_row_is_in_the_encoding_that_was_asked_for() {
        let bytes = [-128.0, 127.0, 0.5, 1.0];
        let checked = check(reply(&bytes, 2, &[]), 2, Some(2), Encoding::Int8).unwrap();
        assert_eq!(checked.bad.len(), 1);
        assert!(
            checked.bad[0].1.contains("embedding 1 of the reply is not in the encoding"),
            "{:?}",
            checked.bad
        );
        let bits = check(reply(&[255.0, 1.0], 1, &[]), 2, Some(8), Encoding::Bit).unwrap();
        assert!(bits.bad.is_empty());
        let e = check(reply(&[255.0, 1.0], 1, &[]), 2, Some(16), Encoding::Bit).unwrap_err();
        assert!(e.contains("1 numbers, and 16 dimensions have 2"), "{e}");
    }

    #[test]
    fn a_row_of_another_width_is_bad_where_it_belongs() {
        let reply =
            Reply { nulls: vec![1], others: vec![(0, 3)], rows: 4, ..reply(&[5.0, 6.0], 1, &[2, 3, 1, 0]) };
        let checked = check(reply, 4, None, F).unwrap();
        assert_eq!((checked.vectors.row(0), checked.vectors.row(1)), (&[6.0][..], &[5.0][..]));
        assert_eq!(
            checked.bad[0],
            (2, "embedding 2 of the reply has 3 numbers, and the others have 1".into())
        );
        assert!(
            checked.bad.len() == 2 && checked.bad[1].1.contains("embedding 3 of the reply is null"),
            "{:?}",
            checked.bad
        );
    }
}
