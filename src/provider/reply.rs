//! Reads the embeddings out of a reply, straight into `Vec<f32>`.
//!
//! Every provider answers in one of a few shapes: an OpenAI list (`data[i].embedding` with `index`), an
//! `embeddings` array or an object of arrays by type, a single `embedding`, or a bare array of any of these.
//! A vector is an array of numbers, one row nested in an array, or base64 of little-endian f32.

use base64_simd::AsOut;
use serde::de::IgnoredAny;
use serde_json::Value;
use zeroize::Zeroizing;

use super::failure::{Failure, Verdict};
use super::json::{Error, Reader};
use crate::error::{PROVIDER_MESSAGE_MAX, bounded};

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

/// Reads `body`.
///
/// # Errors
/// JSON that is broken or holds no embeddings, rows of unequal width, vectors per token.
pub fn read(body: &[u8]) -> Result<Reply, Failure> {
    let mut reader = Reader::new(body);
    let mut rows = Rows::default();
    let read = rows.document(&mut reader).and_then(|()| reader.end());
    match read {
        Ok(()) => Ok(rows.finish()),
        Err(e) => {
            // serde repeats values, which may be as long as the reply.
            // Wiped, as they may repeat a key.
            let message = Zeroizing::new(e.message);
            let text = Zeroizing::new(bounded(&message, 4 * PROVIDER_MESSAGE_MAX));
            let verdict = if e.cut_off { Verdict::Retry(None) } else { Verdict::Permanent };
            let what = if e.is_json { "holds no usable embeddings" } else { "is not valid JSON" };
            Err(Failure { message: format!("the reply {what}: {}", *text), verdict })
        }
    }
}

/// The reply as it is read.
#[derive(Default)]
struct Rows {
    reply: Reply,
    /// How many numbers of `reply.data` are read; behind them is room for base64 to be decoded into.
    filled: usize,
    /// The length of the last string of base64; the next is likely as long.
    encoded: usize,
}

impl Rows {
    fn finish(mut self) -> Reply {
        self.reply.data.truncate(self.filled);
        self.reply
    }

    fn document(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        match reader.peek() {
            b'[' => self.list(reader),
            b'{' => self.top(reader),
            _ => {
                let value: Value = reader.value()?;
                Err(reader.shape(format!("{value} is neither an object nor an array")))
            }
        }
    }

    fn top(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let mut found = false;
        reader.object(|reader, key| match key {
            "data" | "embeddings" => {
                found = true;
                self.list_or_types(reader)
            }
            "embedding" => {
                found = true;
                self.row(reader)
            }
            "usage" | "meta" | "prompt_eval_count" | "tokens_used" => {
                let usage: Value = reader.value()?;
                self.reply.tokens = tokens(&usage).or(self.reply.tokens);
                Ok(())
            }
            _ => skip(reader),
        })?;
        match found {
            true => Ok(()),
            false => Err(reader.shape("neither 'data', 'embeddings' nor 'embedding' is there")),
        }
    }

    fn list_or_types(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        match reader.peek() {
            b'[' => self.list(reader),
            b'{' => by_type(reader, |reader| self.list(reader)),
            _ => {
                let value: Value = reader.value()?;
                Err(reader.shape(format!("a list of embeddings expected, not {value}")))
            }
        }
    }

    fn list(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        reader.array(|reader| match reader.peek() {
            b'{' => self.item(reader),
            _ => self.row(reader),
        })
    }

    /// An object that holds a vector and its index.
    fn item(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let rows = self.reply.rows;
        reader.object(|reader, key| match key {
            "embedding" => self.row(reader),
            "index" => {
                let index: Value = reader.value()?;
                // What is no index fails the check as one that is too large does.
                self.reply.index.extend((!index.is_null()).then(|| whole(&index).unwrap_or(u64::MAX)));
                Ok(())
            }
            _ => skip(reader),
        })?;
        match self.reply.rows - rows {
            1 => Ok(()),
            _ => Err(reader.shape(format!("item {rows} has no embedding of its own"))),
        }
    }

    /// One vector, perhaps nested in an array of one, or by type.
    fn row(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let start = self.filled;
        match reader.peek() {
            b'[' => self.numbers(reader)?,
            b'"' => self.base64(reader)?,
            b'{' => return by_type(reader, |reader| self.row(reader)),
            _ => {
                let value: Value = reader.value()?;
                return Err(reader.shape(format!("an embedding expected, not {value}")));
            }
        }
        let width = self.filled - start;
        let reply = &mut self.reply;
        if reply.rows == 0 {
            reply.width = width;
        } else if width != reply.width {
            let text = format!("row {} has {width} numbers, the rows before it {}", reply.rows, reply.width);
            return Err(reader.shape(text));
        }
        reply.rows += 1;
        Ok(())
    }

