//! The readings of a text: as it stands, with its escapes undone, as base64.

use zeroize::Zeroizing;

use super::escape::escape;

/// One reading of a text: its bytes, and where in the text each comes from. Wiped, since it may spell a key.
pub(super) struct View {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) places: Vec<(u32, u32)>,
}

impl View {
    fn with_room(n: usize) -> View {
        View { bytes: Zeroizing::new(Vec::with_capacity(n)), places: Vec::with_capacity(n) }
    }

    /// The text as it stands.
    pub(super) fn of(text: &str) -> View {
        let mut view = View::with_room(text.len());
        for (at, c) in text.char_indices() {
            // A key is ASCII. A character that is not ASCII counts as 0, so that none of its bytes is taken for a key's.
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
    pub(super) fn graphic(&self) -> View {
        self.filtered(|byte| byte.is_ascii_graphic() && byte != b'+')
    }

    /// With the escapes of JSON, HTML and URLs undone; `None` if there is none.
    pub(super) fn unescaped(&self) -> Option<View> {
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
    pub(super) fn base64(&self, offset: usize) -> View {
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
