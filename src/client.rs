//! A client: one configured endpoint, immutable once registered.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Uri;

use crate::cache::{Hasher, Key};
use crate::error::{Error, Result};
use crate::options::{self, Cache, Options, Scope};
use crate::plan::Limits;
use crate::provider::{self, Ask, Provider};
use crate::secret::Secret;
use crate::stats::Shared;
use crate::transport::{pace, policy};

/// One configured endpoint.
#[derive(Debug)]
pub struct Client {
    name: String,
    provider: &'static dyn Provider,
    endpoint: Uri,
    model: String,
    options: Options,
    cache_id: Key,
    default_key: Result<Key, String>,
    shared: Arc<Shared>,
}

impl Client {
    /// Makes the client `name` of what a user said of it.
    ///
    /// # Errors
    /// A format that does not exist or none at all, a URL that cannot work or may not be reached, an option
    /// that the format cannot carry out.
    pub fn new(name: &str, options: Options) -> Result<Arc<Client>> {
        if name.is_empty() {
            return Err(Error::invalid("a client needs a name"));
        }
        let Some(format) = options.format.clone() else {
            return Err(Error::invalid(format!("client '{name}' needs a format: one of {}", formats())));
        };
        let Some(provider) = provider::find(&format) else {
            return Err(Error::invalid(format!(
                "client '{name}': unknown format {}. The formats are: {}",
                crate::error::quoted(&format),
                formats()
            )));
        };
        let invalid = |text: String| Error::invalid(format!("client '{name}' ({format}): {text}"));
        let spec = provider.spec();
        let url = options.url.as_deref().unwrap_or(spec.url);
        let endpoint = provider::complete(url, &spec.paths).map_err(invalid)?;
        policy::check_host(&endpoint).map_err(invalid)?;
        let model = options.model.clone().unwrap_or_else(|| name.into());
        let cache_id = cache_id(spec.name, &endpoint, &model, &options);
        let shared = Shared::of(identity(&cache_id, &options));
        let mut client = Client {
            name: name.into(),
            provider: provider.at(endpoint.path()),
            endpoint,
            model,
            options,
            cache_id,
            default_key: Err(String::new()),
            shared,
        };
        client.provider.accepts(&client.ask(None)).map_err(invalid)?;
        client.default_key = client.typed_key(None);
        if let Some(options::Key::Secret(key)) = &client.options.key {
            policy::check_key(&client.endpoint, client.options.allow_http)
                .map_err(|e| invalid(format!("{e} (key: {key})")))?;
        }
        if policy::keys_of_query(&client.endpoint).next().is_some() {
            policy::check_key(&client.endpoint, client.options.allow_http)
                .map_err(|e| invalid(format!("{e} (the url holds it)")))?;
        }
        if let Some((header, _)) = client.options.headers.iter().find(|(n, v)| policy::is_secret(n, v)) {
            policy::check_key(&client.endpoint, client.options.allow_http)
                .map_err(|e| invalid(format!("{e} (header: {header})")))?;
        }
        Ok(Arc::new(client))
    }

