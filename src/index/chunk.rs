//! Cuts a text into chunks that are small enough to embed.
//!
//! A chunk ends where a paragraph does, else where a sentence or a line does, else between words, else between
//! graphemes (what a reader sees as one character), never inside one. The blanks after a word belong to its chunk: the
//! chunks without their overlaps, one after the other, are the text. The time is linear in the text that the chunks hold.
//!
//! ```
//! use sqlite_rembed::index::chunk::Cut;
//!
//! let cut = Cut::new(12, 5)?;
//! let chunks: Vec<_> = cut.chunks("One two. Three four.").map(|c| (c.seq, c.start, c.end, c.text)).collect();
//! assert_eq!(chunks, [(0, 0, 9, "One two. "), (1, 4, 15, "two. Three "), (2, 15, 20, "four.")]);
//! # Ok::<(), sqlite_rembed::Error>(())
//! ```

use std::collections::VecDeque;

use unicode_segmentation::{Graphemes, UnicodeSegmentation};

use crate::base::error::{Error, Result};

/// Characters of a chunk, where nothing else is said.
pub const DEFAULT_SIZE: usize = 1000;

/// The largest overlap, where nothing else is said.
const DEFAULT_OVERLAP: usize = 100;

/// How long chunks are, and how much of one comes again in the next. Characters are Unicode scalar values, as in
/// SQL's `length()` and `substr()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    size: usize,
    overlap: usize,
}

impl Cut {
    /// Chunks of at most `size` characters, the first `overlap` or fewer of which end the chunk before. Size 0: the
    /// text is one chunk, whatever the overlap.
    ///
    /// # Errors
    /// An overlap that is not smaller than the size.
    pub fn new(size: usize, overlap: usize) -> Result<Cut> {
        if size > 0 && overlap >= size {
            return Err(Error::invalid(format!(
                "the chunk overlap ({overlap}) must be smaller than the chunk size ({size})"
            )));
        }
        Ok(Cut { size, overlap })
    }

    /// The overlap that goes with a size: 100 characters, or a tenth of the size where that is less.
    pub fn default_overlap(size: usize) -> usize {
        DEFAULT_OVERLAP.min(size / 10)
    }

    /// Characters of a chunk at most; 0 is no bound.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Characters of a chunk that may come again in the next.
    pub fn overlap(&self) -> usize {
        self.overlap
    }

    /// The chunks of `text`, first to last. An empty text has none. A grapheme that is longer than the size (a flag, a
    /// family of emoji, a letter with many marks) is a chunk of its own, which is then longer too.
    pub fn chunks<'a>(&self, text: &'a str) -> Chunks<'a> {
        let start = Border { byte: 0, char: 0, level: Level::Paragraph };
        Chunks {
            cut: *self,
            text,
            borders: Borders::new(text),
            window: VecDeque::from([start]),
            covered: 0,
            seq: 0,
        }
    }
}

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Its number in the text, from 0.
    pub seq: usize,
    /// The characters before it in the text.
    pub start: usize,
    /// The characters before its end in the text.
    pub end: usize,
    /// Itself.
    pub text: &'a str,
}

/// The chunks of a text: see [`Cut::chunks`].
#[derive(Debug)]
pub struct Chunks<'a> {
    cut: Cut,
    text: &'a str,
    borders: Borders<'a>,
    /// The borders from the start of the next chunk on, as far as they were looked at.
    window: VecDeque<Border>,
    /// The end of the last chunk, in characters.
    covered: usize,
    seq: usize,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        if self.cut.size == 0 {
            return self.whole();
        }
        let end = self.end()?;
        let start = self.window[0];
        let chunk =
            Chunk { seq: self.seq, start: start.char, end: end.char, text: &self.text[start.byte..end.byte] };
        self.seq += 1;
        self.covered = end.char;
        self.start_at(self.next_start(end));
        Some(chunk)
    }
}

