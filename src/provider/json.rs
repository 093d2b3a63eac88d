//! A reader of JSON that builds nothing: what is wanted is read where it stands, and the rest is checked and skipped.
//!
//! A reply is hostile until it is read. Values built of it would take up to a hundred times its size, and neither the
//! deadline nor an interrupt would be seen meanwhile. So memory is what the caller keeps, nesting is bounded, and the
//! caller is asked every few bytes whether to go on.

use super::number::number;

/// Arrays and objects within each other at most. No provider needs ten.
const DEEPEST: usize = 127;
/// The longest number: an f64 has at most 1,075 digits that count.
const NUMBER_MAX: usize = 4096;
/// The longest key that is told apart; longer ones are nobody's.
const KEY_MAX: usize = 64;
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
    ///
    /// # Errors
    /// Text that is not UTF-8.
    pub fn new(text: &'a [u8], go_on: GoOn<'a>) -> Result<Reader<'a>, Error> {
        let mut reader = Reader { text, at: 0, depth: 0, go_on, ask_at: 0, stopped: false };
        reader.check_utf8()?;
        (reader.at, reader.ask_at) = (0, STRIDE);
        Ok(reader)
    }

    fn check_utf8(&mut self) -> Result<(), Error> {
        while self.at < self.text.len() {
            self.ask();
            let rest = &self.text[self.at..];
            let part = &rest[..rest.len().min(STRIDE)];
            match std::str::from_utf8(part) {
                Ok(_) => self.at += part.len(),
                // A character that stands across the end of the part.
                Err(e) if e.error_len().is_none() && part.len() < rest.len() => self.at += e.valid_up_to(),
                Err(e) => {
                    self.at += e.valid_up_to();
                    let kind = if e.error_len().is_none() { Kind::CutOff } else { Kind::Syntax };
                    return Err(Error { message: format!("UTF-8 expected at byte {}", self.at), kind });
                }
            }
        }
        Ok(())
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

    /// Whether the caller said no: an error is then none of the text.
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

    /// The error of a value that is `wanted` to be something else, which it repeats; or that of what is no value.
    pub fn unexpected(&mut self, wanted: &str) -> Error {
        match self.raw() {
            Ok(raw) => {
                let start = &raw[..raw.len().min(4 * crate::error::PROVIDER_MESSAGE_MAX)];
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

    /// Reads numbers within an array, as many as `out` has room for. The comma behind a number is read with it.
    ///
    /// # Errors
    /// A number that JSON does not allow or f32 cannot hold, a comma before the end.
    pub fn numbers(&mut self, out: &mut Vec<f32>) -> Result<After, Error> {
        let mut comma = false;
        loop {
            if self.at >= self.ask_at {
                self.ask();
            }
            match self.text.get(self.at) {
                Some(b'-' | b'0'..=b'9') => {}
                // White space, the end of the text, or another type: seen once a list, not once a number.
                _ => match self.peek() {
                    b'-' | b'0'..=b'9' => {}
                    b']' | 0 if comma => return Err(self.syntax("a number")),
                    b']' | 0 => return Ok(After::End),
                    _ => return Ok(After::Value),
                },
            }
            if out.len() == out.capacity() {
                return Ok(After::Number);
            }
            let text = self.rest();
            match number(&text[..text.len().min(NUMBER_MAX + 1)]) {
                Some((number, n)) if n <= NUMBER_MAX => {
                    out.push(number);
                    self.at += n;
                }
                _ => return Err(self.syntax("a number")),
            }
            match self.text.get(self.at) {
                Some(b',') => self.at += 1,
                _ if self.peek() == b',' => self.at += 1,
                _ => return Ok(After::End),
            }
            comma = true;
        }
    }

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
            // All of them first: a search would stop at each, and be slower by far.
            if plain.iter().fold(false, |found, b| found | (*b < b' ')) {
                self.at += plain.iter().position(|b| *b < b' ').unwrap_or_default();
                return Err(self.syntax("a character that may stand in a string"));
            }
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
            // A second half alone is no character.
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
        let rest = self.rest();
        let text = &rest[..rest.len().min(NUMBER_MAX + 1)];
        let mut at = usize::from(text.first() == Some(&b'-'));
        let digits = |at: usize| text[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        let integer = digits(at);
        let mut valid = integer == 1 || (integer > 1 && text[at] != b'0');
        at += integer;
        if text.get(at) == Some(&b'.') {
            let fraction = digits(at + 1);
            valid &= fraction > 0;
            at += 1 + fraction;
        }
        if let Some(b'e' | b'E') = text.get(at) {
            at += 1;
            at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
            let exponent = digits(at);
            valid &= exponent > 0;
            at += exponent;
        }
        if !valid || at > NUMBER_MAX {
            return Err(self.syntax("a number"));
        }
        self.at += at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(
        text: impl AsRef<[u8]>,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut reader = Reader::new(text.as_ref(), &|| true)?;
        let read = read(&mut reader)?;
        reader.end()?;
        Ok(read)
    }

    fn all(text: &str) -> Result<Vec<f32>, Error> {
        with(text, |reader| {
            let mut out = Vec::with_capacity(16);
            reader.enter()?;
            assert_ne!(reader.numbers(&mut out)?, After::Number);
            reader.leave()?;
            Ok(out)
        })
    }

    fn skip(text: impl AsRef<[u8]>) -> Result<(), Error> {
        with(text, |reader| reader.skip())
    }

    fn string(text: &str) -> Result<String, Error> {
        let mut read = Vec::new();
        with(text, |reader| reader.string(|part| read.extend_from_slice(part)))?;
        Ok(String::from_utf8(read).unwrap())
    }

    #[test]
    fn white_space_is_skipped_and_what_is_no_list_of_numbers_is_refused() {
        assert_eq!(all("[ 1 ,\n2\t, 3 ]").unwrap(), [1.0, 2.0, 3.0]);
        assert_eq!(all("[]").unwrap(), [0f32; 0]);
        for bad in [
            "[01]",
            "[1.]",
            "[.5]",
            "[-]",
            "[1 2]",
            "[1e999]",
            "[NaN]",
            "[1",
            "[1,2",
            "[+1]",
            "[1]]",
            "[1,]",
            "[1 , ]",
            "[,1]",
            "[,]",
            "[1,,2]",
            "[1e]",
            "[1e+]",
            "[-01]",
            "[0x1]",
            "[1f]",
            "[Infinity]",
            "[-Infinity]",
            "[1;]",
        ] {
            assert!(all(bad).is_err(), "{bad}");
        }
        for cut_off in ["[1,2", "[1,", "[", "[1 "] {
            assert_eq!(all(cut_off).unwrap_err().kind, Kind::CutOff, "{cut_off}");
        }
        assert_eq!(all("[1;").unwrap_err().kind, Kind::Syntax);
    }

    /// What is skipped is read as strictly as by serde_json.
    #[test]
    fn what_is_skipped_must_be_json() {
        for good in [
            "0",
            "-0",
            "10",
            "-1.5e-7",
            "1E+2",
            "1e999",
            "true",
            "false",
            "null",
            "\"\"",
            "[]",
            "{}",
            " [ 1 , { } ] ",
            r#"{"a":{"b":[[],[{}],"x"]},"":null}"#,
            r#""\u0041\ud83d\ude00\"\\\/\b\f\n\r\t""#,
            "\"\u{7f}é😀\"",
            r#"{"a":1,"a":2}"#,
        ] {
            assert_eq!(skip(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            " ",
            "[1,]",
            "[,]",
            "{,}",
            r#"{"a":1,}"#,
            r#"{"a"}"#,
            r#"{"a":}"#,
            "{a:1}",
            "{1:1}",
            "[1}",
            "{]",
            "[1 2]",
            "01",
            "-",
            "-01",
            "+1",
            ".5",
            "1.",
            "1e",
            "1e+",
            "1.e5",
            "0x1",
            "NaN",
            "Infinity",
            "-Infinity",
            "nul",
            "True",
            "'a'",
            "\"a",
            "\"\\\"",
            r#""\x""#,
            r#""\u12""#,
            r#""\u12g4""#,
            r#""\u+123""#,
            "\"\n\"",
            "\"\0\"",
            "\"\u{1f}\"",
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800\u0041""#,
            r#""\ud800x""#,
            "[1]]",
            "1 2",
            "\u{feff}1",
            "\u{a0}1",
            "1\0",
            "// x",
            "[1]//",
        ] {
            assert!(skip(bad).is_err(), "{bad:?}");
            assert!(serde_json::from_str::<serde_json::Value>(bad).is_err(), "{bad:?}");
        }
        for bad in [&b"\"\xff\""[..], b"\"\xc0\xaf\"", b"\"\xed\xa0\x80\"", b"{\"\x80\":1}", b"1\xff"] {
            assert_eq!(skip(bad).unwrap_err().kind, Kind::Syntax, "{bad:?}");
        }
        for cut_off in [&b"\"\xf0\x9f"[..], b"[tr", b"{\"a\"", b"[[1,2"] {
            assert_eq!(skip(cut_off).unwrap_err().kind, Kind::CutOff, "{cut_off:?}");
        }
    }

    #[test]
    fn strings_come_with_what_their_escapes_mean() {
        for text in ["", "a", "é😀", "\"\\/\u{8}\u{c}\n\r\t", "\u{1}\u{ffff}\u{10ffff}\u{d7ff}\u{e000}"] {
            assert_eq!(string(&serde_json::to_string(text).unwrap()).unwrap(), text);
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            assert_eq!(string(&format!("\"{escaped}\"")).unwrap(), text);
        }
        // Longer than what is looked at at once, with characters across the borders.
        let long = "é\"".repeat(STRIDE);
        assert_eq!(string(&serde_json::to_string(&long).unwrap()).unwrap(), long);
    }

    #[test]
    fn nesting_and_numbers_are_bounded() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(skip(nested(DEEPEST)), Ok(()));
        assert_eq!(skip(nested(DEEPEST + 1)).unwrap_err().kind, Kind::Shape);
        assert_eq!(skip("[".repeat(1 << 20)).unwrap_err().kind, Kind::Shape);
        assert_eq!(skip("{\"a\":".repeat(1 << 20)).unwrap_err().kind, Kind::Shape);
        let digits = |n: usize| format!("[0.{}]", "1".repeat(n - 2));
        assert!(skip(digits(NUMBER_MAX)).is_ok() && all(&digits(NUMBER_MAX)).is_ok());
        assert!(skip(digits(NUMBER_MAX + 1)).is_err() && all(&digits(NUMBER_MAX + 1)).is_err());
    }

    #[test]
    fn keys_are_read_with_escapes_and_long_ones_are_nobodys() {
        let long = "k".repeat(100);
        let text = format!(r#"{{"a\u0062":1,"{long}":2,"":3}}"#);
        let mut keys = Vec::new();
        let read = with(text, |reader| {
            reader.object(|reader, key| {
                keys.push(key.to_owned());
                reader.skip()
            })
        });
        assert_eq!((read, keys), (Ok(()), ["ab", "", ""].map(String::from).into()));
    }

    /// Whatever is read, the caller is asked often, and its no is the end.
    #[test]
    fn the_caller_may_stop_it() {
        let n = 8 * STRIDE;
        for text in [
            format!("[{}0]", "0,".repeat(n)),
            format!("\"{}\"", "a".repeat(n)),
            format!("\"{}\"", "\\n".repeat(n)),
            format!("[{}0]", "[0],".repeat(n)),
            format!("{{{}\"a\":0}}", "\"a\":0,".repeat(n)),
            format!("[{}]", " ".repeat(n)),
        ] {
            let asked = std::cell::Cell::new(0);
            let count = || {
                asked.set(asked.get() + 1);
                true
            };
            let mut reader = Reader::new(text.as_bytes(), &count).unwrap();
            reader.skip().unwrap();
            assert!(asked.get() >= 2 * text.len() / STRIDE - 1, "{} times", asked.get());
            let limit = asked.get() - 3;
            asked.set(0);
            let until = || {
                asked.set(asked.get() + 1);
                asked.get() < limit
            };
            let mut reader = Reader::new(text.as_bytes(), &until).unwrap();
            assert!(reader.skip().is_err() && reader.is_stopped());
            assert!(asked.get() <= limit + 2);
        }
    }
}
