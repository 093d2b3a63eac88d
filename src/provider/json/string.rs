//! Strings of a JSON text.

use super::{Error, Kind, Reader, STRIDE};

impl<'a> Reader<'a> {
    /// Reads a string: `part` gets what it means, piece by piece.
    ///
    /// # Errors
    /// Anything but a string.
    pub fn string(&mut self, mut part: impl FnMut(&[u8])) -> Result<(), Error> {
        self.expect(b'"', "a string")?;
        loop {
            if self.at >= self.ask_at {
                self.ask();
            }
            let rest = self.rest();
            let window = &rest[..rest.len().min(STRIDE)];
            let plain = &window[..memchr::memchr2(b'"', b'\\', window).unwrap_or(window.len())];
            // One pass over all bytes: a search that stops at the first find is slower by far.
            if plain.iter().fold(false, |found, b| found | (*b < b' ')) {
                self.at += plain.iter().position(|b| *b < b' ').unwrap_or_default();
                return Err(self.syntax("a character that may stand in a string"));
            }
            let plain = self.utf8(plain)?;
            part(plain);
            self.at += plain.len();
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    let escaped = self.escape()?;
                    part(escaped.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Some(_) => {}
                None => return Err(self.syntax("'\"'")),
            }
        }
    }

    /// Checks `plain`, which stands here. What remains is less by the start of a character, where that goes on behind it.
    fn utf8<'b>(&mut self, plain: &'b [u8]) -> Result<&'b [u8], Error> {
        let Err(e) = std::str::from_utf8(plain) else { return Ok(plain) };
        let (valid, is_cut) = (e.valid_up_to(), e.error_len().is_none());
        if is_cut && plain.len() == STRIDE && self.text.len() > self.at + STRIDE {
            return Ok(&plain[..valid]);
        }
        self.at += valid;
        let ends = is_cut && self.at + plain.len() - valid == self.text.len();
        let kind = if ends { Kind::CutOff } else { Kind::Syntax };
        Err(Error { message: format!("UTF-8 expected at byte {}", self.at), kind })
    }

    fn escape(&mut self) -> Result<char, Error> {
        let escaped = match self.text.get(self.at + 1) {
            Some(same @ (b'"' | b'\\' | b'/')) => char::from(*same),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => {
                self.at += 1;
                return Err(self.syntax("an escape"));
            }
        };
        self.at += 2;
        Ok(escaped)
    }

    /// Reads `\uXXXX`, or two of them that are one character.
    fn unicode(&mut self) -> Result<char, Error> {
        let unit = self.unit()?;
        if !(0xd800..0xdc00).contains(&unit) {
            // The second half of a surrogate pair alone is no character.
            return char::from_u32(unit).ok_or_else(|| self.syntax("half of a character"));
        }
        let low = match self.rest().starts_with(b"\\u") {
            true => self.unit()?,
            false => 0,
        };
        match (0xdc00..0xe000).contains(&low) {
            true => {
                Ok(char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00)).unwrap_or_default())
            }
            false => Err(self.syntax("the other half of a character")),
        }
    }

    fn unit(&mut self) -> Result<u32, Error> {
        let digits = self.text.get(self.at + 2..self.at + 6).unwrap_or_default();
        let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(unit) => {
                self.at += 6;
                Ok(unit)
            }
            None => {
                self.at = (self.at + 2).min(self.text.len());
                Err(self.syntax("four hexadecimal digits"))
            }
        }
    }

    /// Reads a string up to the next `"`, as it stands: right for one without escapes, as base64 is. `likely` is its
    /// length if a `"` stands there, so that equally long strings are not searched; what is read may then hold one.
    ///
    /// # Errors
    /// A string that does not end.
    pub fn raw_string(&mut self, likely: usize) -> Result<&'a [u8], Error> {
        let start = self.at + 1;
        let rest = self.text.get(start..).unwrap_or_default();
        let n = match rest.get(likely) {
            Some(b'"') if likely > 0 => likely,
            _ => match memchr::memchr(b'"', rest) {
                Some(n) => n,
                None => {
                    self.at = self.text.len();
                    return Err(self.syntax("'\"'"));
                }
            },
        };
        self.at = start + n + 1;
        Ok(&rest[..n])
    }
}
