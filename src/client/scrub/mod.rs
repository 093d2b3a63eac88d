//! Hides keys in what a server says. A server may repeat the key that it was sent, in any spelling.
//!
//! The text is searched as it stands, with its escapes undone (of JSON, HTML and URLs, one within the other), and each
//! of these also as base64. Every place that spells a key, or a part of one, is hidden.

mod escape;
mod view;

use std::ops::Range;

use zeroize::Zeroizing;

use crate::base::words::HIDDEN;
use view::View;

/// A part of a key this long is hidden too: a server may cut it, or mask its middle.
const PART: usize = 8;
/// A part that looks like words is hidden from this length on, since a key may hold a word that a message needs.
const WORDS: usize = 12;
/// A key this long, with letters and other characters, is never in a reply by chance.
const RARE: usize = 16;
/// A key shorter than this is not hidden: it guards nothing, and would be found in every number of a message.
const LEAST: usize = 4;
/// How many layers of escapes within escapes are undone.
const LAYERS: usize = 2;

/// The keys of a request.
#[derive(Default)]
pub struct Scrubber {
    needles: Vec<Needle>,
    /// Those that cannot stand in a reply by chance.
    literals: Vec<Zeroizing<Vec<u8>>>,
}

/// A key that is searched for.
struct Needle {
    /// The key without what [`View::graphic`] leaves out, in lower case.
    folded: Zeroizing<Vec<u8>>,
    /// The same in its own case, by which words are told from keys.
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

    /// Puts stars over the keys in a reply before it is read, since a reader leaves copies behind. Only keys that stand
    /// there as they were sent are found. A number or a vector with a star in it becomes an error.
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

#[cfg(test)]
mod tests;
