//! Reads the embeddings out of a reply, straight into `Vec<f32>`.
//!
//! Every provider answers in one of a few shapes: an OpenAI list (`data[i].embedding` with `index`), an
//! `embeddings` array or an object of arrays by type, a single `embedding`, or a bare array of any of these.
//! A vector is an array of numbers, one row nested in an array, or base64 of little-endian f32.
//!
//! Together with the body this takes twice the size of the body at most: vectors are all that is kept, and a body
//! that spells more of them than that is refused.

mod base64;
mod list;
mod tensor;
mod usage;
mod widths;

use usage::{tokens, whole};
use zeroize::Zeroizing;

use super::failure::{self, Failure, HttpReply, Verdict};
use super::json::{Error, GoOn, Kind, Reader};
use super::message;
use crate::base::vector::Encoding;
use crate::base::words::{PROVIDER_MESSAGE_MAX, bounded};

/// Numbers that any reply may hold, whatever its size: 1 MiB of them.
const NUMBERS_FREE: usize = 1 << 18;
/// The most rows of another width than the first one, which itself may be the odd one of a large request.
const OTHERS_MAX: usize = 4096;

/// The index of a row that states none.
pub const NO_INDEX: u64 = u64::MAX - 1;

/// What a reply holds, before it is checked.
#[derive(Debug, Default, PartialEq)]
pub struct Reply {
    /// The rows in order of arrival, each `width` numbers.
    pub data: Vec<f32>,
    /// Numbers in a row.
    pub width: usize,
    /// How many rows came.
    pub rows: usize,
    /// `index` of each row that is an object, [`NO_INDEX`] where it has none; empty where no row has one.
    pub index: Vec<u64>,
    /// The rows that are null: `data` has nothing of them.
    pub nulls: Vec<u32>,
    /// The rows of another width than most, and their widths: `data` has nothing of them either.
    pub others: Vec<(u32, usize)>,
    /// Tokens of the request, as reported.
    pub tokens: Option<u64>,
}

/// Reads `body`, as long as `go_on` says so.
///
/// # Errors
/// JSON that is broken or holds no embeddings, vectors per token, a stop.
pub fn read(body: &[u8], go_on: GoOn<'_>) -> Result<Reply, Failure> {
    read_at(body, "", go_on)
}

/// The same, where the vectors stand at `place`: a JSON pointer in which `*` is each item of a list. An empty one
/// stands for the usual places.
///
/// # Errors
/// As there, and nothing at that place.
pub fn read_at(body: &[u8], place: &str, go_on: GoOn<'_>) -> Result<Reply, Failure> {
    read_as(body, place, Encoding::Float32, go_on)
}

/// The same, of vectors that were asked for in this encoding. It matters where a reply has them by type.
///
/// # Errors
/// As there.
pub fn read_as(body: &[u8], place: &str, encoding: Encoding, go_on: GoOn<'_>) -> Result<Reply, Failure> {
    read_by(body, go_on, |rows, reader| {
        rows.encoding = encoding;
        match place {
            "" => rows.document(reader),
            place => rows.at(reader, place, true),
        }
    })
}

