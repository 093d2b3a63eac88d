//! What the body of an error says: the fields that providers use, read without building the rest.

use super::json::{Error, Reader};

/// The body of an error, which is JSON.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The message, of the field that is most specific.
    pub text: Option<String>,
    /// OpenAI: waiting does not bring a spent quota back.
    pub quota_spent: bool,
}

/// Reads `body`; `None` if it is no JSON.
pub(super) fn read(body: &[u8]) -> Option<Said> {
    let mut reader = Reader::new(body, &|| true).ok()?;
    let mut fields = Fields::default();
    fields.document(&mut reader).and_then(|()| reader.end()).ok()?;
    let Fields { by_rank, quota_spent } = fields;
    Some(Said { text: by_rank.into_iter().flatten().next(), quota_spent })
}

/// Where a message may stand, the most specific first.
#[derive(Clone, Copy)]
enum Rank {
    /// `{"error": {"message": "…"}}`
    ErrorMessage,
    /// `{"error": "…"}`
    Error,
    /// `{"message": "…"}`, or an object, which is shown as it is.
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
    quota_spent: bool,
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
                ("message", _) => self.set(Rank::Message, text(reader)?),
                ("detail", b'[') => {
                    let listed = listed(reader)?;
                    self.set(Rank::Detail, Some(listed))
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
        reader.object(|reader, key| match key {
            "message" => self.set(Rank::ErrorMessage, text(reader)?),
            "type" | "code" => {
                self.quota_spent |= text(reader)?.is_some_and(|code| code == "insufficient_quota");
                Ok(())
            }
            _ => reader.skip(),
        })
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

/// Reads a list of strings or of objects with a `msg`.
fn listed(reader: &mut Reader<'_>) -> Result<String, Error> {
    let mut all = String::new();
    reader.array(|reader| {
        let mut one = None;
        match reader.peek() {
            b'{' => reader.object(|reader, key| match key {
                "msg" => text(reader).map(|text| one = text),
                _ => reader.skip(),
            })?,
            _ => one = text(reader)?,
        }
        if let Some(one) = one {
            let separator = if all.is_empty() { "" } else { "; " };
            all.extend([separator, &one]);
        }
        Ok(())
    })?;
    Ok(all)
}
