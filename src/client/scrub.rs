//! Hides keys in what a server says: it may repeat what it was sent, in any spelling.
//!
//! The text is read as it stands, with its escapes undone (of JSON, HTML and URLs, one within the other), and each of
//! these as base64. What spells a key, or a part of one, is hidden where it stands.

use std::ops::Range;

use zeroize::Zeroizing;

use crate::base::words::HIDDEN;

/// A part of a key this long is hidden too: a server may cut it, or mask its middle.
const PART: usize = 8;
/// A part that looks like words is hidden from this length on, since a key may hold a word that a message needs.
const WORDS: usize = 12;
/// A key this long, of letters and more, stands in no reply by chance.
const RARE: usize = 16;
/// A key shorter than this guards nothing, and hiding it would spoil every number.
const LEAST: usize = 4;
/// So many escapes within escapes are undone.
const LAYERS: usize = 2;

/// The keys of a request.
#[derive(Default)]
pub struct Scrubber {
    needles: Vec<Needle>,
    /// Those that cannot stand in a reply by chance.
    literals: Vec<Zeroizing<Vec<u8>>>,
}

/// A key, less what [`View::folded`] leaves out.
struct Needle {
    folded: Zeroizing<Vec<u8>>,
    /// As it was written, which tells words from keys.
    written: Zeroizing<Vec<u8>>,
}

impl Scrubber {
    /// Hides `secret` from now on, and what is a secret of its own within a header's value: `Bearer KEY`,
    /// `Basic BASE64`, `name=KEY; name=KEY`.
    pub fn add(&mut self, secret: &str) {
        self.push(secret);
        let parts = || secret.split([' ', ';', ',', '=', '"']).filter(|part| part.len() >= PART);
        if parts().any(|part| part.len() < secret.len()) {
            parts().for_each(|part| self.push(part));
        }
        if secret.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic ")) {
            let plain = View::of(&secret[6..]).base64(0);
            let password = plain.bytes.iter().position(|byte| *byte == b':').map(|at| &plain.bytes[at + 1..]);
            if let Some(Ok(password)) = password.map(std::str::from_utf8) {
                self.push(password);
            }
        }
    }

    fn push(&mut self, secret: &str) {
        let bytes = secret.as_bytes();
        if bytes.len() >= RARE && !is_words(bytes) && bytes.iter().any(u8::is_ascii_alphabetic) {
            self.literals.push(Zeroizing::new(bytes.to_vec()));
        }
        let mut view = View::of(secret);
        for _ in 0..=LAYERS {
            let written = view.graphic();
            if written.bytes.len() >= LEAST {
                let folded = Zeroizing::new(written.bytes.to_ascii_lowercase());
                self.needles.push(Needle { folded, written: written.bytes });
            }
            match view.unescaped() {
                Some(plain) => view = plain,
                None => break,
            }
        }
    }

    /// Puts stars over the keys in a reply that is to be read, as they stand: whatever reads it leaves copies behind. A
    /// number or a vector with a star in it is an error.
    pub fn mask(&self, reply: &mut [u8]) {
        for key in &self.literals {
            let mut from = 0;
            while let Some(at) = memchr::memmem::find(&reply[from..], key) {
                from += at + key.len();
                reply[from - key.len()..from].fill(b'*');
            }
        }
    }

    /// `text` without any of the keys.
    pub fn scrub(&self, text: &str) -> Zeroizing<String> {
        if self.needles.is_empty() {
            return Zeroizing::new(text.to_owned());
        }
        let mut hits = Vec::new();
        let mut layer = Some(View::of(text));
        for _ in 0..=LAYERS {
            let Some(view) = layer else { break };
            self.find(&view, text, &mut hits);
            for offset in 0..4 {
                let decoded = view.base64(offset);
                self.find(&decoded, text, &mut hits);
                if let Some(plain) = decoded.unescaped() {
                    self.find(&plain, text, &mut hits);
                }
            }
            layer = view.unescaped();
        }
        hits.sort_unstable_by_key(|hit| hit.start);
        let mut out = Zeroizing::new(String::with_capacity(text.len() + hits.len() * HIDDEN.len()));
        let mut at = 0;
        for hit in hits {
            if hit.start >= at {
                out.push_str(&text[at..hit.start]);
                out.push_str(HIDDEN);
            }
            at = at.max(hit.end);
        }
        out.push_str(&text[at..]);
        out
    }

    fn find(&self, view: &View, text: &str, hits: &mut Vec<Range<usize>>) {
        let view = view.graphic();
        let folded = Zeroizing::new(view.bytes.to_ascii_lowercase());
        for needle in &self.needles {
            needle.find(&folded, |at| {
                let (first, last) = (view.places[at.start], view.places[at.end - 1]);
                let place = first.0 as usize..last.1 as usize;
                let alone = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
                if needle.folded.len() >= PART
                    || alone(text[..place.start].chars().next_back())
                        && alone(text[place.end..].chars().next())
                {
                    hits.push(place);
                }
            });
        }
    }
}

