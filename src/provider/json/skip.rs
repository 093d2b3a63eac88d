//! Values that nobody wants: checked as strictly as the others, and skipped.

use super::{Error, Reader};
use crate::provider::number;

impl<'a> Reader<'a> {
    /// Reads any value, and gives its text.
    ///
    /// # Errors
    /// What is no value.
    pub fn raw(&mut self) -> Result<&'a [u8], Error> {
        self.peek();
        let (text, start) = (self.text, self.at);
        self.skip()?;
        Ok(&text[start..self.at])
    }

    /// Reads any value, and checks that it is one.
    ///
    /// # Errors
    /// What is no value, or nested too deeply.
    pub fn skip(&mut self) -> Result<(), Error> {
        let outside = self.depth;
        // One bit for each open bracket: whether it is an object's. DEEPEST bits are enough.
        let mut objects = 0u128;
        loop {
            match self.peek() {
                b'{' => {
                    self.open(b'{', "an object")?;
                    if !self.closes(b'}') {
                        objects |= 1 << self.depth;
                        self.key(|_| ())?;
                        continue;
                    }
                }
                b'[' => {
                    self.open(b'[', "an array")?;
                    if !self.closes(b']') {
                        objects &= !(1 << self.depth);
                        continue;
                    }
                }
                b'"' => self.string(|_| ())?,
                b'-' | b'0'..=b'9' => self.skip_number()?,
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                _ => return Err(self.syntax("a value")),
            }
            // What follows the value: a comma, or the brackets that end with it.
            loop {
                if self.depth == outside {
                    return Ok(());
                }
                let in_object = objects & (1 << self.depth) != 0;
                if self.closes(if in_object { b'}' } else { b']' }) {
                    continue;
                }
                self.expect(b',', if in_object { "',' or '}'" } else { "',' or ']'" })?;
                if in_object {
                    self.key(|_| ())?;
                }
                break;
            }
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Error> {
        match self.rest().starts_with(word.as_bytes()) {
            true => {
                self.at += word.len();
                Ok(())
            }
            false => {
                if word.as_bytes().starts_with(self.rest()) {
                    self.at = self.text.len();
                }
                Err(self.syntax(word))
            }
        }
    }

    fn skip_number(&mut self) -> Result<(), Error> {
        self.at += number::length(self.rest()).ok_or_else(|| self.syntax("a number"))?;
        Ok(())
    }
}
