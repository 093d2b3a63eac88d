//! Keys: where one comes from, and the promise that it is shown nowhere.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::base::error::{Error, Result};
use crate::base::hash::{Digest, hash_secrets};
use crate::base::words::HIDDEN;

/// The largest file that a key is read from.
const FILE_MAX: usize = 64 << 10;

/// The longest key. A key stands in a header, and one buffer must hold all headers of a request. Servers take less.
const KEY_MAX: usize = 16 << 10;

/// A key, or the place to read it from when a request is made.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The key itself, wiped from memory when the client goes.
    Literal(Zeroizing<String>),
    /// `env:NAME`: an environment variable of the host process.
    Env(String),
    /// `file:PATH`: a file whose content, less white space at its ends, is the key.
    File(PathBuf),
}

impl Secret {
    /// Reads `env:NAME`, `file:PATH` or a literal.
    ///
    /// # Errors
    /// A name or path that is missing; the text `***`, which is how a literal key is shown.
    pub fn parse(text: &str) -> Result<Secret> {
        if text == HIDDEN {
            return Err(Error::invalid(format!(
                "'{HIDDEN}' is how a literal key is shown, not a key: give the key itself, env:NAME or file:PATH"
            )));
        }
        if let Some(name) = text.strip_prefix("env:") {
            return match name.trim() {
                "" => Err(Error::invalid("env: needs the name of a variable, as in env:OPENAI_API_KEY")),
                name => Ok(Secret::Env(name.into())),
            };
        }
        if let Some(path) = text.strip_prefix("file:") {
            return match path {
                "" => Err(Error::invalid("file: needs a path, as in file:/run/secrets/openai")),
                path => Ok(Secret::File(path.into())),
            };
        }
        Ok(Secret::Literal(Zeroizing::new(text.into())))
    }

    /// Whether this is the key itself, and not the place to read it from.
    pub fn is_literal(&self) -> bool {
        matches!(self, Secret::Literal(_))
    }

    /// A hash that differs from secret to secret, and from which the secret cannot be found.
    pub fn digest(&self) -> Digest {
        let (kind, text) = match self {
            Secret::Literal(key) => ("literal", Cow::Borrowed(key.as_str())),
            Secret::Env(name) => ("env", Cow::Borrowed(name.as_str())),
            Secret::File(path) => ("file", path.to_string_lossy()),
        };
        hash_secrets([kind.as_bytes(), text.as_bytes()])
    }

    /// Reads the key now.
    ///
    /// # Errors
    /// The text names the variable or file, never its content.
    pub fn read(&self) -> Result<Zeroizing<String>, String> {
        let key = match self {
            Secret::Literal(key) => key.clone(),
            Secret::Env(name) => match std::env::var(name) {
                Ok(key) => Zeroizing::new(key),
                Err(_) => {
                    return Err(format!(
                        "the environment variable {name}, which holds the key, is not set in this process"
                    ));
                }
            },
            Secret::File(path) => {
                let wrong = |why: &str| format!("the key file {} cannot be read: {why}", path.display());
                let content = crate::base::file::read(path, FILE_MAX).map_err(|why| wrong(&why))?;
                let text = std::str::from_utf8(&content).map_err(|_| wrong("it is not text"))?;
                Zeroizing::new(text.trim().to_owned())
            }
        };
        if key.is_empty() {
            return Err(format!("the key ({self}) is empty"));
        }
        if key.len() > KEY_MAX {
            return Err(format!("the key ({self}) is longer than {} KiB", KEY_MAX >> 10));
        }
        if !key.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Err(format!("the key ({self}) has characters that cannot stand in an HTTP header"));
        }
        Ok(key)
    }
}

/// References as written, a literal as [`HIDDEN`].
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Literal(_) => f.write_str(HIDDEN),
            Secret::Env(name) => write!(f, "env:{name}"),
            Secret::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_hidden_and_a_reference_is_shown() {
        let literal = Secret::parse("sk-123").unwrap();
        assert_eq!(literal.to_string(), "***");
        assert_eq!(format!("{literal:?}"), "Secret(***)");
        assert_eq!(*literal.read().unwrap(), "sk-123");
        for shown in ["env:X_KEY", "file:/run/key"] {
            assert_eq!(Secret::parse(shown).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_shown_for_a_literal_is_no_key() {
        assert!(Secret::parse("***").is_err());
        assert!(Secret::parse("env:").is_err());
        assert!(Secret::parse("file:").is_err());
    }

    #[test]
    fn a_missing_variable_is_named() {
        let e = Secret::parse("env:REMBED_NO_SUCH_VARIABLE").unwrap().read().unwrap_err();
        assert!(e.contains("REMBED_NO_SUCH_VARIABLE"), "{e}");
    }

    #[test]
    fn a_key_file_is_read_at_call_time_and_trimmed() {
        let path = std::env::temp_dir().join(format!("rembed-key-{}", std::process::id()));
        let key = Secret::parse(&format!("file:{}", path.display())).unwrap();
        assert!(key.read().unwrap_err().contains("cannot be read"));
        std::fs::write(&path, "sk-file\n").unwrap();
        assert_eq!(*key.read().unwrap(), "sk-file");
        std::fs::write(&path, "\u{feff}sk-marked\r\n").unwrap();
        assert_eq!(*key.read().unwrap(), "sk-marked");
        std::fs::write(&path, "\n").unwrap();
        assert!(key.read().unwrap_err().contains("is empty"));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_key_with_a_line_break_is_refused_without_showing_it() {
        let e = Secret::parse("sk-a\nb").unwrap().read().unwrap_err();
        assert!(!e.contains("sk-a"), "{e}");
    }

    #[test]
    fn a_key_that_no_header_holds_is_refused_as_such() {
        let read = |length| Secret::parse(&"k".repeat(length)).unwrap().read();
        assert!(read(KEY_MAX).is_ok());
        assert_eq!(read(KEY_MAX + 1).unwrap_err(), "the key (***) is longer than 16 KiB");
    }
}
