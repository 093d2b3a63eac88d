//! The escapes of JSON, HTML and URLs.

/// What the escape at the beginning of `text` stands for, and its length.
pub(super) fn escape(text: &[u8]) -> Option<(u8, usize)> {
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
