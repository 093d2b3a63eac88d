//! The piece of a chunk that answers a question best, with the question's words in square brackets.
//!
//! ```
//! use sqlite_rembed::index::snippet::Marker;
//!
//! let marker = Marker::new("who won the match?");
//! assert_eq!(marker.snippet("After a long evening, the home team won both matches. It rained.", 40), "…[the] home team [won] both [matches]. It…");
//! ```

use std::collections::{HashMap, HashSet};

use unicode_segmentation::UnicodeSegmentation;

use super::chunk::is_wide;

/// The characters that a reader sees, of a snippet, where nothing else is said.
pub const DEFAULT_LENGTH: usize = 200;

/// What is looked through of a chunk, in characters that a reader sees: a row that is one chunk may be a book.
const LOOKED_AT: usize = 100_000;

/// The words of a question. They are told apart by their letters alone, in either case, and the common endings of
/// English words make no difference: the marks show why a chunk was found, and find nothing themselves.
#[derive(Debug)]
pub struct Marker {
    words: HashMap<String, usize>,
    /// Pairs of ideographs or kana, which stand in runs without words.
    pairs: HashSet<(char, char)>,
}

/// A run of letters and digits.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// Its graphemes.
    start: usize,
    end: usize,
    /// The number of the question's word that it is.
    word: usize,
}

impl Marker {
    /// Marks the words of `question`.
    pub fn new(question: &str) -> Marker {
        let mut words = HashMap::new();
        let mut pairs = HashSet::new();
        for run in question.split(|c: char| !is_letter(c)).filter(|run| !run.is_empty()) {
            let chars: Vec<char> = run.chars().collect();
            pairs.extend(chars.windows(2).filter(|c| is_wide(c[0]) && is_wide(c[1])).map(|c| (c[0], c[1])));
            // The s of "what's" is nothing to look for.
            if chars.len() > 1 || !run.is_ascii() || run.bytes().all(|b| b.is_ascii_digit()) {
                let number = words.len();
                words.entry(stem(run)).or_insert(number);
            }
        }
        Marker { words, pairs }
    }

    /// The piece of `chunk` of about `length` characters that has the most of the words, its beginning where it has none. Dots
    /// show where it was cut, which is never inside what a reader sees as one character.
    pub fn snippet(&self, chunk: &str, length: usize) -> String {
        let graphemes: Vec<&str> = chunk.graphemes(true).take(LOOKED_AT).collect();
        let spans = self.spans(&graphemes);
        let length = length.max(1);
        let (start, end) = piece(&graphemes, &spans, length);
        let mut text = String::new();
        if start > 0 {
            text.push('…');
        }
        let mut at = start;
        for span in spans.iter().filter(|span| span.start >= start && span.end <= end) {
            text.extend(graphemes[at..span.start].iter().copied());
            text.push('[');
            text.extend(graphemes[span.start..span.end].iter().copied());
            text.push(']');
            at = span.end;
        }
        text.extend(graphemes[at..end].iter().copied());
        // The blanks behind a piece are no part of it.
        text.truncate(text.trim_end().len());
        let shown: usize = graphemes[..end].iter().map(|grapheme| grapheme.len()).sum();
        if !chunk[shown..].trim().is_empty() {
            text.push('…');
        }
        text
    }

    /// Where the words stand.
    fn spans(&self, graphemes: &[&str]) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut at = 0;
        while at < graphemes.len() {
            let start = at;
            while at < graphemes.len() && first(graphemes[at]).is_some_and(is_letter) {
                at += 1;
            }
            if start == at {
                at += 1;
                continue;
            }
            let run: String = graphemes[start..at].concat();
            if let Some(&word) = self.words.get(&stem(&run)) {
                spans.push(Span { start, end: at, word });
            } else {
                self.wide_spans(graphemes, start..at, &mut spans);
            }
        }
        spans
    }

    /// The stretches of a run without blanks that the question's pairs make up.
    fn wide_spans(&self, graphemes: &[&str], run: std::ops::Range<usize>, spans: &mut Vec<Span>) {
        if self.pairs.is_empty() {
            return;
        }
        let mut open: Option<Span> = None;
        for i in run.start..run.end.saturating_sub(1) {
            let pair = first(graphemes[i]).zip(first(graphemes[i + 1]));
            if !pair.is_some_and(|pair| self.pairs.contains(&pair)) {
                continue;
            }
            match &mut open {
                Some(span) if span.end > i => span.end = i + 2,
                open => {
                    spans.extend(open.take());
                    *open = Some(Span { start: i, end: i + 2, word: self.words.len() });
                }
            }
        }
        spans.extend(open);
    }
}

/// The piece of `length` with the most different words, and of equal ones with the most words.
fn piece(graphemes: &[&str], spans: &[Span], length: usize) -> (usize, usize) {
    let all = graphemes.len();
    if all <= length {
        return (0, all);
    }
    let mut best = (0, 0, 0..0);
    let mut times: HashMap<usize, usize> = HashMap::new();
    let mut from = 0;
    for (to, span) in spans.iter().enumerate() {
        *times.entry(span.word).or_default() += 1;
        while from < to && span.end - spans[from].start > length {
            let word = spans[from].word;
            if let Some(count) = times.get_mut(&word) {
                *count -= 1;
                if *count == 0 {
                    times.remove(&word);
                }
            }
            from += 1;
        }
        if (times.len(), to + 1 - from) > (best.0, best.1) {
            best = (times.len(), to + 1 - from, spans[from].start..span.end);
        }
    }
    let words = best.2;
    // Context before the words: half of what is left, from the border of a word on.
    let left = length.saturating_sub(words.len());
    let mut start = words.start.saturating_sub(left / 2).min(all - length);
    if start > 0 {
        let is_border = |&i: &usize| is_blank(graphemes[i - 1]) && !is_blank(graphemes[i]);
        start = (start..=words.start).find(is_border).unwrap_or(start);
    }
    let mut end = (start + length).min(all);
    if end < all {
        let is_border = |&i: &usize| is_blank(graphemes[i]) && !is_blank(graphemes[i - 1]);
        let least = words.end.max(start + length / 2).max(start + 1);
        end = (least..=end).rev().find(is_border).unwrap_or(end);
    }
    (start, end)
}

