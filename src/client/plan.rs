//! How many texts one request takes.

/// The ceilings of one request.
#[derive(Debug, Clone, Copy)]
pub struct Ceilings {
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

/// Those of all of `texts`.
pub fn estimate_all(texts: &[&str]) -> usize {
    texts.iter().map(|text| estimate(text)).sum()
}

/// What a request that is being filled holds so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    texts: usize,
    tokens: usize,
    closed: bool,
}

impl Load {
    /// Whether `text` still fits within `ceilings`. The first text always does, a text over the limit by itself
    /// included. An empty text travels alone, since some providers refuse a whole request for it.
    pub fn takes(&self, text: &str, ceilings: Ceilings) -> bool {
        let tokens = self.tokens + estimate(text);
        self.texts == 0
            || !(self.closed
                || text.is_empty()
                || self.texts >= ceilings.texts
                || ceilings.tokens.is_some_and(|most| tokens > most))
    }

    /// Adds `text`.
    pub fn add(&mut self, text: &str) {
        self.texts += 1;
        self.tokens += estimate(text);
        self.closed |= text.is_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes of the requests that `texts` are cut into.
    fn cut(texts: &[&str], limit: usize, tokens: Option<usize>) -> Vec<usize> {
        let ceilings = Ceilings { texts: limit, tokens };
        let (mut sizes, mut load) = (vec![], Load::default());
        for text in texts {
            if !load.takes(text, ceilings) {
                sizes.push(load.texts);
                load = Load::default();
            }
            load.add(text);
        }
        sizes.push(load.texts);
        sizes
    }

    #[test]
    fn texts_are_cut_by_count_and_by_tokens() {
        assert_eq!(cut(&["a"; 5], 2, None), [2, 2, 1]);
        assert_eq!(cut(&["aaaaaaaa"; 3], 9, Some(4)), [2, 1]);
        assert_eq!(cut(&["a", &"b".repeat(100), "c"], 9, Some(4)), [1, 1, 1]);
    }

    #[test]
    fn an_empty_text_travels_alone() {
        assert_eq!(cut(&["a", "b", "", "c", "d"], 9, None), [2, 1, 2]);
        assert_eq!(cut(&["", "", "a"], 9, None), [1, 1, 1]);
    }
}
