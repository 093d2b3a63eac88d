//! Reads the embeddings out of a reply, straight into `Vec<f32>`.
//!
//! Every provider answers in one of a few shapes: an OpenAI list (`data[i].embedding` with `index`), an
//! `embeddings` array or an object of arrays by type, a single `embedding`, or a bare array of any of these.
//! A vector is an array of numbers, one row nested in an array, or base64 of little-endian f32.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::failure::{Failure, Verdict};
use crate::error::{PROVIDER_MESSAGE_MAX, bounded};

/// Some servers leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The names that matter in a reply.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Data,
    Embeddings,
    Embedding,
    Index,
    Float,
    Base64,
    Usage,
    Meta,
    PromptEvalCount,
    TokensUsed,
    #[serde(other)]
    Other,
}

/// What a reply holds, before it is checked.
#[derive(Debug, Default, PartialEq)]
pub struct Reply {
    /// The rows in order of arrival, each `width` numbers.
    pub data: Vec<f32>,
    /// Numbers in a row.
    pub width: usize,
    /// How many rows came.
    pub rows: usize,
    /// `index` of each row that had one.
    pub index: Vec<u64>,
    /// Tokens of the request, as reported.
    pub tokens: Option<u64>,
}

/// Reads `body`, the reply to `texts` texts.
///
/// # Errors
/// JSON that is broken or holds no embeddings, rows of unequal width, vectors per token.
pub fn read(body: &[u8], texts: usize) -> Result<Reply, Failure> {
    // A number takes 8 to 22 bytes as JSON, base64 5.3: sized for the former, which most servers send.
    let mut reply = Reply { data: Vec::with_capacity(body.len() / 12), ..Reply::default() };
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = Document { reply: &mut reply, texts }.deserialize(&mut json).and_then(|()| json.end());
    match read {
        Ok(()) => Ok(reply),
        Err(e) => {
            // serde repeats values, which may be as long as the reply.
            let text = bounded(&e.to_string(), PROVIDER_MESSAGE_MAX);
            let verdict = if e.is_eof() { Verdict::Retry(None) } else { Verdict::Permanent };
            let what = if e.is_data() { "holds no usable embeddings" } else { "is not valid JSON" };
            Err(Failure { message: format!("the reply {what}: {text}"), verdict })
        }
    }
}

impl Reply {
    fn end_row<E: Error>(&mut self, start: usize) -> Result<(), E> {
        let width = self.data.len() - start;
        if self.rows == 0 {
            self.width = width;
        } else if width != self.width {
            return Err(E::custom(format!(
                "row {} has {width} numbers, the rows before it {}",
                self.rows, self.width
            )));
        }
        self.rows += 1;
        Ok(())
    }

    fn base64<E: Error>(&mut self, text: &str) -> Result<(), E> {
        let start = self.data.len();
        self.data.resize(start + base64::decoded_len_estimate(text.len()).div_ceil(4), 0.0);
        let bytes = bytemuck::cast_slice_mut::<f32, u8>(&mut self.data[start..]);
        let n = BASE64
            .decode_slice(text, bytes)
            .map_err(|e| E::custom(format!("an embedding is not base64: {e}")))?;
        if n % 4 != 0 {
            return Err(E::custom(format!("an embedding of {n} bytes is not a list of f32")));
        }
        self.data.truncate(start + n / 4);
        if cfg!(target_endian = "big") {
            self.data[start..].iter_mut().for_each(|x| *x = f32::from_bits(x.to_bits().swap_bytes()));
        }
        self.end_row(start)
    }
}

/// Makes a visitor the seed of itself, for JSON whose shape is only known when it is seen.
macro_rules! seed {
    ($name:ident) => {
        impl<'de> DeserializeSeed<'de> for $name<'_> {
            type Value = ();

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.deserialize_any(self)
            }
        }
    };
}

