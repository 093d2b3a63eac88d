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

#[cfg(test)]
mod tests {
    use super::*;

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
