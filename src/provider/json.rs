//! A reader of JSON for one purpose: long lists of numbers, straight into `Vec<f32>`.
//!
//! serde_json reads everything else. For the numbers it is several times too slow: it goes by way of f64 values
//! one by one, and a reply to 2,048 texts has three million of them (`bench/` has the figures).

use serde::de::DeserializeOwned;

/// Why a reply cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Error {
    /// In words for the user.
    pub message: String,
    /// Whether the text ends too early.
    pub cut_off: bool,
    /// Whether it is JSON, of another shape.
    pub is_json: bool,
}

/// A place in a JSON text.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads `text` from its beginning.
    pub fn new(text: &'a [u8]) -> Reader<'a> {
        Reader { text, at: 0 }
    }

    /// What is still to be read.
    pub fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    /// The next byte that is no white space; 0 at the end.
    pub fn peek(&mut self) -> u8 {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied().unwrap_or(0)
    }

    /// The error of JSON that is valid and not what is wanted.
    pub fn shape(&self, message: impl Into<String>) -> Error {
        Error { message: message.into(), cut_off: false, is_json: true }
    }

    fn syntax(&self, wanted: &str) -> Error {
        let message = format!("{wanted} expected at byte {}", self.at);
        Error { message, cut_off: self.at >= self.text.len(), is_json: false }
    }

    /// Nothing but white space is left.
    ///
    /// # Errors
    /// Anything else.
    pub fn end(&mut self) -> Result<(), Error> {
        match self.peek() {
            0 if self.at >= self.text.len() => Ok(()),
            _ => Err(self.syntax("the end")),
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

    /// Reads any value by serde.
    ///
    /// # Errors
    /// What serde_json says.
    pub fn value<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let mut values = serde_json::Deserializer::from_slice(self.rest()).into_iter::<T>();
        let value = values.next();
        let read = values.byte_offset();
        match value {
            Some(Ok(value)) => {
                self.at += read;
                Ok(value)
            }
            Some(Err(e)) => Err(Error { message: e.to_string(), cut_off: e.is_eof(), is_json: e.is_data() }),
            None => {
                self.at = self.text.len();
                Err(self.syntax("a value"))
            }
        }
    }

    /// Reads an object: `field` is called at the value of each key, and reads it.
    ///
    /// # Errors
    /// Anything but an object; what `field` says.
    pub fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, &str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.expect(b'{', "an object")?;
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() != b'"' {
                return Err(self.syntax("a key"));
            }
            let key: String = self.value()?;
            self.expect(b':', "':'")?;
            self.peek();
            field(self, &key)?;
            match self.peek() {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.syntax("',' or '}'")),
            }
        }
    }

    /// Reads an array: `item` is called at each element, and reads it.
    ///
    /// # Errors
    /// Anything but an array; what `item` says.
    pub fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        self.expect(b'[', "an array")?;
        if self.peek() == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.peek();
            item(self)?;
            match self.peek() {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.syntax("',' or ']'")),
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

    /// The same place, to come back to.
    pub fn here(&self) -> Reader<'a> {
        Reader { text: self.text, at: self.at }
    }

    /// Reads numbers up to the end of an array whose `[` has been read, appending them to `out`. Stops before an
    /// element that is no number.
    ///
    /// # Errors
    /// A number that JSON does not allow.
    pub fn numbers(&mut self, out: &mut Vec<f32>) -> Result<(), Error> {
        loop {
            match self.text.get(self.at) {
                Some(b'-' | b'0'..=b'9') => {}
                // White space, the end of the text, or another type: seen once a list, not once a number.
                _ if matches!(self.peek(), b'-' | b'0'..=b'9') => {}
                _ => return Ok(()),
            }
            let Some((number, n)) = number(&self.text[self.at..]) else {
                return Err(self.syntax("a number"));
            };
            out.push(number);
            self.at += n;
            match self.text.get(self.at) {
                Some(b',') => self.at += 1,
                _ if self.peek() == b',' => self.at += 1,
                _ => return Ok(()),
            }
        }
    }

    /// Goes past the `[` that peek() has seen.
    pub fn enter(&mut self) {
        self.at += 1;
    }

    /// Goes past the `]` of an array whose elements have been read.
    ///
    /// # Errors
    /// Anything else.
    pub fn leave(&mut self) -> Result<(), Error> {
        self.expect(b']', "',' or ']'")
    }
}

/// Powers of ten that f64 holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// The number at the beginning of `text`, as the nearest f32, and its length.
///
/// Up to 19 digits without an exponent, which is what servers send, are read as an integer m and m / 10ᵏ is taken
/// in f64: two roundings, so at most one unit of f64 from the true value. Where no boundary between two f32 is
/// that near, rounding it once more gives the nearest f32. The rest is left to fast_float2.
fn number(text: &[u8]) -> Option<(f32, usize)> {
    let negative = text[0] == b'-';
    let start = usize::from(negative);
    // Mostly one digit: not worth looking at eight.
    let (whole, mut at) = single_digits(text, start, 0);
    let integer = at - start;
    // JSON: at least one digit, and no zero before others.
    if integer == 0 || (integer > 1 && text[start] == b'0') {
        return None;
    }
    let (mut mantissa, mut fraction) = (whole, 0);
    if text.get(at) == Some(&b'.') {
        let (m, end) = digits(text, at + 1, whole);
        fraction = end - at - 1;
        if fraction == 0 {
            return None;
        }
        (mantissa, at) = (m, end);
    }
    let exponent = matches!(text.get(at), Some(b'e' | b'E'));
    let many =
        integer + fraction > 19 && integer + fraction - leading_zeros(text, start, integer, fraction) > 19;
    if exponent || fraction > 22 || many {
        return slow(text);
    }
    let value = mantissa as f64 / TENS[fraction];
    // The bits of f64 that f32 has not; their middle is the boundary between two f32.
    let below = value.to_bits() & ((1 << 29) - 1);
    let near_boundary = below.wrapping_sub((1 << 28) - 2) <= 4;
    if near_boundary || (value < f64::from(f32::MIN_POSITIVE) && mantissa != 0) || value > f64::from(f32::MAX)
    {
        return slow(text);
    }
    let value = value as f32;
    Some((if negative { -value } else { value }, at))
}

