//! Any text as a query of FTS5: its words in quotes, joined by OR, so that nothing in it is an operator.
//!
//! ```
//! use sqlite_rembed::index::question::fts_query;
//!
//! assert_eq!(fts_query("what's C++? NEAR(", false).unwrap(), r#""what's" OR "C++" OR "NEAR""#);
//! assert_eq!(fts_query(" ?! ", false), None);
//! ```

use std::collections::HashSet;

use super::chunk::is_wide;

/// The most words of a query: a question that is a page is long enough by them.
const WORDS_MAX: usize = 200;

/// Characters of a token of FTS5's trigram tokenizer.
const TRIGRAM: usize = 3;

/// The query for a table of FTS5 (<https://www.sqlite.org/fts5.html#full_text_query_syntax>); `None` where the text has
/// no words. A word is what stands between blanks, without the marks around it; FTS5 takes it apart as its tokenizer
/// says, and finds the parts side by side. Each word comes once.
///
/// With `trigram` (`tokenize = 'trigram'`), a run of ideographs or kana is cut into its parts of three: as a whole, few
/// texts have it.
pub fn fts_query(question: &str, trigram: bool) -> Option<String> {
    let question = question.replace('\0', " ");
    let mut seen = HashSet::new();
    let mut query = String::new();
    let words = question.split_whitespace().map(|word| word.trim_matches(is_punctuation));
    let parts = words.flat_map(|word| if trigram { trigrams(word) } else { vec![word] });
    for word in parts.filter(|word| !word.is_empty() && seen.insert(word.to_lowercase())).take(WORDS_MAX) {
        if !query.is_empty() {
            query.push_str(" OR ");
        }
        query.push('"');
        query.push_str(&word.replace('"', "\"\""));
        query.push('"');
    }
    (!query.is_empty()).then_some(query)
}

/// Marks around words. Others may be of the word: C++, C#, .NET, @name, 100%.
fn is_punctuation(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '?' | '!'
                | ','
                | ';'
                | ':'
                | '"'
                | '\''
                | '('
                | ')'
                | '['
                | ']'
                | '{'
                | '}'
                | '<'
                | '>'
                | '`'
                | '.'
                | '*'
                | '“'
                | '”'
                | '„'
                | '‘'
                | '’'
                | '«'
                | '»'
                | '…'
                | '¿'
                | '¡'
                | '—'
                | '–'
                | '。'
                | '、'
                | '，'
                | '！'
                | '？'
                | '：'
                | '；'
                | '「'
                | '」'
                | '『'
                | '』'
                | '（'
                | '）'
                | '《'
                | '》'
        )
}

/// A word, with its runs of wide letters in parts of three.
fn trigrams(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let is_other = |c: char| is_wide(c) != is_wide(first);
        let (run, tail) = rest.split_at(rest.find(is_other).unwrap_or(rest.len()));
        rest = tail;
        let borders: Vec<usize> = run.char_indices().map(|(i, _)| i).chain([run.len()]).collect();
        if is_wide(first) && borders.len() > TRIGRAM {
            parts.extend(borders.windows(TRIGRAM + 1).map(|border| &run[border[0]..border[TRIGRAM]]));
        } else {
            parts.push(run.trim_matches(is_punctuation));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_and_joined() {
        for (question, query) in [
            ("who won the match?", r#""who" OR "won" OR "the" OR "match""#),
            ("foo-bar", r#""foo-bar""#),
            ("col:val", r#""col:val""#),
            ("NEAR(a b) AND NOT c*", r#""NEAR(a" OR "b" OR "AND" OR "NOT" OR "c""#),
            ("say \"it\" 5\"6", r#""say" OR "it" OR "5""6""#),
            ("a\0b\0", r#""a" OR "b""#),
            ("The the THE", r#""The""#),
            ("🎉 party", r#""🎉" OR "party""#),
            ("東京タワーはどこ？", r#""東京タワーはどこ""#),
            ("^x -y +z {a}:b", r#""^x" OR "-y" OR "+z" OR "a}:b""#),
        ] {
            assert_eq!(fts_query(question, false).as_deref(), Some(query), "{question:?}");
        }
    }

    #[test]
    fn a_text_without_words_is_no_query() {
        for question in ["", "  \n", "\0", "?!", "\"", "\"\"\" ''", "。", "..."] {
            assert_eq!(fts_query(question, false), None, "{question:?}");
            assert_eq!(fts_query(question, true), None, "{question:?}");
        }
    }

    #[test]
    fn wide_letters_are_in_threes_for_trigrams() {
        for (question, query) in [
            ("東京タワーはどこ？", r#""東京タ" OR "京タワ" OR "タワー" OR "ワーは" OR "ーはど" OR "はどこ""#),
            ("東京", r#""東京""#),
            ("Tokyo東京タワ tower", r#""Tokyo" OR "東京タ" OR "京タワ" OR "tower""#),
        ] {
            assert_eq!(fts_query(question, true).as_deref(), Some(query), "{question:?}");
        }
    }

    #[test]
    fn quotes_are_always_closed_and_long_questions_bounded() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..3000 {
            let text: String = (0..random.usize(0..30))
                .map(|_| {
                    *random
                        .choice(&['"', '\'', ' ', 'a', 'é', '漢', '字', '\0', '(', '*', ':', '👍', '\n'])
                        .unwrap_or(&' ')
                })
                .collect();
            let Some(query) = fts_query(&text, random.bool()) else { continue };
            let bare = query.replace("\"\"", "");
            assert!(
                bare.split(" OR ").all(|word| {
                    word.len() > 2
                        && word.starts_with('"')
                        && word.ends_with('"')
                        && word.matches('"').count() == 2
                }),
                "{text:?}: {query}"
            );
            assert!(!query.contains('\0'));
        }
        let long: String = (0..10_000).map(|i| format!("w{i} ")).collect();
        assert_eq!(fts_query(&long, false).map(|query| query.matches(" OR ").count()), Some(WORDS_MAX - 1));
    }
}