    /// The name it is registered by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The wire format's name.
    pub fn format(&self) -> &'static str {
        self.provider.spec().name
    }

    /// The wire format.
    pub fn provider(&self) -> &'static dyn Provider {
        self.provider
    }

    /// Where requests go.
    pub fn endpoint(&self) -> &Uri {
        &self.endpoint
    }

    /// The model's name as the provider spells it.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// What the user said of it.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The URL as given, or the format's own, as it may be shown.
    pub fn url(&self) -> String {
        policy::shown_url(&self.options.url.clone().unwrap_or_else(|| self.endpoint.to_string()))
    }

    /// The key as it may be shown; `None` when the format's environment variable is used.
    pub fn shown_key(&self) -> Option<String> {
        self.options.key.as_ref().map(options::Key::shown)
    }

    /// The JSON of the options that have no column of their own. It holds no key.
    pub fn shown_options(&self) -> String {
        serde_json::Value::Object(self.options.shown.clone()).to_string()
    }

    /// A column of its row in `rembed_clients`, by its place in [`crate::session::Columns::NAMES`].
    pub fn column(&self, column: usize) -> Option<String> {
        match column {
            0 => Some(self.name().to_owned()),
            1 => Some(self.format().to_owned()),
            2 => Some(self.model().to_owned()),
            3 => Some(self.url()),
            4 => self.shown_key(),
            5 => Some(self.shown_options()),
            _ => None,
        }
    }

    /// Who sees it.
    pub fn scope(&self) -> Scope {
        self.options.scope.unwrap_or_default()
    }

    /// Where its embeddings may be kept.
    pub fn cache(&self) -> Cache {
        self.options.cache
    }

    /// What a request asks for, with the input type of a call over the client's own.
    pub fn ask<'a>(&'a self, input_type: Option<&'a str>) -> Ask<'a> {
        let named = self.provider.spec().model_required || self.options.model.is_some();
        Ask {
            model: named.then_some(self.model.as_str()),
            dimensions: self.options.dimensions,
            input_type: input_type.or(self.options.input_type.as_deref()),
            truncate: self.options.truncate,
            body: &self.options.body,
        }
    }

    /// The ceilings of one request.
    pub fn limits(&self) -> Limits {
        let spec = self.provider.spec();
        Limits {
            texts: self.options.batch_size.unwrap_or(spec.batch_size),
            tokens: self.options.batch_tokens.or(spec.batch_tokens),
        }
    }

    /// Requests in flight for one statement.
    pub fn concurrency(&self) -> usize {
        // A server on this machine that takes one text at a time computes one at a time.
        let alone = self.limits().texts == 1 && policy::is_loopback(&self.endpoint);
        self.options.concurrency.unwrap_or(if alone { 1 } else { 8 })
    }

    /// The limits per minute.
    pub fn pacing(&self) -> pace::Limits {
        pace::Limits { requests: self.options.requests_per_minute, tokens: self.options.tokens_per_minute }
    }

    /// Counters and clock, shared with all clients that are configured alike.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What all vectors of this client and input type have in common, hashed: the first part of a cache key.
    ///
    /// # Errors
    /// An input type that the format does not have.
    pub fn cache_key(&self, input_type: Option<&str>) -> Result<Key, String> {
        match input_type {
            None => self.default_key.clone(),
            asked => self.typed_key(asked),
        }
    }

    fn typed_key(&self, input_type: Option<&str>) -> Result<Key, String> {
        let typed = self.provider.input_type(self.ask(input_type).input_type)?;
        let word = typed.map_or("", |(_, word)| word);
        Ok(Hasher::default().part(&self.cache_id).part(word.as_bytes()).finish())
    }

    /// Attempts after the first.
    pub fn retries(&self) -> u32 {
        self.options.retries.unwrap_or(4)
    }

    /// Time for one whole call with its retries.
    pub fn timeout(&self) -> Duration {
        self.options.timeout.unwrap_or(Duration::from_secs(60))
    }

    /// Time for connecting.
    pub fn connect_timeout(&self) -> Duration {
        self.options.connect_timeout.unwrap_or(Duration::from_secs(10))
    }

    /// The key of a request, read now: the option's, or at the format's own server its environment variable.
    ///
    /// # Errors
    /// A key that is configured and cannot be read or may not travel, or none where the provider's own
    /// service needs one.
    pub fn key(&self) -> Result<Option<zeroize::Zeroizing<String>>, String> {
        let may_travel = policy::check_key(&self.endpoint, self.options.allow_http);
        match &self.options.key {
            Some(options::Key::None) => Ok(None),
            Some(options::Key::Secret(key)) => may_travel.and_then(|()| key.read()).map(Some),
            // A key of the user's own is in a header: a second one would only tell more.
            None if self.options.headers.iter().any(|(name, _)| policy::replaces_key(name)) => Ok(None),
            None if !self.is_at_its_origin() => Ok(None),
            None => {
                let is_set = |name: &&&str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
                match self.key_env().iter().find(is_set) {
                    Some(name) => Secret::Env((*name).into()).read().map(Some),
                    None if policy::is_loopback(&self.endpoint) => Ok(None),
                    None => Err(self.key_hint()),
                }
            }
        }
    }

    /// Whether requests go where the format's environment variable may go without being named: to the format's own
    /// https server, or to this machine where that is the format's own.
    fn is_at_its_origin(&self) -> bool {
        if self.key_env().is_empty() {
            return false;
        }
        let Ok(own) = self.provider.spec().url.parse::<Uri>() else {
            return false;
        };
        if policy::is_loopback(&own) {
            return policy::is_loopback(&self.endpoint);
        }
        // By the whole text: what a parser makes of a strange port is not to be relied on.
        let authority = |uri: &Uri| {
            let text = uri.authority().map(|a| a.as_str().to_ascii_lowercase()).unwrap_or_default();
            text.strip_suffix(":443").map_or(text.clone(), str::to_owned)
        };
        let https = |uri: &Uri| uri.scheme_str() == Some("https");
        https(&own) && https(&self.endpoint) && authority(&own) == authority(&self.endpoint)
    }

    fn key_env(&self) -> &'static [&'static str] {
        self.provider.spec().key_env
    }

    /// The error of an input that cannot be embedded.
    pub fn bad_input(&self, why: &str) -> Error {
        Error::invalid(format!("client '{}' ({}): {why}", self.name, self.format()))
    }

    /// What to do when a key is missing.
    pub fn key_hint(&self) -> String {
        match self.key_env() {
            [] => "no key was sent: give the option key ('env:NAME', 'file:PATH' or the key itself)".into(),
            [name, ..] if self.is_at_its_origin() => format!(
                "no key is configured: set the environment variable {name} in this process, or give the \
                 option key ('env:NAME', 'file:PATH' or the key itself)"
            ),
            [name, ..] => format!(
                "no key was sent, as {name} goes by itself to the format's own server alone: name it, \
                 `key` = `env:{name}`"
            ),
        }
    }
}

