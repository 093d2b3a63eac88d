//! What can go wrong, in words that tell the user what to do.

use std::fmt;

/// The longest text of a provider that is repeated in an error, in characters.
pub const PROVIDER_MESSAGE_MAX: usize = 500;

/// Result of the core.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the core. `Display` is the text a user of SQL sees; it never holds a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No client of this name is visible in the session.
    #[error("{name} was not registered with rembed_clients. {}", known_names(known))]
    NotRegistered {
        /// The name asked for, in quotes.
        name: String,
        /// The names that are visible, or why they could not be read.
        known: Vec<String>,
    },
    /// A constraint of the table `rembed_clients` is violated.
    #[error("{constraint} constraint failed: rembed_clients.{column}{}", exists(value))]
    Constraint {
        /// `UNIQUE` or `NOT NULL`.
        constraint: &'static str,
        /// The column.
        column: &'static str,
        /// The value that is taken; empty for NULL.
        value: String,
    },
    /// A client, an option or an argument is not acceptable; the text says why.
    #[error("{0}")]
    Invalid(String),
    /// A request for embeddings failed.
    #[error(transparent)]
    Request(Box<RequestError>),
    /// The statement was interrupted while it waited.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// A name or rowid that is taken.
    pub fn taken(column: &'static str, value: impl ToString) -> Error {
        Error::Constraint { constraint: "UNIQUE", column, value: value.to_string() }
    }

    /// An [`Error::Invalid`] of this text.
    pub fn invalid(text: impl Into<String>) -> Error {
        Error::Invalid(text.into())
    }
}

fn exists(value: &str) -> String {
    if value.is_empty() { String::new() } else { format!(": {value} exists already") }
}

fn known_names(known: &[String]) -> String {
    if known.is_empty() {
        return "No client is registered: SELECT rembed_register(name, 'format', …) first".into();
    }
    format!("Registered are: {}", known.join(", "))
}

/// Why a client could not embed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestError {
    /// The client's name.
    pub client: String,
    /// Its wire format.
    pub format: &'static str,
    /// The HTTP status, where a reply came.
    pub status: Option<u16>,
    /// The provider's own message or ours, at most [`PROVIDER_MESSAGE_MAX`] characters of the former.
    pub message: String,
    /// How many requests were sent for it.
    pub attempts: u32,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client '{}' ({})", self.client, self.format)?;
        if let Some(status) = self.status {
            write!(f, ": HTTP {status}")?;
        }
        write!(f, ": {}", self.message)?;
        if self.attempts > 1 {
            write!(f, " (after {} attempts)", self.attempts)?;
        }
        Ok(())
    }
}

impl std::error::Error for RequestError {}

/// Cuts `text` to `max` characters, marking the cut, and folds control characters and white space.
pub(crate) fn bounded(text: &str, max: usize) -> String {
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
pub(crate) fn quoted(word: &str) -> String {
    if looks_like_a_key(word) {
        return format!("'{}' (it looks like a key, and is not repeated)", crate::secret::HIDDEN);
    }
    format!("'{}'", bounded(word, 60))
}

/// Whether a word looks like a key rather than like a name: it begins as keys do, or has a long stretch that no word of
/// a language has. A model's name is words and numbers between hyphens.
pub(crate) fn looks_like_a_key(word: &str) -> bool {
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
    fn an_unknown_client_lists_the_known_ones() {
        let e = Error::NotRegistered { name: quoted("x"), known: vec!["a".into(), "b".into()] };
        assert_eq!(e.to_string(), "'x' was not registered with rembed_clients. Registered are: a, b");
    }

    #[test]
    fn a_request_error_names_client_format_status_and_message() {
        let e = RequestError {
            client: "gpt".into(),
            format: "openai",
            status: Some(401),
            message: "bad key".into(),
            attempts: 1,
        };
        assert_eq!(e.to_string(), "client 'gpt' (openai): HTTP 401: bad key");
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