/// The whole reply.
struct Document<'a> {
    reply: &'a mut Reply,
    texts: usize,
}
seed!(Document);

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or array of embeddings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Rows { reply: self.reply }.visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Data | Key::Embeddings => {
                    map.next_value_seed(Rows { reply: self.reply })?;
                    found = true;
                }
                Key::Embedding => {
                    map.next_value_seed(Row { reply: self.reply })?;
                    found = true;
                }
                Key::Usage | Key::Meta | Key::PromptEvalCount | Key::TokensUsed => {
                    let usage: Value = map.next_value()?;
                    self.reply.tokens = tokens(&usage).or(self.reply.tokens);
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        match found {
            true => Ok(()),
            false => Err(A::Error::custom(format!(
                "neither 'data', 'embeddings' nor 'embedding' is there for {} text(s)",
                self.texts
            ))),
        }
    }
}

/// The tokens in what providers report: a number, `usage`, or `meta` with its `billed_units`. Whatever else
/// stands there is no reason to refuse a reply.
fn tokens(usage: &Value) -> Option<u64> {
    whole(usage)
        .or_else(|| whole(&usage["total_tokens"]))
        .or_else(|| whole(&usage["billed_units"]["input_tokens"]))
}

fn whole(number: &Value) -> Option<u64> {
    number.as_u64().or_else(|| number.as_f64().filter(|n| n.fract() == 0.0 && *n >= 0.0).map(|n| n as u64))
}

/// A list of rows, or an object with such a list by type.
struct Rows<'a> {
    reply: &'a mut Reply,
}
seed!(Rows);

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of embeddings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Item { reply: self.reply })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        by_type(map, |map| map.next_value_seed(Rows { reply: self.reply }))
    }
}

/// Reads the float or base64 entry of an object by type, the first that comes.
fn by_type<'de, A: MapAccess<'de>>(
    mut map: A,
    mut read: impl FnMut(&mut A) -> Result<(), A::Error>,
) -> Result<(), A::Error> {
    let mut found = false;
    while let Some(key) = map.next_key::<Key>()? {
        if !found && (matches!(key, Key::Float | Key::Base64)) {
            read(&mut map)?;
            found = true;
        } else {
            map.next_value::<IgnoredAny>()?;
        }
    }
    match found {
        true => Ok(()),
        false => Err(A::Error::custom("there are no embeddings of type float or base64")),
    }
}

/// An element of a list: a vector, or an object that holds one and its index.
struct Item<'a> {
    reply: &'a mut Reply,
}
seed!(Item);

impl<'de> Visitor<'de> for Item<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an embedding")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.reply.base64(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Row { reply: self.reply }.visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let rows = self.reply.rows;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Embedding => map.next_value_seed(Row { reply: self.reply })?,
                Key::Index => {
                    if let Some(index) = whole(&map.next_value()?) {
                        self.reply.index.push(index);
                    }
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        match self.reply.rows - rows {
            1 => Ok(()),
            _ => Err(A::Error::custom(format!("item {rows} has no embedding of its own"))),
        }
    }
}

/// One vector, perhaps nested in an array of one, or by type.
struct Row<'a> {
    reply: &'a mut Reply,
}
seed!(Row);

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an embedding: numbers or base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.reply.base64(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let start = self.reply.data.len();
        let (mut nested, mut rows) = (0, 0);
        while let Some(row) = seq.next_element_seed(Number { data: &mut self.reply.data, depth: 1 })? {
            nested += usize::from(row);
            rows += 1;
            if nested > 0 && rows > nested {
                return Err(A::Error::custom("an embedding mixes numbers and lists"));
            }
            if nested > 1 {
                return Err(A::Error::custom(
                    "the server sent one vector per token, not one per text: start it with pooling \
                     (llama-server: --pooling mean)",
                ));
            }
        }
        if nested == 1 && self.reply.data.len() == start {
            return Err(A::Error::custom("an embedding is an empty list"));
        }
        self.reply.end_row(start)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        by_type(map, |map| map.next_value_seed(Row { reply: self.reply }))
    }
}

