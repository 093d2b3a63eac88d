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

/// `text` without the byte order mark that editors put at the start of a file.
pub fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
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

/// The one of `known` that `word` is likely meant to be: one that differs in a third of its letters at most.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.trim().to_lowercase().chars().take(64).collect();
    let is_as_long = |known: &&str| {
        let length = known.chars().count();
        length.abs_diff(word.len()) * 3 <= length
    };
    let near = known.into_iter().filter(is_as_long).map(|known| (distance(&word, known), known));
    near.filter(|(far, known)| *far * 3 <= known.chars().count()).min_by_key(|(far, _)| *far).map(|(_, k)| k)
}

/// How many letters are to be changed, added, taken out or swapped with their neighbours (optimal string alignment).
fn distance(word: &[char], known: &str) -> usize {
    let known: Vec<char> = known.to_lowercase().chars().collect();
    let mut rows = vec![vec![0; known.len() + 1]; word.len() + 1];
    for i in 0..=word.len() {
        for j in 0..=known.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let changed = usize::from(word[i - 1] != known[j - 1]);
                let mut least =
                    (rows[i - 1][j - 1] + changed).min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                let is_swap = i > 1 && j > 1 && word[i - 1] == known[j - 2] && word[i - 2] == known[j - 1];
                if is_swap {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[word.len()][known.len()]
}

/// ` Did you mean 'NAME'?`, where one of `known` is near.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or(String::new(), |known| format!(" Did you mean '{known}'?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_near_and_another_word_is_not() {
        let known = ["model", "url", "key", "dimensions", "requests_per_minute"];
        for (word, near) in [
            ("modle", Some("model")),
            ("Model", Some("model")),
            ("dimension", Some("dimensions")),
            ("request_per_minutes", Some("requests_per_minute")),
            ("ulr", Some("url")),
            ("temperature", None),
            ("", None),
            ("xy", None),
            ("k", None),
        ] {
            assert_eq!(nearest(word, known), near, "{word}");
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