impl<'a> Chunks<'a> {
    fn whole(&mut self) -> Option<Chunk<'a>> {
        if self.seq > 0 || self.text.is_empty() {
            return None;
        }
        self.seq = 1;
        Some(Chunk { seq: 0, start: 0, end: self.text.chars().count(), text: self.text })
    }

    /// Where the next chunk ends; `None` when the text is covered.
    fn end(&mut self) -> Option<Border> {
        loop {
            let start = self.window[0].char;
            let limit = start.saturating_add(self.cut.size);
            while self.window.back().is_some_and(|last| last.char <= limit) {
                match self.borders.next() {
                    Some(border) => self.window.push_back(border),
                    None => break,
                }
            }
            let last = *self.window.back()?;
            if last.char <= self.covered {
                return None;
            }
            if last.char <= limit {
                return Some(last);
            }
            let first = self.window.partition_point(|border| border.char <= self.covered);
            let beyond = self.window.partition_point(|border| border.char <= limit);
            if first < beyond {
                return Some(self.best(first, beyond, start + self.cut.size.div_ceil(2)));
            }
            if start == self.covered {
                // One grapheme that is longer than the size.
                return self.window.get(first).copied();
            }
            // With what it shares with the chunk before, the next grapheme does not fit.
            self.start_at(self.covered);
        }
    }

    /// The best border of those: the last of the highest level from `half` on, so that a heading is no chunk of its own.
    fn best(&self, first: usize, beyond: usize, half: usize) -> Border {
        let mut best = self.window[first];
        let mut has_half = false;
        for &border in self.window.range(first..beyond) {
            let in_half = border.char >= half && border.level >= Level::Word;
            let is_better = if in_half {
                !has_half || border.level >= best.level
            } else {
                // Words that end sooner are better than half a word.
                !has_half && (border.level >= Level::Word || best.level < Level::Word)
            };
            if is_better {
                best = border;
                has_half |= in_half;
            }
        }
        best
    }

    /// Where the chunk after one that ends at `end` starts: a sentence that makes up at least half of the overlap, else
    /// a word; a grapheme only inside a word that was cut. Always behind the start of the chunk before, so that none holds another.
    fn next_start(&self, end: Border) -> usize {
        let from = end.char.saturating_sub(self.cut.overlap).max(self.window[0].char + 1);
        let half = end.char.saturating_sub(self.cut.overlap / 2);
        let first = self.window.partition_point(|border| border.char < from);
        let shared = || self.window.range(first..).take_while(|border| border.char < end.char);
        let sentence = shared().find(|border| border.char <= half && border.level >= Level::Sentence);
        let word = || shared().find(|border| border.level >= Level::Word);
        let any = || shared().next().filter(|_| end.level == Level::Grapheme);
        sentence.or_else(word).or_else(any).map_or(end.char, |border| border.char)
    }

    fn start_at(&mut self, char: usize) {
        while self.window.len() > 1 && self.window[0].char < char {
            self.window.pop_front();
        }
    }
}

/// How good a place is to end a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Grapheme,
    Word,
    /// A line too: of a list, a poem, a program.
    Sentence,
    Paragraph,
}

/// A place between two graphemes.
#[derive(Debug, Clone, Copy)]
struct Border {
    byte: usize,
    char: usize,
    level: Level,
}

/// The borders of a text, without its beginning.
struct Borders<'a> {
    graphemes: Graphemes<'a>,
    next: Option<&'a str>,
    byte: usize,
    char: usize,
    /// Line breaks since the last character that is no blank.
    lines: usize,
    /// What ended before the blanks.
    ended: Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Nothing,
    /// A sentence, if blanks follow.
    Perhaps,
    /// A sentence, by a mark of a script that has no blanks.
    Sentence,
}

impl std::fmt::Debug for Borders<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Borders").field("byte", &self.byte).field("char", &self.char).finish_non_exhaustive()
    }
}

impl<'a> Borders<'a> {
    fn new(text: &'a str) -> Borders<'a> {
        let mut graphemes = text.graphemes(true);
        let next = graphemes.next();
        Borders { graphemes, next, byte: 0, char: 0, lines: 0, ended: Ended::Nothing }
    }
}

impl Iterator for Borders<'_> {
    type Item = Border;

    fn next(&mut self) -> Option<Border> {
        let grapheme = self.next?;
        self.next = self.graphemes.next();
        self.byte += grapheme.len();
        self.char += grapheme.chars().count();
        let first = grapheme.chars().next()?;
        let is_blank = first.is_whitespace();
        match first {
            '\u{2029}' => self.lines += 2,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' => self.lines += 1,
            _ if is_blank => {}
            _ => {
                self.lines = 0;
                self.ended = match first {
                    '.' | '!' | '?' | '…' | '؟' | '।' | '۔' => Ended::Perhaps,
                    '。' | '！' | '？' | '．' | '｡' => Ended::Sentence,
                    _ if is_closing(first) => self.ended,
                    _ => Ended::Nothing,
                };
            }
        }
        let level = match self.next.and_then(|next| next.chars().next()) {
            None => Level::Paragraph,
            // A chunk ends behind the blanks.
            Some(next) if next.is_whitespace() => Level::Grapheme,
            Some(_) if self.lines > 1 => Level::Paragraph,
            Some(_) if self.lines == 1 => Level::Sentence,
            Some(next) if is_blank && self.ended != Ended::Nothing && !next.is_lowercase() => Level::Sentence,
            Some(_) if is_blank => Level::Word,
            Some(next) if self.ended == Ended::Sentence && !is_closing(next) && !is_mark(next) => {
                Level::Sentence
            }
            Some(next) if is_wide(first) && !is_closing(next) && !is_mark(next) => Level::Word,
            Some(next) if is_wide(next) && !is_closing(first) => Level::Word,
            Some(_) => Level::Grapheme,
        };
        Some(Border { byte: self.byte, char: self.char, level })
    }
}

/// What may stand between the end of a sentence and the blanks.
fn is_closing(c: char) -> bool {
    matches!(
        c,
        ')' | ']'
            | '}'
            | '"'
            | '\''
            | '”'
            | '’'
            | '»'
            | '」'
            | '』'
            | '）'
            | '】'
            | '》'
            | '〉'
            | '*'
            | '_'
    )
}

/// Marks of a script without blanks, which no line begins with.
fn is_mark(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '．' | '｡' | '、' | '，' | '；' | '：' | '…')
}

/// Letters of the scripts that have no blanks between words, where each is as good a border as another: ideographs and
/// kana.
pub(super) fn is_wide(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests;
