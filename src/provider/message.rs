//! What the body of an error says: the fields that providers use, read without building the rest.

use std::time::Duration;

use super::json::{Error, Reader};
use crate::base::span::span;

/// The body of an error, which is JSON.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The message, of the field that is most specific.
    pub text: Option<String>,
    /// What it says in `code` and `type`, which tell more than words do, in lower case.
    pub codes: String,
    /// The status that it names itself, which a gateway may have replaced.
    pub status: Option<u16>,
    /// The wait that it asks for: Google's `retryDelay`, the `estimated_time` of Hugging Face.
    pub wait: Option<Duration>,
    /// Whether there is an error in it, by the name of the field.
    pub is_error: bool,
}

/// Reads `body`; `None` if it is no JSON.
pub(super) fn read(body: &[u8]) -> Option<Said> {
    let mut reader = Reader::new(body, &|| true);
    let mut fields = Fields::default();
    fields.document(&mut reader).and_then(|()| reader.end()).ok()?;
    let Fields { by_rank, codes, status, wait } = fields;
    let is_error = by_rank[..Rank::Text as usize].iter().any(Option::is_some);
    Some(Said { text: by_rank.into_iter().flatten().next(), codes, status, wait, is_error })
}

/// Where a message may stand, the most specific first.
#[derive(Clone, Copy)]
enum Rank {
    /// `{"error": {"message": "…"}}`
    ErrorMessage,
    /// `{"error": "…"}`
    Error,
    /// `{"message": "…"}`, or an object, which is shown as it is; IBM's IAM: `{"errorMessage": "…"}`.
    Message,
    /// `{"detail": "…"}`, or a list of `{"msg": "…"}`.
    Detail,
    /// `{"errors": [{"message": "…"}]}`
    Errors,
    /// `"…"`
    Text,
}

#[derive(Default)]
struct Fields {
    by_rank: [Option<String>; 6],
    codes: String,
    status: Option<u16>,
    wait: Option<Duration>,
}

impl Fields {
    fn document(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        match reader.peek() {
            b'[' => first(reader, |reader| self.envelope(reader)),
            _ => self.envelope(reader),
        }
    }

    fn envelope(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        match reader.peek() {
            b'{' => reader.object(|reader, key| match (key, reader.peek()) {
                ("error", b'{') => self.error(reader),
                ("error", _) => self.set(Rank::Error, text(reader)?),
                ("message", b'{') => {
                    let shown = String::from_utf8_lossy(reader.raw()?).into_owned();
                    self.set(Rank::Message, Some(shown))
                }
                ("message" | "errorMessage", _) => self.set(Rank::Message, text(reader)?),
                ("detail", b'[') => {
                    let listed = self.listed(reader)?;
                    self.set(Rank::Detail, Some(listed))
                }
                ("code" | "type" | "status" | "status_code" | "statusCode" | "error_type", _) => {
                    self.code(reader)
                }
                ("estimated_time", _) => {
                    let seconds = std::str::from_utf8(reader.raw()?).ok().and_then(|t| t.parse().ok());
                    let wait = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                    self.wait = wait.filter(|wait| !wait.is_zero()).or(self.wait);
                    Ok(())
                }
                ("detail", _) => self.set(Rank::Detail, text(reader)?),
                ("errors", b'[') => first(reader, |reader| match reader.peek() {
                    b'{' => reader.object(|reader, key| match key {
                        "message" => self.set(Rank::Errors, text(reader)?),
                        _ => reader.skip(),
                    }),
                    _ => reader.skip(),
                }),
                _ => reader.skip(),
            }),
            _ => self.set(Rank::Text, text(reader)?),
        }
    }

    fn error(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let mut param = None;
        reader.object(|reader, key| match key {
            "message" => self.set(Rank::ErrorMessage, text(reader)?),
            "param" => {
                param = text(reader)?;
                Ok(())
            }
            "type" | "code" | "status" => self.code(reader),
            "details" if reader.peek() == b'[' => reader.array(|reader| match reader.peek() {
                b'{' => reader.object(|reader, key| match key {
                    "retryDelay" => {
                        self.wait = text(reader)?.and_then(|text| span(&text)).or(self.wait);
                        Ok(())
                    }
                    _ => reader.skip(),
                }),
                _ => reader.skip(),
            }),
            _ => reader.skip(),
        })?;
        if let (Some(message), Some(param)) = (&mut self.by_rank[Rank::ErrorMessage as usize], param) {
            if !param.is_empty() && !message.contains(&param) {
                message.extend([" (", &param, ")"]);
            }
        }
        Ok(())
    }

    /// A word, or a number that may be a status.
    fn code(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        if reader.peek() == b'"' {
            if let Some(code) = text(reader)? {
                self.status = self.status.or(code.parse().ok());
                self.add_code(&code);
            }
            return Ok(());
        }
        let number = std::str::from_utf8(reader.raw()?).ok().and_then(|text| text.parse().ok());
        self.status = number.or(self.status);
        Ok(())
    }

    fn add_code(&mut self, code: &str) {
        // Codes are words; what is longer is none.
        if code.len() <= 80 && self.codes.len() <= 800 {
            self.codes.push_str(&code.to_ascii_lowercase());
            self.codes.push(' ');
        }
    }

    /// Reads a list of strings or of objects with a `msg`.
    fn listed(&mut self, reader: &mut Reader<'_>) -> Result<String, Error> {
        let mut all = String::new();
        reader.array(|reader| {
            let (mut one, mut place) = (None, None);
            match reader.peek() {
                b'{' => reader.object(|reader, key| match (key, reader.peek()) {
                    ("loc", b'[') => {
                        reader.array(|reader| text(reader).map(|text| place = text.or(place.take())))
                    }
                    ("msg", _) => text(reader).map(|text| one = text),
                    ("type", _) => self.code(reader),
                    _ => reader.skip(),
                })?,
                _ => one = text(reader)?,
            }
            if let Some(one) = one {
                let separator = if all.is_empty() { "" } else { "; " };
                all.extend([separator, &one]);
                // What is wrong is told by the place alone: "Extra inputs are not permitted".
                if let Some(place) = place.filter(|place| !one.contains(place.as_str())) {
                    all.extend([" (", &place, ")"]);
                }
            }
            Ok(())
        })?;
        Ok(all)
    }

    #[allow(clippy::unnecessary_wraps)] // the value of a closure that reads a field
    fn set(&mut self, rank: Rank, text: Option<String>) -> Result<(), Error> {
        self.by_rank[rank as usize] = text;
        Ok(())
    }
}

/// Reads an array: its first element by `read`.
fn first(
    reader: &mut Reader<'_>,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut is_first = true;
    reader.array(|reader| match std::mem::take(&mut is_first) {
        true => read(reader),
        false => reader.skip(),
    })
}

/// Reads any value: what it says, if it is a string.
fn text(reader: &mut Reader<'_>) -> Result<Option<String>, Error> {
    if reader.peek() != b'"' {
        return reader.skip().map(|()| None);
    }
    let mut text = Vec::new();
    reader.string(|part| text.extend_from_slice(part))?;
    Ok(String::from_utf8(text).ok())
}
