//! Splits the texts of a call into requests.

use std::ops::Range;

/// The ceilings of one request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Texts.
    pub texts: usize,
    /// Tokens, by [`estimate`].
    pub tokens: Option<usize>,
}

/// The tokens of `text`, as OpenAI's limiter is known to estimate them: a quarter of its UTF-8 bytes.
///
/// Source: pgai's `openai.py`, which reproduces the server's count.
pub fn estimate(text: &str) -> usize {
    text.len().div_ceil(4)
}

/// Cuts `texts` into consecutive ranges within `limits`. An empty text has a range of its own, since some
/// providers refuse a whole request for it; so has a text that is over the limit by itself.
pub fn plan(texts: &[&str], limits: Limits) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (i, text) in texts.iter().enumerate() {
        let cost = estimate(text);
        let full = i - start == limits.texts || limits.tokens.is_some_and(|most| tokens + cost > most);
        let alone = text.is_empty() || (i > start && texts[i - 1].is_empty());
        if i > start && (full || alone) {
            ranges.push(start..i);
            (start, tokens) = (i, 0);
        }
        tokens += cost;
    }
    if start < texts.len() {
        ranges.push(start..texts.len());
    }
    ranges
}

/// The two halves of a request that was too large; `None` for a lone text.
pub fn halve(range: &Range<usize>) -> Option<[Range<usize>; 2]> {
    let middle = range.start + range.len() / 2;
    (range.len() > 1).then_some([range.start..middle, middle..range.end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(texts: usize, tokens: impl Into<Option<usize>>) -> Limits {
        Limits { texts, tokens: tokens.into() }
    }

    #[test]
    fn texts_are_cut_by_count_and_by_tokens() {
        assert_eq!(plan(&["a"; 5], limits(2, None)), [0..2, 2..4, 4..5]);
        assert_eq!(plan(&["aaaaaaaa"; 3], limits(9, 4)), [0..2, 2..3]);
        assert_eq!(plan(&["a", &"b".repeat(100), "c"], limits(9, 4)), [0..1, 1..2, 2..3]);
        assert_eq!(plan(&[], limits(9, None)), []);
    }

    #[test]
    fn an_empty_text_travels_alone() {
        assert_eq!(plan(&["a", "b", "", "c", "d"], limits(9, None)), [0..2, 2..3, 3..5]);
        assert_eq!(plan(&["", "", "a"], limits(9, None)), [0..1, 1..2, 2..3]);
    }

    #[test]
    fn halves_cover_the_whole() {
        assert_eq!(halve(&(2..5)), Some([2..3, 3..5]));
        assert_eq!(halve(&(2..3)), None);
    }
}
