//! A reader of JSON that builds nothing: what is wanted is read where it stands, and the rest is checked and skipped.
//!
//! A reply is hostile until it is read. Values built of it would take up to a hundred times its size, and neither the
//! deadline nor an interrupt would be seen meanwhile. So memory is what the caller keeps, nesting is bounded, and the
//! caller is asked every few bytes whether to go on.

mod skip;
mod string;

use super::number::{number, usual};

/// Arrays and objects within each other at most. No provider needs ten.
const DEEPEST: usize = 127;
/// The longest key that is recognized. No provider has a longer one, so longer ones are skipped.
const KEY_MAX: usize = 64;
/// A mark that some programs put before UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";
/// How many bytes are read before the caller is asked again.
const STRIDE: usize = 64 << 10;

/// Asked now and then while a reply is read: whether to go on. No means that the statement has ended, or its time.
pub type GoOn<'a> = &'a dyn Fn() -> bool;

/// Why a text cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Error {
    /// In words for the user.
    pub message: String,
    /// What kind of reason it is.
    pub kind: Kind,
}

/// The kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The text ends too early.
    CutOff,
    /// It is no JSON.
    Syntax,
    /// It is JSON of another shape than wanted.
    Shape,
    /// It says more than its size allows.
    TooLarge,
}

/// What stands behind numbers.
#[derive(Debug, PartialEq, Eq)]
pub enum After {
    /// The end of the list, or what is no JSON.
    End,
    /// A value that is no number.
    Value,
    /// A number for which there is no room.
    Number,
}

/// A place in a JSON text.
#[derive(Clone)]
pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    go_on: GoOn<'a>,
    /// Where the caller is asked next.
    ask_at: usize,
    stopped: bool,
}

