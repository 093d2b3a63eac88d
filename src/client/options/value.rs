//! The value of one option: how it is read, and how it counts.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Key;
use crate::base::error::{Error, Result};
use crate::base::hash::Hasher;
use crate::client::secret::Secret;

/// The longest prefix of a text: it travels with each.
const PREFIX_MAX: usize = 4096;

/// One option's value, and the errors that name it. A value is never repeated in an error: it may be a key.
pub(super) struct At<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a Value,
}

impl<'a> At<'a> {
    fn wants(&self, what: &str) -> Error {
        Error::invalid(format!("option '{}' wants {what}", self.name))
    }

    pub(super) fn text(&self) -> Result<&'a str> {
        match self.value.as_str() {
            Some(text) if !text.trim().is_empty() => Ok(text.trim()),
            _ => Err(self.wants("text")),
        }
    }

    /// Text as it is written: a space at its end counts, and `''` is none.
    pub(super) fn prefix(&self) -> Result<String> {
        match self.value.as_str() {
            Some(text) if text.len() <= PREFIX_MAX => Ok(text.into()),
            _ => Err(self.wants(&format!("text of at most {PREFIX_MAX} bytes"))),
        }
    }

    pub(super) fn key(&self) -> Result<Key> {
        match self.value.as_str() {
            Some("") => Ok(Key::None),
            Some(text) => Ok(Key::Secret(Secret::parse(text)?)),
            None => Err(self.wants("text: the key, env:NAME or file:PATH")),
        }
    }

    /// A number, or text that spells one: SQL callers quote freely.
    fn number(&self) -> Option<f64> {
        match self.value {
            Value::Number(n) => n.as_f64(),
            Value::String(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
            _ => None,
        }
    }

    pub(super) fn whole(&self, least: usize, most: usize) -> Result<usize> {
        match self.number() {
            Some(n) if n.fract() == 0.0 && n >= least as f64 && n <= most as f64 => Ok(n as usize),
            _ => Err(self.wants(&format!("a whole number from {least} to {most}"))),
        }
    }

    pub(super) fn seconds(&self) -> Result<Duration> {
        match self.number() {
            Some(n) if n > 0.0 && n <= 86_400.0 => Ok(Duration::from_secs_f64(n)),
            _ => Err(self.wants("a number of seconds, more than 0 and at most 86400")),
        }
    }

    pub(super) fn truth(&self) -> Result<bool> {
        let word = match self.value {
            Value::Bool(b) => return Ok(*b),
            Value::Number(n) => n.to_string(),
            Value::String(text) => text.trim().to_ascii_lowercase(),
            _ => String::new(),
        };
        match word.as_str() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(self.wants("true or false")),
        }
    }

    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T> {
        let given = self.value.as_str().unwrap_or_default().trim();
        match words.iter().find(|(word, _)| word.eq_ignore_ascii_case(given)) {
            Some((_, meaning)) => Ok(*meaning),
            None => {
                let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                Err(self.wants(&format!("one of: {}", words.join(", "))))
            }
        }
    }

    pub(super) fn object(&self) -> Result<&'a Map<String, Value>> {
        self.value.as_object().ok_or_else(|| self.wants("a JSON object"))
    }

    pub(super) fn headers(&self) -> Result<Vec<(String, Secret)>> {
        let mut headers = Vec::new();
        for (name, value) in self.object()? {
            let Some(text) = value.as_str() else {
                return Err(self.wants("text as the value of each header"));
            };
            if ureq::http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                return Err(self.wants("names that can stand in HTTP"));
            }
            let framing = ["connection", "content-length", "host", "transfer-encoding"];
            if framing.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
                return Err(self.wants("no headers that HTTP itself needs, as Content-Length"));
            }
            headers.push((name.to_ascii_lowercase(), Secret::parse(text)?));
        }
        Ok(headers)
    }
}

/// A value by which clients are told apart. There is no rule for all types: one may hold a secret, which is hashed with
/// care.
pub(super) trait Counted {
    /// Adds the value.
    fn count(&self, hasher: Hasher) -> Hasher;
}

macro_rules! counted_as_shown {
    ($($type:ty),+) => {$(
        impl Counted for $type {
            fn count(&self, hasher: Hasher) -> Hasher {
                hasher.part(format!("{self:?}").as_bytes())
            }
        }
    )+};
}
counted_as_shown!(bool, Option<bool>, Option<u32>, Option<usize>, Option<std::path::PathBuf>);

impl Counted for Map<String, Value> {
    fn count(&self, hasher: Hasher) -> Hasher {
        hasher.part(Value::Object(self.clone()).to_string().as_bytes())
    }
}

impl Counted for Option<Key> {
    fn count(&self, hasher: Hasher) -> Hasher {
        hasher.part(&match self {
            Some(Key::Secret(secret)) => secret.digest(),
            Some(Key::None) => [1; 32],
            None => [0; 32],
        })
    }
}

impl Counted for Vec<(String, Secret)> {
    fn count(&self, hasher: Hasher) -> Hasher {
        let hasher = hasher.part(&(self.len() as u64).to_le_bytes());
        self.iter().fold(hasher, |hasher, (name, value)| hasher.part(name.as_bytes()).part(&value.digest()))
    }
}