/// How many zeros stand before the first digit that counts, where the integer part is 0.
fn leading_zeros(text: &[u8], start: usize, integer: usize, fraction: usize) -> usize {
    if integer != 1 || text[start] != b'0' {
        return 0;
    }
    1 + text[start + 2..start + 2 + fraction].iter().take_while(|b| **b == b'0').count()
}

#[cold]
fn slow(text: &[u8]) -> Option<(f32, usize)> {
    let (value, n) = fast_float2::parse_partial::<f32, _>(text).ok()?;
    // JSON has no infinity, and a number that f32 cannot hold is none that a model computed.
    value.is_finite().then_some((value, n))
}

/// Reads digits from `at` on: eight at once as long as there are eight. Beyond 19 the value wraps, which the caller
/// rules out.
fn digits(text: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(eight) = text.get(at..at + 8) {
        let Ok(bytes) = <[u8; 8]>::try_from(eight) else { break };
        let v = u64::from_le_bytes(bytes);
        let high = v & 0xf0f0_f0f0_f0f0_f0f0;
        let over = (v.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0) >> 4;
        if high | over != 0x3333_3333_3333_3333 {
            break;
        }
        // Pairs, then fours, then all eight digits.
        let v = v & 0x0f0f_0f0f_0f0f_0f0f;
        let v = (v.wrapping_mul(10)).wrapping_add(v >> 8) & 0x00ff_00ff_00ff_00ff;
        let v = (v.wrapping_mul(100)).wrapping_add(v >> 16) & 0x0000_ffff_0000_ffff;
        let v = (v.wrapping_mul(10_000)).wrapping_add(v >> 32) & 0xffff_ffff;
        value = value.wrapping_mul(100_000_000).wrapping_add(v);
        at += 8;
    }
    single_digits(text, at, value)
}

fn single_digits(text: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(digit @ b'0'..=b'9') = text.get(at) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        at += 1;
    }
    (value, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<f32>, Error> {
        let mut reader = Reader::new(text.as_bytes());
        let mut out = Vec::new();
        assert_eq!(reader.peek(), b'[');
        reader.enter();
        reader.numbers(&mut out)?;
        reader.leave()?;
        reader.end()?;
        Ok(out)
    }

    #[test]
    fn every_notation_gives_the_nearest_f32() {
        for text in [
            "0",
            "-0",
            "0.1",
            "-0.034383539110422134",
            "1e-3",
            "1E+2",
            "16777217",
            "0.333333343",
            "123456789.125",
            "0.000000000000000000000000000001",
            "3.4028234e38",
            "1.17549435e-38",
            "1e-45",
            "1e-60",
            "0.30000001192092896",
            "12345678901234567890",
            "0.12345678901234567890123",
            "1.00000005960464477539",
            "0.50000002980232238769531250",
        ] {
            let want: f32 = text.parse().unwrap();
            assert_eq!(all(&format!("[{text}]")).unwrap()[0].to_bits(), want.to_bits(), "{text}");
        }
    }

    #[test]
    fn shortest_and_widened_notations_come_back_bit_for_bit() {
        let mut state = 1u32;
        for _ in 0..200_000 {
            // A full-period generator: every sign, exponent and mantissa may come.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let x = f32::from_bits(state);
            if !x.is_finite() {
                continue;
            }
            let text = format!("[{x},{},{x:e}]", f64::from(x));
            assert_eq!(all(&text).unwrap().map_bits(), [x.to_bits(); 3], "{text}");
        }
    }

    #[test]
    fn decimals_between_two_f32_round_as_std_does() {
        let mut state = 7u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let x = f32::from_bits(0x3d00_0000 | (state >> 41) as u32);
            let middle = (f64::from(x) + f64::from(f32::from_bits(x.to_bits() + 1))) / 2.0;
            for text in [format!("{middle}"), format!("{middle:.17}"), format!("{middle:.18}")] {
                let want: f32 = text.parse().unwrap();
                assert_eq!(all(&format!("[{text}]")).unwrap(), [want], "{text}");
            }
        }
    }

    #[test]
    fn white_space_is_skipped_and_what_is_no_json_is_refused() {
        assert_eq!(all("[ 1 ,\n2\t, 3 ]").unwrap(), [1.0, 2.0, 3.0]);
        assert_eq!(all("[]").unwrap(), [0f32; 0]);
        for bad in ["[01]", "[1.]", "[.5]", "[-]", "[1 2]", "[1e999]", "[NaN]", "[1", "[1,2", "[+1]", "[1]]"]
        {
            assert!(all(bad).is_err(), "{bad}");
        }
        assert!(all("[1,2").unwrap_err().cut_off);
        assert!(!all("[1;").unwrap_err().cut_off);
    }

    trait MapBits {
        fn map_bits(&self) -> Vec<u32>;
    }

    impl MapBits for Vec<f32> {
        fn map_bits(&self) -> Vec<u32> {
            self.iter().map(|x| x.to_bits()).collect()
        }
    }
}