impl Needle {
    /// Calls `hit` with each place of `text` that holds the key or a part of it.
    fn find(&self, text: &[u8], mut hit: impl FnMut(Range<usize>)) {
        let key = &*self.folded;
        if key.len() < PART {
            if !is_words(&self.written) {
                memchr::memmem::find_iter(text, key).for_each(|at| hit(at..at + key.len()));
            }
            return;
        }
        let least_words = WORDS.max(key.len() / 2).min(key.len());
        let mut at = 0;
        while at + PART <= text.len() {
            // The longest part of the key that stands here.
            let starts =
                (0..=key.len() - PART).filter(|from| key[*from..*from + PART] == text[at..at + PART]);
            let length =
                |from: usize| key[from..].iter().zip(&text[at..]).take_while(|(k, t)| k == t).count();
            match starts.map(|from| (length(from), from)).max() {
                Some((n, from)) if n >= least_words || !is_words(&self.written[from..from + n]) => {
                    hit(at..at + n);
                    at += n;
                }
                _ => at += 1,
            }
        }
    }
}

/// Whether `text` looks like words of a language: letters, of one case within a word.
fn is_words(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_alphabetic() || b"-_.".contains(byte))
        && !text.windows(2).any(|two| two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase())
}

/// One reading of a text: its bytes, and where in the text each comes from. Wiped, since it may spell a key.
struct View {
    bytes: Zeroizing<Vec<u8>>,
    places: Vec<(u32, u32)>,
}

impl View {
    fn with_room(n: usize) -> View {
        View { bytes: Zeroizing::new(Vec::with_capacity(n)), places: Vec::with_capacity(n) }
    }

    /// The text as it stands.
    fn of(text: &str) -> View {
        let mut view = View::with_room(text.len());
        for (at, c) in text.char_indices() {
            // A key is ASCII: what is not cannot belong to one, and a part of it must not be taken for a byte of one.
            let byte = u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(0);
            view.push(byte, (at as u32, (at + c.len_utf8()) as u32));
        }
        view
    }

    fn push(&mut self, byte: u8, place: (u32, u32)) {
        self.bytes.push(byte);
        self.places.push(place);
    }

    fn filtered(&self, keep: impl Fn(u8) -> bool) -> View {
        let mut view = View::with_room(self.bytes.len());
        for (byte, place) in self.bytes.iter().zip(&self.places).filter(|(byte, _)| keep(**byte)) {
            view.push(*byte, *place);
        }
        view
    }

    /// Without white space and control characters, which a server may put in, and `+`, which may stand for a blank.
    fn graphic(&self) -> View {
        self.filtered(|byte| byte.is_ascii_graphic() && byte != b'+')
    }

    /// With the escapes of JSON, HTML and URLs undone; `None` if there is none.
    fn unescaped(&self) -> Option<View> {
        if !self.bytes.iter().any(|byte| b"\\&%".contains(byte)) {
            return None;
        }
        let mut view = View::with_room(self.bytes.len());
        let (mut at, mut found) = (0, false);
        while let Some(byte) = self.bytes.get(at) {
            let (byte, n) = escape(&self.bytes[at..]).unwrap_or((*byte, 1));
            found |= n > 1;
            view.push(byte, (self.places[at].0, self.places[at + n - 1].1));
            at += n;
        }
        found.then_some(view)
    }

