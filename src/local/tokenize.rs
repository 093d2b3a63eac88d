//! Texts as the token numbers of a model: tokenizer.json, by the crate that wrote it.

use tokenizers::{PostProcessor, Tokenizer};

use super::Trouble;

/// What is read of a text: a megabyte holds more tokens than any model takes.
const TEXT_MAX: usize = 1 << 20;

/// The tokenizer of a model.
pub struct Tokens {
    tokenizer: Tokenizer,
    /// Where the file itself cuts, which counts if the model's other files name no limit.
    pub limit: Option<usize>,
}

impl Tokens {
    /// Reads a tokenizer.json.
    ///
    /// # Errors
    /// Bytes that hold none. The text repeats nothing of them.
    pub fn read(bytes: &[u8]) -> Result<Tokens, String> {
        let mut tokenizer =
            Tokenizer::from_bytes(bytes).map_err(|e| match e.downcast_ref::<serde_json::Error>() {
                Some(e) => format!("no tokenizer (line {} column {})", e.line(), e.column()),
                None => "no tokenizer".into(),
            })?;
        let limit = tokenizer.get_truncation().map(|truncation| truncation.max_length);
        // The tokenizer must not pad, as we pad each batch; and must not cut, as a text is cut only if the user says so.
        tokenizer.with_truncation(None).map_err(|_| "no tokenizer")?;
        tokenizer.with_padding(None);
        Ok(Tokens { tokenizer, limit })
    }

    /// The largest number of a token.
    pub fn largest(&self) -> u32 {
        self.tokenizer.get_vocab(true).into_values().max().unwrap_or(0)
    }

    /// The tokens of `text` with those that the model adds.
    ///
    /// # Errors
    /// More of them than `limit`, unless the text is to be cut.
    pub fn encode(&self, text: &str, limit: usize, truncate: bool) -> Result<Vec<u32>, Trouble> {
        let text = match text.len() > TEXT_MAX {
            true if truncate => {
                let end = (0..=TEXT_MAX).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
                &text[..end]
            }
            true => {
                let bytes = text.len();
                return Err(too_long(&format!("{bytes} bytes, and at most {TEXT_MAX} are read"), limit));
            }
            false => text,
        };
        let failed =
            |e: tokenizers::Error| Trouble::Failed(format!("tokenizer.json cannot read the text: {e}"));
        let mut tokens = self.tokenizer.encode_fast(text, false).map_err(failed)?;
        let added = self.tokenizer.get_post_processor().map_or(0, |post| post.added_tokens(false));
        let count = tokens.len() + added;
        if count > limit {
            if !truncate {
                return Err(too_long(&format!("{count} tokens"), limit));
            }
            tokens.truncate(limit.saturating_sub(added), 0, tokenizers::TruncationDirection::Right);
        }
        let tokens = self.tokenizer.post_process(tokens, None, true).map_err(failed)?;
        match tokens.get_ids() {
            // Some models add nothing, and the mean of nothing is no vector.
            [] => Err(Trouble::Failed("the text has no token for this model".into())),
            ids => Ok(ids.to_vec()),
        }
    }
}

fn too_long(what: &str, limit: usize) -> Trouble {
    Trouble::TooLong(format!(
        "the text is too long: it has {what}, and the model takes {limit} tokens. Embed it in parts, or set the option \
         truncate to true to leave the rest out"
    ))
}
