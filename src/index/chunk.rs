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
mod tests {
    use super::*;

    fn texts(text: &str, size: usize, overlap: usize) -> Vec<&str> {
        Cut::new(size, overlap).unwrap().chunks(text).map(|chunk| chunk.text).collect()
    }

    #[test]
    fn a_text_that_fits_is_one_chunk() {
        assert_eq!(texts("short", 5, 4), ["short"]);
        assert_eq!(texts("short", 0, 99), ["short"]);
        assert_eq!(texts("", 5, 0), [""; 0]);
        assert_eq!(texts("", 0, 0), [""; 0]);
        assert_eq!(texts("   ", 9, 0), ["   "]);
    }

    #[test]
    fn paragraphs_come_before_sentences_and_those_before_words() {
        let text = "A b c.\n\nD e f. G h";
        assert_eq!(texts(text, 12, 0), ["A b c.\n\n", "D e f. G h"]);
        assert_eq!(texts("One two. Three four five", 16, 0), ["One two. ", "Three four five"]);
        assert_eq!(texts("one two three four", 10, 0), ["one two ", "three four"]);
        assert_eq!(texts("- one\n- two three\n- four", 19, 0), ["- one\n- two three\n", "- four"]);
        // An abbreviation inside a sentence.
        assert_eq!(texts("see e.g. three four five", 16, 0), ["see e.g. three ", "four five"]);
        assert_eq!(texts("He said \"Go.\" Then left us", 20, 0), ["He said \"Go.\" ", "Then left us"]);
    }

    #[test]
    fn a_heading_is_no_chunk_of_its_own() {
        assert_eq!(texts("Hi\n\none two three four", 14, 0), ["Hi\n\none two ", "three four"]);
    }

    #[test]
    fn a_word_that_is_too_long_is_cut_between_graphemes() {
        assert_eq!(texts("a 0123456789", 5, 0), ["a ", "01234", "56789"]);
        assert_eq!(texts("e\u{301}e\u{301}e\u{301}", 3, 0), ["e\u{301}", "e\u{301}", "e\u{301}"]);
    }

    #[test]
    fn a_grapheme_that_is_too_long_is_a_chunk_of_its_own() {
        let family = "👨‍👩‍👧‍👦";
        let text = format!("ab{family}cd");
        assert_eq!(texts(&text, 3, 0), ["ab", family, "cd"]);
        assert_eq!(texts(&text, 3, 2), ["ab", family, "cd"]);
    }

    #[test]
    fn scripts_without_blanks_end_at_their_marks() {
        assert_eq!(texts("今日は。明日も晴れ。", 8, 0), ["今日は。", "明日も晴れ。"]);
        assert_eq!(texts("これは、長い文章です", 4, 0), ["これは、", "長い文章", "です"]);
    }

    #[test]
    fn an_overlap_starts_at_a_sentence_or_a_word() {
        let chunks = texts("One two three. Four five six seven", 24, 10);
        assert_eq!(chunks, ["One two three. ", "three. Four five six ", "five six seven"]);
        let chunks = texts("Aa bb. Cc dd. Ee ff gg hh ii", 14, 8);
        assert_eq!(chunks, ["Aa bb. Cc dd. ", "Cc dd. Ee ff ", "Ee ff gg hh ii"]);
    }

    #[test]
    fn an_overlap_is_smaller_than_the_size() {
        let e = Cut::new(100, 100).unwrap_err().to_string();
        assert_eq!(e, "the chunk overlap (100) must be smaller than the chunk size (100)");
        assert!(Cut::new(1, 0).is_ok() && Cut::new(0, 7).is_ok());
        for (size, overlap) in [(1000, 100), (50, 5), (5, 0), (0, 0), (usize::MAX, 100)] {
            assert_eq!(Cut::default_overlap(size), overlap);
        }
    }

    /// Texts of what is hard to cut.
    fn hostile(random: &mut fastrand::Rng) -> String {
        const PIECES: &[&str] = &[
            "a",
            "word",
            " ",
            "  ",
            "\n",
            "\r\n",
            "\r",
            "\n\n",
            "\r\n\r\n",
            "\u{2029}",
            "\t",
            ". ",
            "? ",
            "。",
            "、",
            "e\u{301}",
            "\u{301}",
            "\u{200d}",
            "👨‍👩‍👧‍👦",
            "🇩🇪",
            "🇩",
            "👍🏽",
            "漢",
            "字",
            "かな",
            "한국",
            "नमस्ते",
            "ก็",
            "\u{feff}",
            "\0",
            "\"",
            ")",
            "longwordwithoutanyblank",
            "Ａ",
            "\u{1100}\u{1161}",
            "z\u{327}\u{302}\u{20dd}",
        ];
        let one = random.choice(PIECES).copied().unwrap_or("");
        let count = random.usize(0..60);
        let same = random.u8(0..8) == 0;
        (0..count).map(|_| if same { one } else { random.choice(PIECES).copied().unwrap_or("") }).collect()
    }

    #[test]
    fn nothing_is_lost_and_no_grapheme_is_cut() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..4000 {
            let text = hostile(&mut random);
            let size = random.usize(1..40);
            let overlap = random.usize(0..size);
            let what = || format!("{text:?} by {size}, {overlap}");
            let chars: Vec<char> = text.chars().collect();
            let borders: Vec<usize> =
                text.grapheme_indices(true).map(|(i, _)| i).chain([text.len()]).collect();
            let (mut again, mut last) = (String::new(), (0, 0));
            for (i, chunk) in Cut::new(size, overlap).unwrap().chunks(&text).enumerate() {
                assert_eq!(chunk.seq, i, "{}", what());
                assert_eq!(
                    chunk.text,
                    chars[chunk.start..chunk.end].iter().collect::<String>(),
                    "{}",
                    what()
                );
                let byte = chunk.text.as_ptr() as usize - text.as_ptr() as usize;
                for border in [byte, byte + chunk.text.len()] {
                    assert!(borders.binary_search(&border).is_ok(), "{}", what());
                }
                let is_one = chunk.text.graphemes(true).count() == 1;
                assert!(chunk.end - chunk.start <= size || is_one, "{}", what());
                assert!(i == 0 || chunk.start > last.0, "{}", what());
                assert!(chunk.start <= last.1 && chunk.start + overlap >= last.1, "{}", what());
                assert!(chunk.end > last.1, "{}", what());
                again.extend(&chars[last.1..chunk.end]);
                last = (chunk.start, chunk.end);
            }
            assert_eq!(again, text, "{}", what());
        }
    }
}
