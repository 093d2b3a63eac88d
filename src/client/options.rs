//! The options of a client: one list of names and one reader, for JSON, name/value pairs and the shorthand alike.

use std::time::Duration;

use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use crate::base::error::{Error, Result};
use crate::base::words::quoted;
use crate::client::policy;
use crate::client::secret::Secret;

/// Every option there is, in the order of the documentation; the README says what each means.
pub const OPTIONS: &[&str] = &[
    "format",
    "model",
    "url",
    "key",
    "dimensions",
    "input_type",
    "normalize",
    "truncate",
    "query_prefix",
    "document_prefix",
    "headers",
    "body",
    "timeout",
    "connect_timeout",
    "retries",
    "batch_size",
    "batch_tokens",
    "concurrency",
    "requests_per_minute",
    "tokens_per_minute",
    "cache",
    "scope",
    "allow_http",
];

/// The longest prefix of a text: it travels with each.
const PREFIX_MAX: usize = 4096;

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

/// What a user said of a client; `None` is the default.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)] // each field is the option of its name, which the README explains
pub struct Options {
    pub format: Option<String>,
    pub model: Option<String>,
    pub url: Option<String>,
    pub key: Option<Key>,
    pub dimensions: Option<usize>,
    pub input_type: Option<String>,
    pub normalize: bool,
    pub truncate: Option<bool>,
    pub query_prefix: Option<String>,
    pub document_prefix: Option<String>,
    pub headers: Vec<(String, Secret)>,
    pub body: Map<String, Value>,
    pub timeout: Option<Duration>,
    pub connect_timeout: Option<Duration>,
    pub retries: Option<u32>,
    pub batch_size: Option<usize>,
    pub batch_tokens: Option<usize>,
    pub concurrency: Option<usize>,
    pub requests_per_minute: Option<u32>,
    pub tokens_per_minute: Option<u32>,
    pub cache: Cache,
    pub scope: Option<Scope>,
    pub allow_http: bool,
    /// The document as given, less what has a column of its own, and with headers that authenticate shown as keys are.
    pub shown: Map<String, Value>,
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
    /// Text that is neither, or what [`Options::from_map`] refuses.
    pub fn parse(text: &str) -> Result<Options> {
        Options::from_map(document(text)?)
    }

    /// Reads a document of options. Its strings are wiped, since one of them may be a key.
    ///
    /// # Errors
    /// An unknown option (the text lists the known ones), or a value of the wrong type or out of range.
    pub fn from_map(mut map: Map<String, Value>) -> Result<Options> {
        let read = read(&map);
        map.values_mut().for_each(wipe);
        read
    }

    /// Keeps who sees the client, unless given here.
    pub fn keep_scope(&mut self, before: &Options) {
        if self.scope.is_none() {
            self.scope = before.scope;
            self.shown.extend(before.shown.get_key_value("scope").map(|(name, v)| (name.clone(), v.clone())));
        }
    }

