//! How texts are cut, and that nothing is lost.

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
        let borders: Vec<usize> = text.grapheme_indices(true).map(|(i, _)| i).chain([text.len()]).collect();
        let (mut again, mut last) = (String::new(), (0, 0));
        for (i, chunk) in Cut::new(size, overlap).unwrap().chunks(&text).enumerate() {
            assert_eq!(chunk.seq, i, "{}", what());
            assert_eq!(chunk.text, chars[chunk.start..chunk.end].iter().collect::<String>(), "{}", what());
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
