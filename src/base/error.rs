//! What can go wrong, in words that tell the user what to do.

use std::fmt;

use super::words::{nearest, quoted};

/// Result of the core.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the core. `Display` is the text a user of SQL sees; it never holds a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No client of this name is visible in the session.
    #[error("{name} was not registered with rembed_clients. {}", known_names(nearest.as_deref(), known, *more))]
    NotRegistered {
        /// The name asked for, in quotes.
        name: String,
        /// The name that may have been meant.
        nearest: Option<String>,
        /// Some of the names that are visible.
        known: Vec<String>,
        /// How many more there are.
        more: usize,
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

    /// No client `name` among those that are known.
    pub fn not_registered(name: &str, known: &[String]) -> Error {
        const SHOWN: usize = 10;
        let shown: Vec<_> = known.iter().take(SHOWN).cloned().collect();
        Error::NotRegistered {
            name: quoted(name),
            nearest: nearest(name, known.iter().map(String::as_str)).map(str::to_owned),
            more: known.len() - shown.len(),
            known: shown,
        }
    }

    /// An [`Error::Invalid`] of this text.
    pub fn invalid(text: impl Into<String>) -> Error {
        Error::Invalid(text.into())
    }
}

fn exists(value: &str) -> String {
    match value {
        "" => String::new(),
        value => format!(
            ": {value} exists already (UPDATE changes it; INSERT OR REPLACE and rembed_register() put another in its place)"
        ),
    }
}

fn known_names(nearest: Option<&str>, known: &[String], more: usize) -> String {
    if known.is_empty() {
        return "No client is registered: SELECT rembed_register(name, 'format', …) first".into();
    }
    let meant = nearest.map(|name| format!("Did you mean '{name}'? ")).unwrap_or_default();
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("{meant}Registered are: {}{more}", known.join(", "))
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
    /// The provider's own message or ours, at most [`PROVIDER_MESSAGE_MAX`](crate::base::words::PROVIDER_MESSAGE_MAX) characters of the former.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_client_lists_the_known_ones() {
        let e = Error::not_registered("some", &["a".into(), "b".into()]);
        assert_eq!(e.to_string(), "'some' was not registered with rembed_clients. Registered are: a, b");
        let many: Vec<_> = (0..10_000).map(|i| format!("client-{i}")).collect();
        let e = Error::not_registered("cleint-777", &many).to_string();
        assert!(e.contains(". Did you mean 'client-777'? Registered are: client-0, client-1, "), "{e}");
        assert!(e.ends_with(", client-9, and 9990 more") && e.len() < 300, "{e}");
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
}