/// Reads `body` by what knows where its vectors are.
fn read_by(
    body: &[u8],
    go_on: GoOn<'_>,
    by: impl FnOnce(&mut Rows, &mut Reader<'_>) -> Result<(), Error>,
) -> Result<Reply, Failure> {
    let mut rows = Rows::default();
    let mut reader = Reader::new(body, go_on);
    let read = by(&mut rows, &mut reader).and_then(|()| reader.end());
    if reader.is_stopped() {
        return Err(Failure::permanent("the reply was not read to its end in time".into()));
    }
    let has_rows = read.is_ok() && rows.reply.rows > 0;
    if !has_rows && !matches!(&read, Err(e) if e.kind != Kind::Shape) {
        if let Some(said) = message::read(body).filter(|said| said.is_error) {
            return Err(inner_error(body, &said));
        }
    }
    match read {
        Ok(()) => Ok(rows.finish()),
        Err(e) => {
            // The error quotes a value of the reply. The value may be long and may repeat a key: it is cut, and wiped.
            let message = Zeroizing::new(e.message);
            let text = Zeroizing::new(bounded(&message, 4 * PROVIDER_MESSAGE_MAX));
            let start = &body[..body.len().min(400)];
            let start = Zeroizing::new(String::from_utf8_lossy(start).into_owned());
            let start = Zeroizing::new(bounded(&start, 80));
            let what = match e.kind {
                _ if body.is_empty() => "is empty, and not valid JSON".into(),
                Kind::CutOff | Kind::Syntax => format!("is not valid JSON (it begins: {})", *start),
                Kind::Shape | Kind::TooLarge => "holds no usable embeddings".into(),
            };
            let verdict = match e.kind {
                Kind::CutOff => Verdict::RetryThenRefused(None),
                Kind::TooLarge => Verdict::TooLarge,
                // One of the texts may be to blame.
                Kind::Syntax | Kind::Shape => Verdict::Refused,
            };
            Err(Failure { message: format!("the reply {what}: {}", *text), verdict })
        }
    }
}

/// Reads the tensor of numbers that a reply holds (Open Inference Protocol): flat, with a shape, or nested.
///
/// # Errors
/// As [`read`]; a shape that does not say what the numbers are.
pub(super) fn read_tensor(body: &[u8], go_on: GoOn<'_>) -> Result<Reply, Failure> {
    read_by(body, go_on, tensor::outputs)
}

/// A gateway may answer 200 to a request that failed behind it.
fn inner_error(body: &[u8], said: &message::Said) -> Failure {
    let status = said.status.filter(|status| (400..600).contains(status)).unwrap_or(400);
    failure::classify(&HttpReply::new(status, body))
}

/// The reply as it is read.
#[derive(Default)]
struct Rows {
    reply: Reply,
    encoding: Encoding,
    /// The length of the last string of base64; the next is likely as long.
    encoded: usize,
}

impl Rows {
    fn finish(mut self) -> Reply {
        if self.reply.index.iter().all(|at| *at == NO_INDEX) {
            self.reply.index.clear();
        }
        if !self.reply.others.is_empty() {
            self.reply.keep_most();
        }
        self.reply
    }

    fn document(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        match reader.peek() {
            b'[' => self.list(reader),
            b'{' => self.top(reader),
            _ => Err(reader.unexpected("an object or an array")),
        }
    }

    /// What stands at `place`, from here.
    fn at(&mut self, reader: &mut Reader<'_>, place: &str, is_top: bool) -> Result<(), Error> {
        let Some((name, rest)) = place.strip_prefix('/').map(|p| p.split_at(p.find('/').unwrap_or(p.len())))
        else {
            return self.row(reader);
        };
        let mut found = false;
        match reader.peek() {
            b'[' => {
                let wanted = name.parse::<usize>().ok();
                let mut n = 0;
                reader.array(|reader| {
                    let is_here = name == "*" || wanted == Some(n);
                    n += 1;
                    if !is_here {
                        return reader.skip();
                    }
                    found = true;
                    self.at(reader, rest, false)
                })?;
                found |= name == "*";
            }
            b'{' if name != "*" => {
                let name = name.replace("~1", "/").replace("~0", "~");
                reader.object(|reader, key| match key {
                    _ if key == name && !found => {
                        found = true;
                        self.at(reader, rest, false)
                    }
                    "usage" | "meta" | "input_token_count" | "inputTextTokenCount" if is_top => {
                        self.reply.tokens = tokens(reader)?.or(self.reply.tokens);
                        Ok(())
                    }
                    _ => reader.skip(),
                })?;
            }
            _ => {
                let wanted = if name == "*" { "a list of embeddings" } else { "an object or a list" };
                return Err(reader.unexpected(wanted));
            }
        }
        match found {
            true => Ok(()),
            false => Err(reader.shape(format!("nothing is there at {}", bounded(place, 80)))),
        }
    }

    fn top(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let mut found = false;
        reader.object(|reader, key| match key {
            "data" | "embeddings" | "embedding" if found => {
                Err(reader.shape(format!("'{key}' is there besides other embeddings")))
            }
            "data" | "embeddings" => {
                found = true;
                self.list_or_types(reader)
            }
            "embedding" => {
                found = true;
                self.row(reader)
            }
            "usage" | "meta" | "prompt_eval_count" | "tokens_used" | "inputTextTokenCount" => {
                self.reply.tokens = tokens(reader)?.or(self.reply.tokens);
                Ok(())
            }
            _ => reader.skip(),
        })?;
        match found {
            true => Ok(()),
            false => Err(reader.shape("neither 'data', 'embeddings' nor 'embedding' is there")),
        }
    }

    fn list_or_types(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        match reader.peek() {
            b'{' => by_type(reader, self.encoding, |reader| self.list(reader)),
            _ => self.list(reader),
        }
    }

    fn list(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        if reader.peek() != b'[' {
            return Err(reader.unexpected("a list of embeddings"));
        }
        reader.array(|reader| match reader.peek() {
            b'{' => self.item(reader),
            _ => self.row(reader),
        })
    }

    /// An object that holds a vector and its index.
    fn item(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let rows = self.reply.rows;
        let mut place = NO_INDEX;
        reader.object(|reader, key| match key {
            "embedding" => self.row(reader),
            "index" => {
                let index = reader.raw()?;
                // What is no index fails the check as one that is too large does.
                place = if index == b"null" { NO_INDEX } else { whole(index).unwrap_or(u64::MAX) };
                Ok(())
            }
            _ => reader.skip(),
        })?;
        self.reply.index.push(place);
        match self.reply.rows - rows {
            1 => Ok(()),
            _ => Err(reader.shape(format!("item {rows} has no embedding of its own"))),
        }
    }

    /// One vector, perhaps nested in an array of one, or by type.
    fn row(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        match reader.peek() {
            b'{' => by_type(reader, self.encoding, |reader| self.vector(reader)),
            _ => self.vector(reader),
        }
    }

    fn vector(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let start = self.reply.data.len();
        match reader.peek() {
            b'[' => self.list_of_numbers(reader)?,
            b'"' => self.base64(reader)?,
            b'n' if reader.rest().starts_with(b"null") => {
                reader.skip()?;
                let row =
                    u32::try_from(self.reply.rows).map_err(|_| reader.shape("too many rows are null"))?;
                self.reply.nulls.push(row);
                self.reply.rows += 1;
                return Ok(());
            }
            _ => return Err(reader.unexpected("an embedding")),
        }
        let width = self.reply.data.len() - start;
        let reply = &mut self.reply;
        if reply.rows == reply.nulls.len() {
            reply.width = width;
        } else if width != reply.width {
            let row = u32::try_from(reply.rows).ok().filter(|_| reply.others.len() < OTHERS_MAX);
            let Some(row) = row else {
                return Err(
                    reader.shape(format!("more than {OTHERS_MAX} rows have other widths than the first"))
                );
            };
            reply.others.push((row, width));
        }
        reply.rows += 1;
        Ok(())
    }

    /// Makes room for `more` numbers behind those of `data`; each likely takes so many bytes of the body. The numbers
    /// never take more memory than the body does: a body that spells more numbers than that is refused.
    fn reserve(&mut self, more: usize, bytes_each: usize, reader: &Reader<'_>) -> Result<(), Error> {
        let data = &mut self.reply.data;
        let most = reader.size() / 4 + NUMBERS_FREE;
        let need = data.len() + more;
        if need > most {
            let message = "it has more numbers than bytes to hold them: ask for fewer texts at once (option batch_size)";
            return Err(Error { message: message.into(), kind: Kind::TooLarge });
        }
        if need > data.capacity() {
            // At first by the size of the body, then by half.
            let likely = match data.capacity() {
                0 => need + reader.rest().len() / bytes_each,
                capacity => capacity / 2 * 3,
            };
            data.reserve_exact(likely.clamp(need, most) - data.len());
        }
        Ok(())
    }
}

/// Reads the entry of an object by type that was asked for, the first that comes.
fn by_type<'a>(
    reader: &mut Reader<'a>,
    encoding: Encoding,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    let types: &[&str] = match encoding {
        Encoding::Float32 => &["float", "base64"],
        Encoding::Int8 => &["int8"],
        Encoding::Bit => &["ubinary"],
    };
    let mut found = false;
    reader.object(|reader, key| match key {
        key if types.contains(&key) && !found => {
            found = true;
            read(reader)
        }
        _ => reader.skip(),
    })?;
    match found {
        true => Ok(()),
        false => Err(reader.shape(format!("there are no embeddings of type {}", types.join(" or ")))),
    }
}

#[cfg(test)]
mod tests;