    /// Read as base64, of either alphabet, from its `offset`-th digit on. What is no digit is skipped: of the four
    /// offsets one is right, wherever in the text, and across lines, the base64 stands.
    fn base64(&self, offset: usize) -> View {
        let digits = self.filtered(|byte| digit64(byte).is_some());
        let mut view = View::with_room(digits.bytes.len());
        for at in (offset..digits.bytes.len()).step_by(4) {
            let end = digits.bytes.len().min(at + 4);
            let four = &digits.bytes[at..end];
            let bits = four.iter().fold(0, |bits, digit| bits << 6 | u32::from(digit64(*digit).unwrap_or(0)));
            let bits = (bits << (6 * (4 - four.len()))).to_be_bytes();
            for (i, byte) in bits[1..four.len()].iter().enumerate() {
                view.push(*byte, (digits.places[at + i].0, digits.places[at + i + 1].1));
            }
        }
        view
    }
}

fn digit64(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// What the escape at the beginning of `text` stands for, and its length.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    let hex = |from: usize, n: usize| number(text.get(from..from + n)?, 16);
    match text {
        [b'%', ..] => Some((hex(1, 2)?, 3)),
        [b'\\', b'u', b'{', ..] => {
            let n = text.iter().take(12).position(|byte| *byte == b'}')?;
            Some((number(&text[3..n], 16)?, n + 1))
        }
        [b'\\', b'u', ..] => Some((hex(2, 4)?, 6)),
        [b'\\', b'x', ..] => Some((hex(2, 2)?, 4)),
        [b'\\', b't' | b'n' | b'r' | b'b' | b'f', ..] => Some((b' ', 2)),
        [b'\\', byte, ..] if byte.is_ascii_punctuation() => Some((*byte, 2)),
        [b'&', b'#', rest @ ..] => {
            let (at, radix) = if let [b'x' | b'X', ..] = rest { (1, 16) } else { (0, 10) };
            let digits = rest[at..].iter().take(12).take_while(|byte| char::from(**byte).is_digit(radix));
            let n = at + digits.count();
            // HTML does without the semicolon.
            Some((number(&rest[at..n], radix)?, 2 + n + usize::from(rest.get(n) == Some(&b';'))))
        }
        [b'&', rest @ ..] => {
            let n = rest.iter().take(12).position(|byte| *byte == b';')?;
            let name = std::str::from_utf8(&rest[..n]).ok()?;
            Some((NAMED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?.1, n + 2))
        }
        _ => None,
    }
}

/// An ASCII character by its number; 0 for any other.
fn number(digits: &[u8], radix: u32) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let number = u32::from_str_radix(digits, radix).ok()?;
    Some(u8::try_from(number).ok().filter(u8::is_ascii).unwrap_or(0))
}