fn first(grapheme: &str) -> Option<char> {
    grapheme.chars().next()
}

fn is_blank(grapheme: &str) -> bool {
    first(grapheme).is_some_and(char::is_whitespace)
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || is_combining(c)
}

fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// A word without what makes no difference: case, marks on letters, common endings.
fn stem(word: &str) -> String {
    let mut word: String = word.chars().filter(|&c| !is_combining(c)).flat_map(char::to_lowercase).collect();
    if !word.is_ascii() {
        return word;
    }
    for ending in ["ing", "ed", "es", "s", "ly", "e"] {
        if word.len() >= ending.len() + 3 && word.ends_with(ending) && !word.ends_with("ss") {
            word.truncate(word.len() - ending.len());
            break;
        }
    }
    let bytes = word.as_bytes();
    // Running, stopped.
    if bytes.len() > 3
        && bytes[bytes.len() - 1] == bytes[bytes.len() - 2]
        && !b"sl".contains(&bytes[bytes.len() - 1])
    {
        word.pop();
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snippet(question: &str, chunk: &str, length: usize) -> String {
        Marker::new(question).snippet(chunk, length)
    }

    #[test]
    fn words_are_marked_in_either_case_and_with_their_endings() {
        assert_eq!(snippet("refund policy", "Our Refunds, POLICY.", 99), "Our [Refunds], [POLICY].");
        assert_eq!(snippet("run", "running runs runner", 99), "[running] [runs] runner");
        assert_eq!(snippet("what's C++ 7?", "What s C 7 c++", 99), "[What] s C [7] c++");
        assert_eq!(snippet("café", "cafe\u{301} Café cafe", 99), "cafe\u{301} [Café] cafe");
        assert_eq!(snippet("class pass", "classes pass", 99), "[classes] [pass]");
    }

    #[test]
    fn the_beginning_is_shown_where_nothing_matches() {
        assert_eq!(snippet("nothing", "one two three four", 12), "one two…");
        assert_eq!(snippet("nothing", "one two three", 13), "one two three");
        assert_eq!(snippet("", "one two  ", 9), "one two");
        assert_eq!(snippet("x", "", 9), "");
    }

    #[test]
    fn the_piece_has_the_most_different_words() {
        let filler = "nothing to see here at all ".repeat(9);
        let chunk = format!("{filler}cat cat cat cat {filler}the cat and dog sat {filler}");
        let shown = snippet("cat dog", &chunk, 50);
        assert!(shown.contains("[cat] and [dog]"), "{shown}");
        assert!(shown.starts_with('…') && shown.ends_with('…'), "{shown}");
        assert!(shown.graphemes(true).count() <= 50 + 6, "{shown}");
    }

    #[test]
    fn scripts_without_blanks_are_marked_by_pairs() {
        assert_eq!(snippet("東京タワーはどこ", "これは東京タワーです", 99), "これは[東京タワー]です");
        assert_eq!(snippet("東京", "大阪と京都", 99), "大阪と京都");
    }

    #[test]
    fn a_long_chunk_is_looked_at_up_to_a_bound() {
        let chunk = format!("{} needle", "hay ".repeat(30_000));
        assert!(snippet("needle", &chunk, 40).starts_with("hay hay"));
    }

    #[test]
    fn no_grapheme_is_cut_and_nothing_is_added_but_marks() {
        const PIECES: &[&str] = &[
            "word",
            "words",
            " ",
            "\r\n",
            "e\u{301}",
            "👨‍👩‍👧‍👦",
            "🇩🇪",
            "漢字",
            "かな",
            "\u{301}",
            "1",
            ".",
            "naïve",
            "\u{200d}",
        ];
        let mut random = fastrand::Rng::with_seed(9);
        for _ in 0..4000 {
            let mut text = |count: usize| -> String {
                (0..count).map(|_| *random.choice(PIECES).unwrap_or(&" ")).collect()
            };
            let (question, chunk) = (text(5), text(40));
            let length = random.usize(0..60);
            let shown = snippet(&question, &chunk, length);
            let bare = shown.replace(['[', ']'], "");
            let bare = bare.strip_prefix('…').unwrap_or(&bare);
            let bare = bare.strip_suffix('…').unwrap_or(bare);
            let borders: HashSet<usize> =
                chunk.grapheme_indices(true).map(|(i, _)| i).chain([chunk.len()]).collect();
            let is_piece = chunk
                .match_indices(bare)
                .any(|(at, _)| borders.contains(&at) && borders.contains(&(at + bare.len())));
            assert!(bare.is_empty() || is_piece, "{question:?} {chunk:?} {length}: {shown:?}");
            assert!(bare.graphemes(true).count() <= length.max(1), "{shown:?} {length}");
            assert_eq!(shown.matches('[').count(), shown.matches(']').count());
        }
    }
}
