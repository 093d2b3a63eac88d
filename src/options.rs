//! The options of a client: one table of names, types and help, for JSON, name/value pairs and the shorthand alike.

use std::time::Duration;

use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};
use crate::secret::Secret;

/// A row of the option table.
#[derive(Debug)]
pub struct OptionSpec {
    /// The name, the same in every form.
    pub name: &'static str,
    /// What it means and its default, in a line.
    pub help: &'static str,
}

macro_rules! options {
    ($($name:literal: $help:literal,)*) => {
        /// Every option there is, in the order of the documentation.
        pub const OPTIONS: &[OptionSpec] = &[$(OptionSpec { name: $name, help: $help }),*];
    };
}

options! {
    "format": "wire format; required",
    "model": "model name as the provider spells it; the client's name",
    "url": "endpoint or base URL; the format's own",
    "key": "literal, env:NAME or file:PATH, '' for none; the format's environment variable",
    "dimensions": "asked of the provider and checked in the answer; the model's",
    "input_type": "query, document, or the provider's own word; document for formats that need one",
    "normalize": "scale every vector to length 1; false",
    "truncate": "ask the provider to cut over-long text; the provider's",
    "headers": "JSON object of extra request headers, values literal, env:NAME or file:PATH; none",
    "body": "JSON object of fields merged into the request body; none",
    "timeout": "seconds of one whole call with its retries; 60",
    "connect_timeout": "seconds of connecting; 10",
    "retries": "attempts after the first; 4",
    "batch_size": "texts in one request at most; the format's",
    "batch_tokens": "estimated tokens in one request at most; the format's",
    "concurrency": "requests in flight for one statement; 8, or 1 for formats with batch 1 on localhost",
    "requests_per_minute": "pacing; none",
    "tokens_per_minute": "pacing; none",
    "cache": "memory, disk or off; memory",
    "scope": "connection, or process (seen by every connection of the process); connection",
    "allow_http": "permit sending a key over plain http to a host that is not loopback; false",
}

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

/// What a user said of a client; `None` is the default of [`OPTIONS`].
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)] // each field is the option of its name, which OPTIONS explains
pub struct Options {
    pub format: Option<String>,
    pub model: Option<String>,
    pub url: Option<String>,
    pub key: Option<Key>,
    pub dimensions: Option<usize>,
    pub input_type: Option<String>,
    pub normalize: bool,
    pub truncate: Option<bool>,
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
    pub scope: Scope,
    pub allow_http: bool,
    /// The document as given, less what has a column of its own and with header values shown as secrets are.
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

    /// Keeps of `before` what has a column of its own and is not given here.
    pub fn keep(&mut self, before: Options) {
        let Options { format, model, url, key, .. } = before;
        self.format = self.format.take().or(format);
        self.model = self.model.take().or(model);
        self.url = self.url.take().or(url);
        self.key = self.key.take().or(key);
    }

    /// Drops the headers that `unwanted` picks.
    pub fn drop_headers(&mut self, unwanted: impl Fn(&str, &Secret) -> bool) {
        self.headers.retain(|(name, value)| !unwanted(name, value));
        self.show_headers();
    }

    fn show_headers(&mut self) {
        let shown = self.headers.iter().map(|(name, value)| (name.clone(), value.to_string().into()));
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
            return Err(Error::invalid(format!("option '{name}' is given twice")));
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
    read(&map)?;
    Ok(map)
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
                options.scope = at.word(&[("connection", Scope::Connection), ("process", Scope::Process)])?;
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
    let names: Vec<_> = OPTIONS.iter().map(|o| o.name).collect();
    Error::invalid(format!(
        "unknown option '{}'. The options are: {}",
        crate::error::bounded(name, 60),
        names.join(", ")
    ))
}

/// One option's value, and the errors that name it. A value is never repeated in an error: it may be a key.
struct At<'a> {
    name: &'a str,
    value: &'a Value,
}

impl<'a> At<'a> {
    fn known(&self) -> Result<()> {
        match OPTIONS.iter().any(|o| o.name == self.name) {
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
            "input_type": "query", "normalize": true, "truncate": false, "headers": {"X-A": "1"},
            "body": {"user": "u"}, "timeout": 1.5, "connect_timeout": 2, "retries": 0, "batch_size": 10,
            "batch_tokens": 1000, "concurrency": 4, "requests_per_minute": 60, "tokens_per_minute": 1000,
            "cache": "off", "scope": "process", "allow_http": 1
        });
        for option in OPTIONS {
            let value = examples.get(option.name).expect(option.name).clone();
            of(json!({option.name: value})).expect(option.name);
            let sql = match value {
                Value::Object(o) => Value::String(Value::Object(o).to_string()),
                Value::Bool(b) => json!(i64::from(b)),
                other => other,
            };
            from_pairs([(option.name.to_owned(), sql)]).expect(option.name);
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
            "key": "sk-1", "headers": {"api-key": "sk-2", "x": "env:Y"}, "dimensions": 4, "model": "m"
        }))
        .unwrap();
        let shown = Value::Object(o.shown.clone()).to_string();
        assert_eq!(shown, r#"{"headers":{"api-key":"***","x":"env:Y"},"dimensions":4}"#);
        assert!(!format!("{o:?}").contains("sk-"), "{o:?}");
    }

    #[test]
    fn a_repeated_pair_is_refused() {
        let pairs = ["model", "model"].map(|n| (n.to_owned(), json!("m")));
        assert!(from_pairs(pairs).unwrap_err().to_string().contains("twice"));
    }
}
