//! The options of a client: one table (`table.rs`), and one reader for JSON, name/value pairs and the shorthand alike.

pub(super) mod table;
mod value;

use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use crate::base::error::{Error, Result};
use crate::base::words::{did_you_mean, quoted, unmarked};
use crate::client::policy;
use crate::client::secret::Secret;
pub(crate) use table::local_options;
pub use table::{OPTIONS, Options};
use value::At;

/// Where embeddings of a client may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cache {
    /// In this process.
    #[default]
    Memory,
    /// Also on disk.
    Disk,
    /// Nowhere.
    Off,
}

/// Who sees a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// The connection that registered it.
    #[default]
    Connection,
    /// Every connection of the process.
    Process,
}

/// The option `key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// `''`: send none, even if the format's environment variable is set.
    None,
    /// This one.
    Secret(Secret),
}

impl Key {
    /// As the column `key` shows it.
    pub fn shown(&self) -> String {
        match self {
            Key::None => String::new(),
            Key::Secret(secret) => secret.to_string(),
        }
    }
}

impl Options {
    /// Reads the text of the `options` column: a JSON object, or a format's name (shorthand).
    ///
    /// # Errors
    /// Text that is neither, an unknown option (the text lists the known ones), a value of the wrong type or out of
    /// range.
    pub fn parse(text: &str) -> Result<Options> {
        Options::from_map(document(text)?)
    }

    /// Reads a document of options. Its strings are wiped, since one of them may be a key.
    ///
    /// # Errors
    /// An unknown option (the text lists the known ones), or a value of the wrong type or out of range.
    pub(crate) fn from_map(mut map: Map<String, Value>) -> Result<Options> {
        let read = read(&map);
        map.values_mut().for_each(wipe);
        read
    }

    /// Takes the option `scope` over from `before`, unless it is given here.
    pub(crate) fn keep_scope(&mut self, before: &Options) {
        if self.scope.is_none() {
            self.scope = before.scope;
            self.shown.extend(before.shown.get_key_value("scope").map(|(name, v)| (name.clone(), v.clone())));
        }
    }

    /// Forgets a prefix that has just this text: it is a model's own, as it was shown, and was written back.
    pub(crate) fn forget_prefix(&mut self, name: &str, text: &str) {
        let prefix = match name {
            "query_prefix" => &mut self.query_prefix,
            _ => &mut self.document_prefix,
        };
        if prefix.as_deref() == Some(text) {
            *prefix = None;
            self.shown.shift_remove(name);
        }
    }

    /// Drops the headers that `unwanted` picks.
    pub(crate) fn drop_headers(&mut self, unwanted: impl Fn(&str, &Secret) -> bool) {
        self.headers.retain(|(name, value)| !unwanted(name, value));
        self.show_headers();
    }

    fn show_headers(&mut self) {
        let shown = self.headers.iter().map(|(name, value)| match value {
            Secret::Literal(text) if !policy::authenticates(name) => (name.clone(), text.as_str().into()),
            value => (name.clone(), value.to_string().into()),
        });
        let shown = Value::Object(shown.collect());
        match self.headers.is_empty() {
            true => drop(self.shown.shift_remove("headers")),
            false => drop(self.shown.insert("headers".into(), shown)),
        }
    }
}

/// The JSON object of the text of an `options` column.
///
/// # Errors
/// Text that is neither an object nor a word.
pub fn document(text: &str) -> Result<Map<String, Value>> {
    let text = unmarked(text).trim();
    if text.starts_with('{') {
        return match serde_json::from_str(text) {
            Ok(map) => Ok(map),
            Err(e) => Err(Error::invalid(format!(
                "options are not a JSON object ({e}): write them as '{{\"format\":\"openai\"}}', \
                 or use rembed_client_options('format', 'openai')"
            ))),
        };
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Err(Error::invalid("options must be a JSON object or the name of a format, as in 'openai'"));
    }
    Ok(Map::from_iter([("format".into(), Value::String(text.to_ascii_lowercase()))]))
}

/// Makes a document of name/value pairs.
///
/// # Errors
/// An unknown or repeated name, or a value the option cannot have.
pub fn from_pairs(pairs: impl IntoIterator<Item = (String, Value)>) -> Result<Map<String, Value>> {
    let mut map = Map::new();
    for (name, value) in pairs {
        if map.contains_key(&name) {
            return Err(Error::invalid(format!("option {} is given twice", quoted(&name))));
        }
        let value = match value {
            // SQL has no objects: these two come as JSON text.
            Value::String(text) if name == "headers" || name == "body" => {
                let text = Zeroizing::new(text);
                serde_json::from_str(unmarked(&text))
                    .map_err(|e| Error::invalid(format!("option '{name}' is not a JSON object: {e}")))?
            }
            value => value,
        };
        map.insert(name, value);
    }
    match read(&map) {
        Ok(_) => Ok(map),
        Err(e) => {
            map.values_mut().for_each(wipe);
            Err(e)
        }
    }
}

/// Wipes every string in `value`.
pub fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        _ => {}
    }
}

fn read(map: &Map<String, Value>) -> Result<Options> {
    let mut options = Options::default();
    for (name, value) in map {
        // null is "not given" in every form.
        let known = match value.is_null() {
            true => OPTIONS.contains(&name.as_str()),
            false => options.set(&At { name, value })?,
        };
        match name.as_str() {
            name if !known => return Err(unknown(name)),
            "format" | "model" | "url" | "key" => {}
            "headers" => options.show_headers(),
            _ if value.is_null() => {}
            _ => drop(options.shown.insert(name.clone(), value.clone())),
        }
    }
    Ok(options)
}

fn unknown(name: &str) -> Error {
    let meant = did_you_mean(name, OPTIONS.iter().copied());
    Error::invalid(format!("unknown option {}.{meant} The options are: {}", quoted(name), OPTIONS.join(", ")))
}

#[cfg(test)]
mod tests;