    /// Drops the headers that `unwanted` picks.
    pub fn drop_headers(&mut self, unwanted: impl Fn(&str, &Secret) -> bool) {
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
    let text = text.trim();
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
                serde_json::from_str(&text)
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
        let at = At { name, value };
        // null is "not given" in every form.
        if value.is_null() {
            at.known()?;
            continue;
        }
        match name.as_str() {
            "format" => options.format = Some(at.text()?.to_ascii_lowercase()),
            "model" => options.model = Some(at.text()?.into()),
            "url" => options.url = Some(at.text()?.into()),
            "key" => options.key = Some(at.key()?),
            "dimensions" => options.dimensions = Some(at.whole(1, 1 << 20)?),
            "input_type" => options.input_type = Some(at.text()?.into()),
            "normalize" => options.normalize = at.truth()?,
            "truncate" => options.truncate = Some(at.truth()?),
            "query_prefix" => options.query_prefix = Some(at.prefix()?),
            "document_prefix" => options.document_prefix = Some(at.prefix()?),
            "headers" => options.headers = at.headers()?,
            "body" => options.body = at.object()?.clone(),
            "timeout" => options.timeout = Some(at.seconds()?),
            "connect_timeout" => options.connect_timeout = Some(at.seconds()?),
            "retries" => options.retries = Some(at.whole(0, 100)? as u32),
            "batch_size" => options.batch_size = Some(at.whole(1, 1 << 20)?),
            "batch_tokens" => options.batch_tokens = Some(at.whole(1, 1 << 30)?),
            "concurrency" => options.concurrency = Some(at.whole(1, 256)?),
            "requests_per_minute" => {
                options.requests_per_minute = Some(at.whole(1, u32::MAX as usize)? as u32);
            }
            "tokens_per_minute" => {
                options.tokens_per_minute = Some(at.whole(1, u32::MAX as usize)? as u32);
            }
            "cache" => {
                options.cache =
                    at.word(&[("memory", Cache::Memory), ("disk", Cache::Disk), ("off", Cache::Off)])?;
            }
            "scope" => {
                options.scope =
                    Some(at.word(&[("connection", Scope::Connection), ("process", Scope::Process)])?);
            }
            "allow_http" => options.allow_http = at.truth()?,
            _ => return Err(unknown(name)),
        }
        match name.as_str() {
            "format" | "model" | "url" | "key" => {}
            "headers" => options.show_headers(),
            _ => {
                options.shown.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(options)
}

fn unknown(name: &str) -> Error {
    Error::invalid(format!("unknown option {}. The options are: {}", quoted(name), OPTIONS.join(", ")))
}

/// One option's value, and the errors that name it. A value is never repeated in an error: it may be a key.
struct At<'a> {
    name: &'a str,
    value: &'a Value,
}

impl<'a> At<'a> {
    fn known(&self) -> Result<()> {
        match OPTIONS.contains(&self.name) {
            true => Ok(()),
            false => Err(unknown(self.name)),
        }
    }

    fn wants(&self, what: &str) -> Error {
        Error::invalid(format!("option '{}' wants {what}", self.name))
    }

    fn text(&self) -> Result<&'a str> {
        match self.value.as_str() {
            Some(text) if !text.trim().is_empty() => Ok(text.trim()),
            _ => Err(self.wants("text")),
        }
    }

    /// Text as it is written: a space at its end counts, and `''` is none.
    fn prefix(&self) -> Result<String> {
        match self.value.as_str() {
            Some(text) if text.len() <= PREFIX_MAX => Ok(text.into()),
            _ => Err(self.wants(&format!("text of at most {PREFIX_MAX} bytes"))),
        }
    }

    fn key(&self) -> Result<Key> {
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

    fn whole(&self, least: usize, most: usize) -> Result<usize> {
        match self.number() {
            Some(n) if n.fract() == 0.0 && n >= least as f64 && n <= most as f64 => Ok(n as usize),
            _ => Err(self.wants(&format!("a whole number from {least} to {most}"))),
        }
    }

    fn seconds(&self) -> Result<Duration> {
        match self.number() {
            Some(n) if n > 0.0 && n <= 86_400.0 => Ok(Duration::from_secs_f64(n)),
            _ => Err(self.wants("a number of seconds, more than 0 and at most 86400")),
        }
    }

    fn truth(&self) -> Result<bool> {
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

    fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T> {
        let given = self.value.as_str().unwrap_or_default().trim();
        match words.iter().find(|(word, _)| word.eq_ignore_ascii_case(given)) {
            Some((_, meaning)) => Ok(*meaning),
            None => {
                let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                Err(self.wants(&format!("one of: {}", words.join(", "))))
            }
        }
    }

    fn object(&self) -> Result<&'a Map<String, Value>> {
        self.value.as_object().ok_or_else(|| self.wants("a JSON object"))
    }

    fn headers(&self) -> Result<Vec<(String, Secret)>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(value: Value) -> Result<Options> {
        Options::from_map(value.as_object().unwrap().clone())
    }

    /// A value that each option accepts: a documented option that is refused, or one without an example, fails.
    #[test]
    fn every_documented_option_is_accepted_in_json_and_in_pairs() {
        let examples = json!({
            "format": "openai", "model": "m", "url": "http://localhost", "key": "env:K", "dimensions": 256,
            "input_type": "query", "normalize": true, "truncate": false, "query_prefix": "q: ",
            "document_prefix": "d: ", "headers": {"X-A": "1"},
            "body": {"user": "u"}, "timeout": 1.5, "connect_timeout": 2, "retries": 0, "batch_size": 10,
            "batch_tokens": 1000, "concurrency": 4, "requests_per_minute": 60, "tokens_per_minute": 1000,
            "cache": "off", "scope": "process", "allow_http": 1
        });
        for option in OPTIONS {
            let value = examples.get(*option).expect(option).clone();
            of(json!({*option: value})).expect(option);
            let sql = match value {
                Value::Object(o) => Value::String(Value::Object(o).to_string()),
                Value::Bool(b) => json!(i64::from(b)),
                other => other,
            };
            from_pairs([((*option).to_owned(), sql)]).expect(option);
        }
        assert_eq!(examples.as_object().unwrap().len(), OPTIONS.len());
    }

    #[test]
    fn an_unknown_option_names_itself_and_the_known_ones() {
        let e = of(json!({"modle": "m"})).unwrap_err().to_string();
        assert!(e.contains("'modle'") && e.contains("model, url, key"), "{e}");
        assert!(of(json!({"modle": null})).is_err());
    }

    #[test]
    fn the_shorthand_is_a_format() {
        assert_eq!(Options::parse(" OpenAI ").unwrap().format.as_deref(), Some("openai"));
        for bad in ["", "{", "[1]", "open ai", "{\"a\":"] {
            assert!(Options::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_and_truths_may_be_quoted() {
        let o = of(json!({"dimensions": "64", "normalize": "TRUE", "timeout": "0.5"})).unwrap();
        assert_eq!((o.dimensions, o.normalize), (Some(64), true));
        assert_eq!(o.timeout, Some(Duration::from_millis(500)));
    }

    #[test]
    fn wrong_values_say_what_is_wanted() {
        for (bad, wants) in [
            (json!({"dimensions": 0}), "from 1"),
            (json!({"dimensions": 1.5}), "whole number"),
            (json!({"timeout": -1}), "seconds"),
            (json!({"timeout": "inf"}), "seconds"),
            (json!({"cache": "ram"}), "memory, disk, off"),
            (json!({"body": []}), "JSON object"),
            (json!({"headers": {"a": 1}}), "text"),
            (json!({"headers": {"a b": "1"}}), "HTTP"),
            (json!({"headers": {"Content-Length": "1"}}), "Content-Length"),
            (json!({"key": 5}), "env:NAME"),
            (json!({"normalize": 2}), "true or false"),
            (json!({"model": ""}), "text"),
        ] {
            let e = of(bad.clone()).unwrap_err().to_string();
            assert!(e.contains(wants), "{bad}: {e}");
        }
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let o = of(json!({
            "key": "sk-1", "headers": {"api-key": "sk-2", "x": "env:Y", "x-title": "t"}, "dimensions": 4, "model": "m"
        }))
        .unwrap();
        let shown = Value::Object(o.shown.clone()).to_string();
        assert_eq!(shown, r#"{"headers":{"api-key":"***","x":"env:Y","x-title":"t"},"dimensions":4}"#);
        assert!(!format!("{o:?}").contains("sk-"), "{o:?}");
    }

    #[test]
    fn a_repeated_pair_is_refused() {
        let pairs = ["model", "model"].map(|n| (n.to_owned(), json!("m")));
        assert!(from_pairs(pairs).unwrap_err().to_string().contains("twice"));
    }
}