/// A number of a vector, or (`true`) a vector nested in it.
struct Number<'a> {
    data: &'a mut Vec<f32>,
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Number<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Number<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of an embedding")
    }

    fn visit_f64<E>(self, x: f64) -> Result<bool, E> {
        self.data.push(x as f32);
        Ok(false)
    }

    fn visit_u64<E>(self, x: u64) -> Result<bool, E> {
        self.data.push(x as f32);
        Ok(false)
    }

    fn visit_i64<E>(self, x: i64) -> Result<bool, E> {
        self.data.push(x as f32);
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        if self.depth == 0 {
            return Err(A::Error::custom("an embedding is nested too deeply"));
        }
        while seq.next_element_seed(Number { data: self.data, depth: 0 })?.is_some() {}
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &str) -> String {
        read(body.as_bytes(), 1).unwrap_err().message
    }

    #[test]
    fn a_long_value_is_not_repeated_whole() {
        let e = error(&format!(r#"{{"data":"{}"}}"#, "A".repeat(100_000)));
        assert!(e.chars().count() < 600, "{}", e.len());
    }

    #[test]
    fn a_reply_that_is_cut_off_may_be_asked_for_again() {
        let verdict = |body: &str| read(body.as_bytes(), 1).unwrap_err().verdict;
        assert_eq!(verdict(r#"{"embeddings":[[1,2"#), Verdict::Retry(None));
        assert_eq!(verdict("<html>"), Verdict::Permanent);
    }

    #[test]
    fn numbers_are_nearest_f32() {
        let reply = read(b"[[1, -2, 0.1, 1e-3, 16777217, 0.333333343]]", 1).unwrap();
        assert_eq!(reply.data, [1.0, -2.0, 0.1, 1e-3, 16_777_216.0, 1.0 / 3.0]);
        assert_eq!((reply.rows, reply.width), (1, 6));
    }

    #[test]
    fn base64_without_padding_is_read() {
        let reply = read(br#"{"data":[{"embedding":"AACAPw","index":0}]}"#, 1).unwrap();
        assert_eq!(reply.data, [1.0]);
        assert!(error(r#"{"data":[{"embedding":"AACA"}]}"#).contains("3 bytes"));
        assert!(error(r#"{"data":[{"embedding":"A*CA"}]}"#).contains("not base64"));
    }

    #[test]
    fn what_is_no_vector_is_an_error() {
        for (body, why) in [
            (r#"{"data":[{"embedding":[1,null]}]}"#, "null"),
            (r#"{"data":[{"embedding":null}]}"#, "null"),
            (r#"{"data":[{"index":0}]}"#, "no embedding"),
            (r#"{"data":[{"embedding":[1,"a"]}]}"#, "string"),
            (r#"{"data":[{"embedding":[NaN]}]}"#, "not valid JSON"),
            (r#"{"data":[{"embedding":[1e999]}]}"#, "not valid JSON"),
            (r#"{"embedding":[[1],[2]]}"#, "per token"),
            (r#"{"embedding":[[[1]]]}"#, "nested"),
            (r#"{"embedding":[1,[2,3]]}"#, "mixes"),
            (r#"{"embedding":[[2,3],1]}"#, "mixes"),
            (r#"{"embeddings":[[1,2],[3]]}"#, "row 1 has 1 numbers"),
            (r#"{"embeddings":{"int8":[[1]]}}"#, "float or base64"),
            (r#"{"object":"list"}"#, "neither"),
            (r#"{"embeddings":[[1]]"#, "not valid JSON"),
            (r#"{"embeddings":[[1]]} x"#, "not valid JSON"),
            ("<html>", "not valid JSON"),
            ("", "not valid JSON"),
            ("7", "no usable"),
        ] {
            let e = error(body);
            assert!(e.contains(why), "{body}: {e}");
        }
    }

    #[test]
    fn usage_may_be_missing_null_or_partial() {
        for (usage, tokens) in [
            ("", None),
            (r#","usage":null"#, None),
            (r#","usage":{"total_tokens":null}"#, None),
            (r#","usage":[],"meta":"x","prompt_eval_count":6.0"#, Some(6)),
            (r#","usage":{"prompt_tokens":3,"total_tokens":4}"#, Some(4)),
        ] {
            let body = format!(r#"{{"embeddings":[[1]]{usage}}}"#);
            assert_eq!(read(body.as_bytes(), 1).unwrap().tokens, tokens, "{usage}");
        }
    }
}