    fn numbers(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let data = &mut self.reply.data;
        data.truncate(self.filled);
        if data.capacity() == 0 {
            // A number takes 8 to 22 bytes.
            data.reserve(reader.rest().len() / 12);
        }
        reader.enter();
        reader.numbers(data)?;
        if reader.peek() == b'[' {
            if data.len() > self.filled {
                return Err(reader.shape("an embedding mixes numbers and lists"));
            }
            reader.enter();
            reader.numbers(data)?;
            if reader.peek() == b'[' {
                return Err(reader.shape("an embedding is nested too deeply"));
            }
            reader.leave()?;
            if reader.peek() == b',' {
                if !reader.rest()[1..].trim_ascii_start().starts_with(b"[") {
                    return Err(reader.shape("an embedding mixes numbers and lists"));
                }
                return Err(reader.shape(
                    "the server sent more than one list for one text, as one vector per token: start it with pooling \
                     (llama-server: --pooling mean)",
                ));
            }
            if data.len() == self.filled {
                return Err(reader.shape("an embedding is an empty list"));
            }
        }
        if !matches!(reader.peek(), b']' | 0) {
            let value: Value = reader.value()?;
            return Err(reader.shape(format!("a number of an embedding expected, not {value}")));
        }
        self.filled = data.len();
        reader.leave()
    }

    fn base64(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let mut string = reader.here();
        let text = reader.raw_string(self.encoded)?;
        if self.decode(text, reader).is_ok() {
            self.encoded = text.len();
            return Ok(());
        }
        // Perhaps it is another length after all, or written with escapes (`\/`).
        let text: String = string.value()?;
        *reader = string;
        self.decode(text.as_bytes(), reader).map_err(|why| reader.shape(why))
    }

    fn decode(&mut self, text: &[u8], reader: &Reader<'_>) -> Result<(), String> {
        let wrong = |why: &str| format!("an embedding is not base64 of f32 ({why})");
        // Some servers leave the padding out.
        let codec = if text.len() % 4 == 0 { base64_simd::STANDARD } else { base64_simd::STANDARD_NO_PAD };
        let bytes = codec.decoded_length(text).map_err(|_| wrong("it cannot be decoded"))?;
        if bytes % 4 != 0 {
            return Err(wrong(&format!("it has {bytes} bytes")));
        }
        let end = self.filled + bytes / 4;
        let data = &mut self.reply.data;
        if data.is_empty() {
            // Zeroed by the allocator, which costs nothing; enough for all rows, if they are alike.
            *data = vec![0.0; end + reader.rest().len() / 16 * 3];
        } else if data.len() < end {
            data.resize(end, 0.0);
        }
        let place = bytemuck::cast_slice_mut::<f32, u8>(&mut data[self.filled..end]);
        codec.decode(text, place.as_out()).map_err(|_| wrong("it cannot be decoded"))?;
        if cfg!(target_endian = "big") {
            data[self.filled..end].iter_mut().for_each(|x| *x = f32::from_bits(x.to_bits().swap_bytes()));
        }
        self.filled = end;
        Ok(())
    }
}

/// Reads the float or base64 entry of an object by type, the first that comes.
fn by_type<'a>(
    reader: &mut Reader<'a>,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut found = false;
    reader.object(|reader, key| match key {
        "float" | "base64" if !found => {
            found = true;
            read(reader)
        }
        _ => skip(reader),
    })?;
    match found {
        true => Ok(()),
        false => Err(reader.shape("there are no embeddings of type float or base64")),
    }
}

fn skip(reader: &mut Reader<'_>) -> Result<(), Error> {
    reader.value::<IgnoredAny>().map(drop)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &str) -> String {
        read(body.as_bytes()).unwrap_err().message
    }

    #[test]
    fn a_long_value_is_not_repeated_whole() {
        let e = error(&format!(r#"{{"data":"{}"}}"#, "A".repeat(100_000)));
        assert!(e.chars().count() < 2100, "{}", e.len());
    }

    #[test]
    fn a_reply_that_is_cut_off_may_be_asked_for_again() {
        let verdict = |body: &str| read(body.as_bytes()).unwrap_err().verdict;
        assert_eq!(verdict(r#"{"embeddings":[[1,2"#), Verdict::Retry(None));
        assert_eq!(verdict("<html>"), Verdict::Permanent);
    }

    #[test]
    fn numbers_are_nearest_f32() {
        let reply = read(b"[[1, -2, 0.1, 1e-3, 16777217, 0.333333343]]").unwrap();
        assert_eq!(reply.data, [1.0, -2.0, 0.1, 1e-3, 16_777_216.0, 1.0 / 3.0]);
        assert_eq!((reply.rows, reply.width), (1, 6));
    }

    #[test]
    fn base64_without_padding_is_read() {
        let reply = read(br#"{"data":[{"embedding":"AACAPw","index":0}]}"#).unwrap();
        assert_eq!(reply.data, [1.0]);
        let reply = read(br#"["AACAPwAAgD8=","AACAPwAAgD8=","AACAP\/8AgD8="]"#).unwrap();
        assert_eq!((reply.rows, reply.width, reply.data[0]), (3, 2, 1.0));
        assert!(error(r#"["AACAPwAAgD8=","AACAPw=="  ,"x"]"#).contains("row 1 has 1"));
        assert!(error(r#"{"data":[{"embedding":"AACA"}]}"#).contains("3 bytes"));
        assert!(error(r#"{"data":[{"embedding":"A*CA"}]}"#).contains("not base64"));
    }

    #[test]
    fn what_is_no_vector_is_an_error() {
        for (body, why) in [
            (r#"{"data":[{"embedding":[1,null]}]}"#, "null"),
            (r#"{"data":[{"embedding":null}]}"#, "null"),
            (r#"{"data":[{"index":0}]}"#, "no embedding"),
            (r#"{"data":[{"embedding":[1,"a"]}]}"#, "a number of an embedding"),
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
            assert_eq!(read(body.as_bytes()).unwrap().tokens, tokens, "{usage}");
        }
    }
}
