//! Texts of users and servers as they may stand in an error: short, on one line, without a key.

/// The longest text of a provider that is repeated in an error, in characters.
pub const PROVIDER_MESSAGE_MAX: usize = 500;

/// What is shown in the place of a key.
pub const HIDDEN: &str = "***";

/// Cuts `text` to `max` characters, marking the cut, and folds control characters and white space.
pub fn bounded(text: &str, max: usize) -> String {
    let mut out = String::new();
    for (n, word) in text.split_whitespace().enumerate() {
        if n > 0 {
            out.push(' ');
        }
        out.extend(word.chars().filter(|c| !c.is_control()));
        // Enough to know that the cut below will happen, whatever follows.
        if out.len() > max * 4 {
            break;
        }
    }
    match out.char_indices().nth(max) {
        Some((cut, _)) => format!("{}…", &out[..cut]),
        None => out,
    }
}

/// A word that a user wrote where one of ours was expected, in quotes, for an error. A key that stands in the wrong
/// place is not repeated.
pub fn quoted(word: &str) -> String {
    if looks_like_a_key(word) {
        return format!("'{}' (it looks like a key, and is not repeated)", HIDDEN);
    }
    format!("'{}'", bounded(word, 60))
}

/// Whether a word looks like a key rather than like a name: it begins as keys do, or has a long stretch that no word of
/// a language has. A model's name is words and numbers between hyphens.
pub fn looks_like_a_key(word: &str) -> bool {
    const STARTS: &[&str] = &[
        "sk-", "sk_", "pk-", "pk_", "rk-", "rk_", "nk-", "pa-", "fw_", "hf_", "gsk_", "mxb_", "jina_",
        "nvapi-", "xai-", "tgp_", "aiza", "eyj", "ghp_", "akia", "key-", "bearer ", "basic ",
    ];
    let lower = word.trim().to_ascii_lowercase();
    let starts = STARTS.iter().any(|start| lower.starts_with(start));
    let has = |stretch: &str, kind: fn(&u8) -> bool| stretch.as_bytes().iter().any(kind);
    let random = |stretch: &str| match stretch.len() {
        0..12 => false,
        12..24 => has(stretch, u8::is_ascii_digit),
        _ => true,
    };
    starts || word.split(|c: char| !c.is_ascii_alphanumeric()).any(random)
}

/// The name that `word` may have been meant for: few changes make it of it.
pub fn nearest<'a>(word: &str, names: &'a [String]) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(100).collect();
    let most = word.len() / 3;
    let far = |name: &str| name.chars().count().abs_diff(word.len()) > most;
    let near =
        names.iter().filter(|name| !far(name)).map(|name| (changes(&word, &name.to_lowercase()), name));
    near.filter(|(changes, _)| *changes <= most)
        .min_by_key(|(changes, _)| *changes)
        .map(|(_, name)| name.as_str())
}

/// How many characters are inserted, left out or replaced between the two (Levenshtein).
fn changes(a: &[char], b: &str) -> usize {
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, b) in b.chars().enumerate() {
        let mut above = std::mem::replace(&mut row[0], i + 1);
        for (j, a) in a.iter().enumerate() {
            let replaced = above + usize::from(*a != b);
            above = row[j + 1];
            row[j + 1] = replaced.min(above + 1).min(row[j] + 1);
        }
    }
    row[a.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_may_be_meant_is_found() {
        let names = ["gpt", "local", "text-embedding-3-small", "text-embedding-3-large"].map(str::to_owned);
        for (word, name) in [
            ("gtp", None),
            ("gpt4", Some("gpt")),
            ("Local", Some("local")),
            ("loacl", None),
            ("text-embeding-3-smal", Some("text-embedding-3-small")),
            ("text-embedding-3-larg", Some("text-embedding-3-large")),
            ("", None),
            ("nobody", None),
        ] {
            assert_eq!(nearest(word, &names), name, "{word}");
        }
    }

    #[test]
    fn a_key_in_the_wrong_place_is_not_repeated() {
        for key in [
            "sk-1",
            "sk-proj-abc_DEF",
            " SK-ant-api03-x",
            "Bearer abc",
            "jina_abc",
            "0123456789abcdef0123456789abcdef",
            "AbCdEfGhIjKlMnOpQrStUvWxYz",
            "d1f2a3b4-0000-4000-8000-0123456789ab",
            "x.y/Zm9vYmFyYmF6cXV4",
        ] {
            let shown = quoted(key);
            assert!(shown.starts_with("'***' (") && !shown.contains(key.trim()), "{shown}");
        }
        for word in [
            "modle",
            "opnai",
            "text-embedding-3-small",
            "nomic-embed-text-v1.5",
            "requests_per_minutes",
            "requestsPerMinute",
            "sentence-transformers/all-MiniLM-L6-v2",
            "clustering",
            "",
        ] {
            assert_eq!(quoted(word), format!("'{word}'"));
        }
    }

    #[test]
    fn bounded_counts_characters_and_folds_space() {
        assert_eq!(bounded("a \n\t b", 10), "a b");
        assert_eq!(bounded("ééé", 2), "éé…");
        assert_eq!(bounded(&"x".repeat(9000), 500).chars().count(), 501);
    }
}
