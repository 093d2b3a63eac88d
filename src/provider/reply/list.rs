//! Vectors that come as a list of numbers, perhaps within a list of one.

use super::Rows;
use crate::provider::json::{After, Error, Reader};

impl Rows {
    /// Reads one vector.
    pub(super) fn list_of_numbers(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let start = self.reply.data.len();
        reader.enter()?;
        let mut after = self.numbers(reader)?;
        if reader.peek() == b'[' {
            if self.reply.data.len() > start {
                return Err(reader.shape("an embedding mixes numbers and lists"));
            }
            reader.enter()?;
            after = self.numbers(reader)?;
            if reader.peek() == b'[' {
                return Err(reader.shape("an embedding is nested too deeply"));
            }
            if after == After::End {
                reader.leave()?;
                if reader.peek() == b',' {
                    if !reader.rest()[1..].trim_ascii_start().starts_with(b"[") {
                        return Err(reader.shape("an embedding mixes numbers and lists"));
                    }
                    return Err(reader.shape(
                        "the server sent more than one list for one text, as one vector per token: start it with \
                         pooling (llama-server: --pooling mean)",
                    ));
                }
                if self.reply.data.len() == start {
                    return Err(reader.shape("an embedding is an empty list"));
                }
            }
        }
        if after == After::Value {
            return Err(reader.unexpected("a number of an embedding"));
        }
        reader.leave()
    }

    fn numbers(&mut self, reader: &mut Reader<'_>) -> Result<After, Error> {
        loop {
            match reader.numbers(&mut self.reply.data)? {
                // A number takes 8 to 22 bytes.
                After::Number => self.reserve(1, 12, reader)?,
                after => return Ok(after),
            }
        }
    }
}