/// Everything that can change a vector but the input type and the text. Headers count, since a server may choose
/// by them; the key does not.
fn cache_id(format: &str, endpoint: &Uri, model: &str, options: &Options) -> Key {
    let body = Value::Object(options.body.clone()).to_string();
    let asked = format!("{:?} {:?} {}", options.dimensions, options.truncate, options.normalize);
    let mut hasher = Hasher::default()
        .part(format.as_bytes())
        .part(endpoint.to_string().as_bytes())
        .part(model.as_bytes())
        .part(asked.as_bytes())
        .part(body.as_bytes());
    for (name, value) in &options.headers {
        hasher = hasher.part(name.as_bytes()).part(&value.digest());
    }
    hasher.finish()
}

/// Who sends: what a provider counts requests by, and a client's own limits.
fn identity(cache_id: &Key, options: &Options) -> Key {
    let key = match &options.key {
        Some(options::Key::Secret(secret)) => secret.digest(),
        Some(options::Key::None) => [1; 32],
        None => [0; 32],
    };
    let limits = format!("{:?} {:?}", options.requests_per_minute, options.tokens_per_minute);
    Hasher::default().part(cache_id).part(&key).part(limits.as_bytes()).finish()
}

fn formats() -> String {
    provider::all().map(|p| p.spec().name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(json: &str) -> Result<Arc<Client>> {
        Client::new("c", Options::parse(json)?)
    }

    #[test]
    fn defaults_come_from_the_format_and_the_name() {
        let c = client("openai").unwrap();
        assert_eq!((c.model(), c.format()), ("c", "openai"));
        assert_eq!(c.endpoint(), "https://api.openai.com/v1/embeddings");
        assert_eq!(c.limits().texts, 256);
    }

    #[test]
    fn what_cannot_work_is_refused_when_registered() {
        for (json, why) in [
            (r#"{"model":"m"}"#, "needs a format: one of openai, nomic"),
            (r#"{"format":"opnai"}"#, "unknown format 'opnai'"),
            (r#"{"format":"openai","url":"h"}"#, "http://"),
            (r#"{"format":"openai","truncate":true}"#, "no option 'truncate'"),
            (r#"{"format":"ollama","input_type":"x"}"#, "no input types"),
            (r#"{"format":"openai","url":"http://h","key":"sk-1"}"#, "allow_http"),
        ] {
            let e = client(json).unwrap_err().to_string();
            assert!(e.contains(why) && !e.contains("sk-1"), "{e}");
        }
        assert!(client(r#"{"format":"openai","url":"http://h","key":"sk-1","allow_http":true}"#).is_ok());
    }

    #[test]
    fn debug_shows_no_key() {
        let c =
            client(r#"{"format":"openai","key":"sk-secret","headers":{"x-api-key":"sk-other"}}"#).unwrap();
        let shown = format!("{c:?} {:?} {}", c.shown_key(), c.shown_options());
        assert!(!shown.contains("sk-"), "{shown}");
    }

    #[test]
    fn a_format_has_one_origin() {
        for (format, url, own) in [
            ("openai", "https://api.openai.com", true),
            ("openai", "https://API.OpenAI.com:443/v1", true),
            ("openai", "https://api.openai.com:8443", false),
            ("openai", "https://api.openai.com:99999", false),
            ("openai", "http://api.openai.com", false),
            ("openai", "https://api.openai.com.evil", false),
            ("openai", "https://evil/api.openai.com", false),
            ("openai", "https://api.cohere.com", false),
            ("openai", "http://127.0.0.1:11434", false),
            ("cohere", "https://api.cohere.com/v1/embed", true),
            ("cohere", "https://api.cohere.com/v2/embed", true),
            ("nomic", "https://api-atlas.nomic.ai", true),
            ("nomic", "https://api.openai.com", false),
            ("deepinfra", "https://api.deepinfra.com/v1/openai", true),
            ("ollama", "http://localhost:11434", true),
            ("ollama", "http://127.0.0.1:8000/v1", true),
            ("ollama", "http://[::1]:8000", true),
            ("ollama", "http://localhost.evil:11434", false),
            ("ollama", "http://192.0.2.1:11434", false),
            ("ollama", "https://ollama.example", false),
            ("llamafile", "http://localhost:8080", false),
        ] {
            let options = serde_json::json!({"format": format, "url": url}).to_string();
            // A port that is none may be refused instead.
            let Ok(client) = client(&options) else { continue };
            assert_eq!(client.is_at_its_origin(), own, "{format} {url}");
        }
        let presets = provider::all().filter(|p| !p.spec().key_env.is_empty());
        for format in presets.map(|p| p.spec().name) {
            assert!(client(format).unwrap().is_at_its_origin(), "{format}");
        }
    }

    #[test]
    fn an_empty_key_means_none() {
        let c = client(r#"{"format":"openai","key":""}"#).unwrap();
        assert_eq!(c.key(), Ok(None));
        let c = client(r#"{"format":"openai","url":"http://127.0.0.1:1","key":"k"}"#).unwrap();
        assert_eq!(c.key().unwrap().unwrap().as_str(), "k");
    }
}
