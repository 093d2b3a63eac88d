//! Is this reply believable? A failed check is an error, never a wrong vector.

use crate::base::vector::Vectors;
use crate::provider::Reply;

/// Checks `reply`, the answer to `texts` texts, and puts its rows into the order of the texts.
///
/// # Errors
/// Too few or many rows, indexes that are no permutation, another width than `dimensions`, an empty
/// vector, a number that is not finite, a vector of zeros.
pub fn check(reply: Reply, texts: usize, dimensions: Option<usize>) -> Result<Vectors, String> {
    let Reply { mut data, width, rows, mut index, .. } = reply;
    if rows != texts {
        return Err(format!("the reply has {rows} embeddings for {texts} text(s)"));
    }
    if width == 0 {
        return Err("the reply has an empty embedding (ollama answers so to an empty text)".into());
    }
    if let Some(wanted) = dimensions.filter(|wanted| *wanted != width) {
        return Err(format!(
            "the embeddings have {width} dimensions, not the {wanted} asked for: the server ignores the option \
             'dimensions', or the model cannot be cut to that size"
        ));
    }
    for (i, row) in data.chunks_exact(width).enumerate() {
        if row.iter().any(|x| !x.is_finite()) {
            return Err(format!("embedding {i} of the reply has a number that is not finite"));
        }
        if row.iter().all(|x| *x == 0.0) {
            return Err(format!(
                "embedding {i} of the reply is all zeros (is the server's embedding mode on?)"
            ));
        }
    }
    if !index.is_empty() {
        place(&mut data, width, &mut index, rows)?;
    }
    Ok(Vectors::new(data, width))
}

/// Puts rows at their `index`, within `data`: providers may answer out of order.
fn place(data: &mut [f32], width: usize, index: &mut [u64], rows: usize) -> Result<(), String> {
    if index.len() != rows {
        return Err(format!("{} of {rows} embeddings in the reply have an index", index.len()));
    }
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

    fn reply(data: &[f32], width: usize, index: &[u64]) -> Reply {
        let rows = data.len().checked_div(width).unwrap_or(1);
        Reply { data: data.into(), width, rows, index: index.into(), tokens: None }
    }

    #[test]
    fn rows_are_placed_by_index() {
        let v = check(reply(&[1.0, 2.0, 3.0, 4.0], 2, &[1, 0]), 2, Some(2)).unwrap();
        assert_eq!((v.row(0), v.row(1)), (&[3.0, 4.0][..], &[1.0, 2.0][..]));
    }

    #[test]
    fn any_order_is_put_right() {
        for shift in 0..7 {
            for step in 1..7 {
                // A permutation of 0..7, as 7 is prime.
                let index: Vec<u64> = (0..7).map(|i| (i * step + shift) % 7).collect();
                let data: Vec<f32> = index.iter().flat_map(|i| [*i as f32, *i as f32 + 0.5]).collect();
                let v = check(reply(&data, 2, &index), 7, None).unwrap();
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
            (reply(&[1.0, f32::INFINITY], 2, &[]), 1, None, "not finite"),
            (reply(&[f32::NAN], 1, &[]), 1, None, "not finite"),
            (reply(&[1.0, 0.0], 1, &[]), 2, None, "embedding 1 of the reply is all zeros"),
        ] {
            let e = check(reply, texts, dimensions).unwrap_err();
            assert!(e.contains(why), "{e}");
        }
    }
}