impl<'a> Reader<'a> {
    /// Reads `text` from its beginning.
    pub fn new(text: &'a [u8], go_on: GoOn<'a>) -> Reader<'a> {
        let at = if text.starts_with(BOM) { BOM.len() } else { 0 };
        Reader { text, at, depth: 0, go_on, ask_at: 0, stopped: false }
    }

    /// Asks the caller. Where it says no, the text ends here, and with it all reading.
    #[cold]
    fn ask(&mut self) {
        self.ask_at = self.at.saturating_add(STRIDE);
        if !(self.go_on)() {
            self.stopped = true;
            self.text = &self.text[..self.at];
        }
    }

    /// Whether the caller said no. An error then does not mean that the text is wrong.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// The size of the text.
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// What is still to be read.
    pub fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    /// The next byte that is no white space; 0 at the end.
    pub fn peek(&mut self) -> u8 {
        loop {
            if self.at >= self.ask_at {
                self.ask();
            }
            let window = &self.text[self.at..self.text.len().min(self.ask_at)];
            match window.iter().position(|b| !matches!(b, b' ' | b'\n' | b'\r' | b'\t')) {
                Some(n) => {
                    self.at += n;
                    return window[n];
                }
                None => self.at += window.len(),
            }
            if self.at >= self.text.len() {
                return 0;
            }
        }
    }

    /// The error of JSON that is valid and not what is wanted.
    pub fn shape(&self, message: impl Into<String>) -> Error {
        Error { message: message.into(), kind: Kind::Shape }
    }

    /// The error of a value where `wanted` was expected. It quotes the value; if there is no value, it says that.
    pub fn unexpected(&mut self, wanted: &str) -> Error {
        match self.raw() {
            Ok(raw) => {
                let start = &raw[..raw.len().min(4 * crate::base::words::PROVIDER_MESSAGE_MAX)];
                self.shape(format!("{wanted} expected, not {}", String::from_utf8_lossy(start)))
            }
            Err(e) => e,
        }
    }

    fn syntax(&self, wanted: &str) -> Error {
        let kind = if self.at >= self.text.len() { Kind::CutOff } else { Kind::Syntax };
        Error { message: format!("{wanted} expected at byte {}", self.at), kind }
    }

    /// Nothing but white space is left.
    ///
    /// # Errors
    /// Anything else.
    pub fn end(&mut self) -> Result<(), Error> {
        self.peek();
        match self.at >= self.text.len() && !self.stopped {
            true => Ok(()),
            false => Err(self.syntax("the end")),
        }
    }

    fn expect(&mut self, byte: u8, name: &str) -> Result<(), Error> {
        match self.peek() == byte {
            true => {
                self.at += 1;
                Ok(())
            }
            false => Err(self.syntax(name)),
        }
    }

    fn open(&mut self, bracket: u8, name: &str) -> Result<(), Error> {
        self.expect(bracket, name)?;
        self.depth += 1;
        match self.depth > DEEPEST {
            true => Err(self.shape(format!("it is nested more than {DEEPEST} deep"))),
            false => Ok(()),
        }
    }

    /// Goes past the bracket that closes an array or object, if it is the next byte.
    fn closes(&mut self, bracket: u8) -> bool {
        let closes = self.peek() == bracket;
        if closes {
            self.at += 1;
            self.depth -= 1;
        }
        closes
    }

    /// Reads an object: `field` is called at the value of each key, and reads it.
    ///
    /// # Errors
    /// Anything but an object; what `field` says.
    pub fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, &str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.open(b'{', "an object")?;
        if self.closes(b'}') {
            return Ok(());
        }
        let mut key = Vec::new();
        loop {
            key.clear();
            let mut long = false;
            self.key(|part| match key.len() + part.len() <= KEY_MAX {
                true => key.extend_from_slice(part),
                false => long = true,
            })?;
            self.peek();
            let known = if long { "" } else { std::str::from_utf8(&key).unwrap_or_default() };
            field(self, known)?;
            if self.closes(b'}') {
                return Ok(());
            }
            self.expect(b',', "',' or '}'")?;
        }
    }

    /// Reads a key and its colon.
    fn key(&mut self, part: impl FnMut(&[u8])) -> Result<(), Error> {
        if self.peek() != b'"' {
            return Err(self.syntax("a key"));
        }
        self.string(part)?;
        self.expect(b':', "':'")
    }

    /// Reads an array: `item` is called at each element, and reads it.
    ///
    /// # Errors
    /// Anything but an array; what `item` says.
    pub fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        self.open(b'[', "an array")?;
        if self.closes(b']') {
            return Ok(());
        }
        loop {
            self.peek();
            item(self)?;
            if self.closes(b']') {
                return Ok(());
            }
            self.expect(b',', "',' or ']'")?;
        }
    }

    /// Goes into the array that peek() has seen, to read its numbers.
    ///
    /// # Errors
    /// Nesting that is too deep.
    pub fn enter(&mut self) -> Result<(), Error> {
        self.open(b'[', "an array")
    }

    /// Goes past the `]` of an array whose elements have been read.
    ///
    /// # Errors
    /// Anything else.
    pub fn leave(&mut self) -> Result<(), Error> {
        match self.closes(b']') {
            true => Ok(()),
            false => Err(self.syntax("',' or ']'")),
        }
    }

    /// Reads numbers within an array, as many as `out` has room for. The comma behind a number is read with it. What
    /// stands for a number and is none that f32 holds is a NaN: whose vector it is has none, and the others do.
    ///
    /// # Errors
    /// A number that JSON does not allow, a comma before the end.
    pub fn numbers(&mut self, out: &mut Vec<f32>) -> Result<After, Error> {
        let mut comma = false;
        loop {
            if self.at >= self.ask_at {
                self.ask();
            }
            match self.text.get(self.at) {
                Some(b'-' | b'0'..=b'9' | b'n' | b'N' | b'I') => {}
                // White space, the end of the text, or another type: seen once a list, not once a number.
                _ => match self.peek() {
                    b'-' | b'0'..=b'9' | b'n' | b'N' | b'I' => {}
                    b']' | 0 if comma => return Err(self.syntax("a number")),
                    b']' | 0 => return Ok(After::End),
                    _ => return Ok(After::Value),
                },
            }
            if out.len() == out.capacity() {
                return Ok(After::Number);
            }
            let start = self.at;
            self.at = usual(&self.text[..self.text.len().min(self.ask_at)], start, out);
            if self.at > start {
                comma = true;
                continue;
            }
            let Some((number, n)) = number(self.rest()).or_else(|| unusable(self.rest())) else {
                return Err(self.syntax("a number"));
            };
            out.push(number);
            self.at += n;
            match self.text.get(self.at) {
                Some(b',') => self.at += 1,
                _ if self.peek() == b',' => self.at += 1,
                _ => return Ok(After::End),
            }
            comma = true;
        }
    }
}

/// What stands in the place of a number and is none: null, or what Python writes for numbers that are not finite.
fn unusable(text: &[u8]) -> Option<(f32, usize)> {
    const WORDS: [&[u8]; 4] = [b"null", b"NaN", b"Infinity", b"-Infinity"];
    WORDS.iter().find(|word| text.starts_with(word)).map(|word| (f32::NAN, word.len()))
}

#[cfg(test)]
mod tests;