/// HTML's names of the ASCII characters that have one.
const NAMED: &[(&str, u8)] = &[
    ("amp", b'&'),
    ("apos", b'\''),
    ("ast", b'*'),
    ("bsol", b'\\'),
    ("colon", b':'),
    ("comma", b','),
    ("commat", b'@'),
    ("dollar", b'$'),
    ("equals", b'='),
    ("excl", b'!'),
    ("grave", b'`'),
    ("gt", b'>'),
    ("hat", b'^'),
    ("lbrace", b'{'),
    ("lbrack", b'['),
    ("lcub", b'{'),
    ("lowbar", b'_'),
    ("lpar", b'('),
    ("lsqb", b'['),
    ("lt", b'<'),
    ("nbsp", b' '),
    ("num", b'#'),
    ("percnt", b'%'),
    ("period", b'.'),
    ("plus", b'+'),
    ("quest", b'?'),
    ("quot", b'"'),
    ("rbrace", b'}'),
    ("rbrack", b']'),
    ("rcub", b'}'),
    ("rpar", b')'),
    ("rsqb", b']'),
    ("semi", b';'),
    ("sol", b'/'),
    ("underbar", b'_'),
    ("verbar", b'|'),
    ("vert", b'|'),
];

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-proj-A1b2/C3d4+E5f6_G7\"h8&i9<J0=k";

    fn scrubber(keys: &[&str]) -> Scrubber {
        let mut scrubber = Scrubber::default();
        keys.iter().for_each(|key| scrubber.add(key));
        scrubber
    }

    fn each(key: &str, spell: impl Fn(u8) -> String) -> String {
        key.bytes().map(spell).collect()
    }

    fn punctuation(key: &str, spell: impl Fn(u8) -> String) -> String {
        each(key, |b| if b.is_ascii_alphanumeric() { char::from(b).into() } else { spell(b) })
    }

    fn base64(text: &str) -> String {
        base64_simd::STANDARD.encode_to_string(text)
    }

    /// The spellings of `key` by which servers repeat what they were sent.
    fn spellings(key: &str) -> Vec<String> {
        let html = key.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        let percent = punctuation(key, |b| format!("%{b:02X}"));
        let mut all = vec![
            key.to_owned(),
            key.to_uppercase(),
            key.to_lowercase(),
            serde_json::to_string(key).unwrap(),
            serde_json::to_string(&serde_json::to_string(key).unwrap()).unwrap(),
            each(key, |b| format!("\\u{b:04x}")),
            each(key, |b| format!("\\u{b:04X}")),
            each(key, |b| format!("\\x{b:02x}")),
            punctuation(key, |b| format!("\\u{b:04x}")),
            key.replace('/', "\\/").replace('"', "\\\""),
            html.replace('"', "&#34;").replace('/', "&#x2F;"),
            html.replace('/', "&sol;")
                .replace('+', "&plus;")
                .replace('_', "&lowbar;")
                .replace('=', "&equals;"),
            html.replace('&', "&amp;"),
            each(key, |b| format!("&#{b};")),
            each(key, |b| format!("&#{b}")),
            each(key, |b| format!("&#x{b:x};")),
            each(key, |b| format!("&#X{b:X};")),
            each(key, |b| format!("%{b:02x}")),
            percent.to_lowercase(),
            percent.replace('%', "%25"),
            percent.clone(),
            html,
            key.split_at(17).0.to_owned() + "\n  " + key.split_at(17).1,
            each(key, |b| format!("{}\0", char::from(b))),
        ];
        for before in ["", "u", "us", "user:"] {
            let text = base64(&format!("{before}{key}, and so on"));
            all.push(text.replace('+', "-").replace('/', "_"));
            all.push(text.trim_end_matches('=').to_owned());
            all.push(text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"));
            all.push(text.replace('/', "\\/"));
            all.push(format!("{}\r\n {}", &text[..30], &text[30..]));
            all.push(text);
            all.push(base64(&format!("{before}{key}")));
            all.push(base64(&format!("{{\"k\":{}}}", serde_json::to_string(key).unwrap())));
        }
        all
    }

    #[test]
    fn no_spelling_of_a_key_is_left() {
        for key in [KEY, "0123456789abcdef0123456789ABCDEF0123", "sk-\\nX&amp;9%41z9 a+b"] {
            let scrubber = scrubber(&[key]);
            for spelling in spellings(key) {
                let text = format!("Ünknown «{spelling}» given, 1 of 2");
                let out = scrubber.scrub(&text);
                assert!(out.contains(HIDDEN), "{spelling}: {}", *out);
                assert!(out.starts_with("Ünknown «") && out.ends_with(" given, 1 of 2"), "{}", *out);
                // What remains of it are the quotes, or what a base64 text holds besides.
                assert!(out.len() < 90, "{spelling}: {}", *out);
                for part in key.as_bytes().windows(PART) {
                    let part = std::str::from_utf8(part).unwrap();
                    assert!(!out.to_lowercase().contains(&part.to_lowercase()), "{spelling}: {}", *out);
                }
            }
        }
    }

    #[test]
    fn a_part_of_a_key_is_hidden() {
        let scrubber = scrubber(&[KEY]);
        for n in 10..KEY.len() {
            for part in [&KEY[..n], &KEY[KEY.len() - n..]] {
                let out = scrubber.scrub(&format!("bad key '{part}…'"));
                // A `+` at its end or beginning is not told from a blank.
                assert_eq!(out.replace('+', ""), "bad key '***…'", "{part}");
                let out = scrubber.scrub(&base64(part));
                assert!(out.contains(HIDDEN) && out.len() < 12, "{part}: {}", *out);
            }
        }
        // Masked by the server: a few characters at its ends tell nobody the key.
        assert_eq!(*scrubber.scrub("Incorrect key: sk-proj-***J0=k"), "Incorrect key: sk-proj-***J0=k");
    }

    #[test]
    fn the_words_of_a_message_stay() {
        let messages = [
            "error: the embedding model was not found in the server's production deployment (HTTP 404)",
            "invalid_request_error: input 0 has 8193 tokens, at most 8192 are allowed; see /v1/embeddings",
            "Keys start with sk-proj- or sk-svcacct-",
            "{\"error\":{\"message\":\"model 'text-embedding-3-small' is unknown\",\"code\":404}}",
        ];
        let keys = [
            "embedding-server-production-key-2024",
            "k",
            "sk-1",
            "1",
            "404",
            "8192",
            "error",
            "http",
            "model",
        ];
        for key in keys.iter().chain(&[KEY]) {
            for message in messages {
                let out = scrubber(&[key]).scrub(message);
                let spoiled = *key == "8192" && message.contains(key);
                assert_eq!(out.contains(HIDDEN), spoiled, "{key}: {}", *out);
            }
        }
    }

    #[test]
    fn a_short_key_is_hidden_where_it_stands_alone() {
        let scrubber = scrubber(&["sk-12", "tiny"]);
        assert_eq!(*scrubber.scrub("bad key: sk-12."), "bad key: ***.");
        assert_eq!(*scrubber.scrub("risk-123 tiny"), "risk-123 tiny");
        assert_eq!(*self::scrubber(&["s3cret-8"]).scrub("key=S3CRET-8x"), "key=***x");
        assert_eq!(*self::scrubber(&["password"]).scrub("password=password"), "***=***");
    }

    #[test]
    fn what_is_secret_within_a_header_is_hidden_too() {
        let basic = format!("Basic {}", base64("me:open-sesame-17"));
        let keys = [basic.as_str(), "Bearer sk-right-now", "session=8d7f6a5e; theme=dark"];
        let out =
            scrubber(&keys).scrub("who is open-sesame-17 with sk-right-now and 8d7f6a5e? Bearer is dark");
        assert_eq!(*out, "who is *** with *** and ***? Bearer is dark");
    }

    #[test]
    fn what_holds_no_key_stays_as_it_is() {
        for text in
            ["", "a", "%", "\\", "&", "%4", "\\u00", "&#;", "&amp", "ä%FFö\\u{1F600}&#x1F600;", "QUJD"]
        {
            assert_eq!(*scrubber(&[KEY, "four"]).scrub(text), text);
        }
    }

    #[test]
    fn a_reply_is_read_with_stars_over_the_keys() {
        let keys = [KEY, "0000000000000000", "prompt_eval_count", "short-1", "Bearer 0123456789abcdef"];
        let text = format!("{KEY}{KEY} 0.0000000000000000 prompt_eval_count short-1 0123456789abcdef");
        let mut reply = text.into_bytes();
        scrubber(&keys).mask(&mut reply);
        let stars = "*".repeat(2 * KEY.len());
        let wanted = format!("{stars} 0.0000000000000000 prompt_eval_count short-1 ****************");
        assert_eq!(String::from_utf8(reply).unwrap(), wanted);
    }

    #[test]
    fn a_long_text_takes_no_long_time() {
        let start = std::time::Instant::now();
        let text = "\\u0073k-proj-A1b2&amp;%41".repeat(64 << 10 >> 5);
        let keys = [KEY, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"];
        assert!(scrubber(&keys).scrub(&text).contains(HIDDEN));
        scrubber(&keys).scrub(&"a".repeat(64 << 10));
        assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    }
}
