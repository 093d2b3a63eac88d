//! Percent-encoding (RFC 3986, 2.1).

/// `text` with all bytes but letters, digits and `plain` in percent. All of it is ASCII.
pub fn encoded<'a>(text: &'a str, plain: &'a [u8]) -> impl Iterator<Item = u8> + 'a {
    text.bytes().flat_map(move |byte| {
        let digit = |n: u8| b"0123456789ABCDEF"[usize::from(n)];
        let is_plain = byte.is_ascii_alphanumeric() || plain.contains(&byte);
        let first = if is_plain { byte } else { b'%' };
        let rest = (!is_plain).then(|| [digit(byte >> 4), digit(byte & 15)]);
        std::iter::once(first).chain(rest.into_iter().flatten())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_what_is_plain_is_in_percent() {
        let text = |plain| String::from_utf8(encoded("a/b ~é%", plain).collect()).unwrap();
        assert_eq!(text(b"-._~"), "a%2Fb%20~%C3%A9%25");
        assert_eq!(text(b"/"), "a/b%20%7E%C3%A9%25");
    }
}
