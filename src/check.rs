//! Is this reply believable? A failed check is an error, never a wrong vector.

use crate::provider::Reply;
use crate::vector::Vectors;

/// Checks `reply`, the answer to `texts` texts, and puts its rows into the order of the texts.
///
/// # Errors
/// Too few or many rows, indexes that are no permutation, another width than `dimensions`, an empty
/// vector, a number that is not finite, a vector of zeros.
pub fn check(reply: Reply, texts: usize, dimensions: Option<usize>) -> Result<Vectors, String> {
    let Reply { data, width, rows, index, .. } = reply;
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
    let data = if index.is_empty() { data } else { place(data, width, &index, rows)? };
    Ok(Vectors::new(data, width))
}

/// Puts rows at their `index`: providers may answer out of order.
fn place(data: Vec<f32>, width: usize, index: &[u64], rows: usize) -> Result<Vec<f32>, String> {
    if index.len() != rows {
        return Err(format!("{} of {rows} embeddings in the reply have an index", index.len()));
    }
    if index.iter().enumerate().all(|(i, at)| i as u64 == *at) {
        return Ok(data);
    }
    let mut seen = vec![false; rows];
    let mut placed = vec![0.0; data.len()];
    for (row, at) in data.chunks_exact(width).zip(index) {
        let at = usize::try_from(*at).unwrap_or(usize::MAX);
        match seen.get_mut(at) {
            Some(seen) if !*seen => *seen = true,
            Some(_) => return Err(format!("index {at} comes twice in the reply")),
            None => return Err(format!("index {at} in the reply is beyond its {rows} embeddings")),
        }
        placed[at * width..(at + 1) * width].copy_from_slice(row);
    }
    Ok(placed)
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
