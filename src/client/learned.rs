//! What a client has learned of its server, and need not try again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// What the replies of a client's server have taught. Nothing depends on when it is seen, so Relaxed is enough.
#[derive(Debug, Default)]
pub struct Learned {
    /// The most texts that one request may have; 0 while nobody knows.
    texts: AtomicUsize,
    /// The most tokens that one request may have, by [`estimate`](super::plan::estimate); 0 while nobody knows.
    tokens: AtomicUsize,
    /// The numbers of a vector in a reply; 0 while nobody knows.
    width: AtomicUsize,
    refuses_base64: AtomicBool,
}

impl Learned {
    /// A request with more texts was refused for their number, and one with `texts` was not.
    pub fn takes(&self, texts: usize) {
        self.texts.store(texts, Relaxed);
    }

    /// The most texts of a request, where that is known.
    pub fn most_texts(&self) -> Option<usize> {
        known(&self.texts)
    }

    /// A request of more tokens was refused for its size, and one of `tokens` was not, nor was any text alone.
    pub fn takes_tokens(&self, tokens: usize) {
        self.tokens.store(tokens, Relaxed);
    }

    /// The most tokens of a request, where that is known.
    pub fn most_tokens(&self) -> Option<usize> {
        known(&self.tokens)
    }

    /// The vectors of a reply had `width` numbers.
    pub fn width(&self, width: usize) {
        self.width.store(width, Relaxed);
    }

    /// The numbers of a vector in a reply, where one has come.
    pub fn known_width(&self) -> Option<usize> {
        known(&self.width)
    }

    /// The server refuses requests that ask for base64.
    pub fn refuses_base64(&self) {
        self.refuses_base64.store(true, Relaxed);
    }

    /// Whether vectors are asked for as numbers.
    pub fn wants_numbers(&self) -> bool {
        self.refuses_base64.load(Relaxed)
    }
}

/// A number, which is 0 while nobody knows it.
fn known(number: &AtomicUsize) -> Option<usize> {
    Some(number.load(Relaxed)).filter(|number| *number > 0)
}
