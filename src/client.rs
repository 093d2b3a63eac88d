//! A client: one configured endpoint, immutable once registered.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Uri;

use crate::cache::{Hasher, Key};
use crate::error::{Error, Result};
use crate::local;
use crate::options::{self, Cache, Options, Scope};
use crate::plan::Limits;
use crate::provider::{self, Ask, Provider};
use crate::secret::Secret;
use crate::stats::Shared;
use crate::transport::{Headers, Interrupt, pace, policy};

/// One configured endpoint.
#[derive(Debug, Clone)]
pub struct Client {
    name: String,
    provider: &'static dyn Provider,
    endpoint: Uri,
    local: Option<local::Model>,
    model: String,
    options: Options,
    identity: Key,
    default_request: Result<Key, String>,
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
            if format == "local" {
                return Err(Error::invalid(format!(
                    "client '{name}': this library was built without format 'local' (Cargo feature local)"
                )));
            }
            return Err(Error::invalid(format!(
                "client '{name}': unknown format {}. The formats are: {}",
                crate::error::quoted(&format),
                formats()
            )));
        };
        let invalid = |text: String| Error::invalid(format!("client '{name}' ({format}): {text}"));
        let spec = provider.spec();
        let local = match spec.name {
            "local" => Some(local::Model::open(&options).map_err(invalid)?),
            _ => None,
        };
        let (endpoint, model) = match &local {
            Some(local) => (Uri::default(), local.path()),
            None => {
                let url = options.url.as_deref().unwrap_or(spec.url);
                let endpoint = provider::complete(url, &spec.paths).map_err(invalid)?;
                policy::check_host(&endpoint).map_err(invalid)?;
                (endpoint, options.model.clone().unwrap_or_else(|| name.into()))
            }
        };
        let identity = identity(spec.name, &endpoint, &model, &options);
        let shared = Shared::of(identity);
        let mut client = Client {
            name: name.into(),
            provider: provider.at(endpoint.path()),
            endpoint,
            local,
            model,
            options,
            identity,
            default_request: Err(String::new()),
            shared,
        };
        client.provider.accepts(&client.ask(None)).map_err(invalid)?;
        client.default_request = client.request_id(None);
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

    /// The same for a child process, which counts and waits on its own.
    pub fn renewed(&self) -> Arc<Client> {
        Arc::new(Client { shared: Shared::of(self.identity), ..self.clone() })
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

    /// The model inside the process, where that is what it is.
    pub fn local(&self) -> Option<&local::Model> {
        self.local.as_ref()
    }

    /// The model's name as the provider spells it, or the folder of a local one.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// What the user said of it.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The URL as given, or the format's own, as it may be shown; `None` where nothing is sent.
    pub fn url(&self) -> Option<String> {
        match self.local {
            Some(_) => None,
            None => {
                let url = self.options.url.clone().unwrap_or_else(|| self.endpoint.to_string());
                Some(policy::shown_url(&url))
            }
        }
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
            3 => self.url(),
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
        // Where a local model lies changes no vector: what its files hold is in the cache key instead.
        let named =
            self.local.is_none() && (self.provider.spec().model_required || self.options.model.is_some());
        Ask {
            model: named.then_some(self.model.as_str()),
            dimensions: self.options.dimensions,
            input_type: input_type.or(self.options.input_type.as_deref()),
            truncate: self.options.truncate,
            body: &self.options.body,
        }
    }

    /// The text that goes before every text of a call with this input type. A text that names no type is a document.
    ///
    /// # Errors
    /// A type that the model inside the process does not have.
    pub fn prefix(&self, input_type: Option<&str>) -> Result<&str, String> {
        let asked = input_type.or(self.options.input_type.as_deref());
        let given = match asked {
            Some("query") => &self.options.query_prefix,
            Some("document") | None => &self.options.document_prefix,
            Some(_) => &None,
        };
        match (given, &self.local) {
            (Some(prefix), _) => Ok(prefix),
            (None, Some(model)) => model.prefix(asked),
            (None, None) => Ok(""),
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
        self.options.concurrency.unwrap_or(match &self.local {
            // One is computed while the rows of another leave and come.
            Some(_) => 2,
            None if alone => 1,
            None => 8,
        })
    }

    /// The limits per minute.
    pub fn pacing(&self) -> pace::Limits {
        pace::Limits { requests: self.options.requests_per_minute, tokens: self.options.tokens_per_minute }
    }

    /// Counters and clock, shared with all clients that are configured alike.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What all vectors of this client and input type have in common, hashed: the first part of a cache key. It is made
    /// of what would be sent now, less the texts, so that nothing that a server may choose by can be left out of it.
    /// The values of headers, the key's too, are read for it and go into the hash alone.
    ///
    /// # Errors
    /// An input type that the format does not have.
    pub fn cache_key(&self, input_type: Option<&str>, interrupt: &Arc<dyn Interrupt>) -> Result<Key, String> {
        match Headers::digest_of(self, interrupt) {
            Ok(digest) => self.cache_key_with(input_type, &digest),
            // No such request can be sent, so none has a vector. The text that needs it gets the error.
            Err(why) => {
                let unreadable = Hasher::default().part(b"unreadable").part(why.as_bytes()).finish();
                self.cache_key_with(input_type, &unreadable)
            }
        }
    }

    /// The same for headers of this digest, or for a model inside the process that is known by this hash.
    ///
    /// # Errors
    /// As there.
    pub fn cache_key_with(&self, input_type: Option<&str>, headers: &Key) -> Result<Key, String> {
        let request = match input_type {
            None => self.default_request.clone()?,
            asked => self.request_id(asked)?,
        };
        Ok(Hasher::default().part(&request).part(headers).finish())
    }

    /// A request without its texts and headers, and what becomes of its reply.
    fn request_id(&self, input_type: Option<&str>) -> Result<Key, String> {
        let ask = self.ask(input_type);
        self.provider.input_type(ask.input_type)?;
        let body = self.provider.request(&ask, &[self.prefix(input_type)?])?;
        // Every option is named, so that a new one cannot be forgotten.
        let Options {
            dimensions,
            normalize,
            // In the endpoint, the body or the headers.
            format: _,
            model: _,
            url: _,
            key: _,
            input_type: _,
            truncate: _,
            query_prefix: _,
            document_prefix: _,
            headers: _,
            body: _,
            // When, how often and with what others a text is sent; where its vector is kept; who sees the client.
            timeout: _,
            connect_timeout: _,
            retries: _,
            batch_size: _,
            batch_tokens: _,
            concurrency: _,
            requests_per_minute: _,
            tokens_per_minute: _,
            cache: _,
            scope: _,
            allow_http: _,
            shown: _,
        } = &self.options;
        let reading = format!("{dimensions:?} {normalize}");
        let hasher = Hasher::default().part(self.format().as_bytes()).part(reading.as_bytes());
        Ok(hasher.part(self.endpoint.to_string().as_bytes()).part(&body).finish())
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

/// Who sends: what a provider counts requests by, and a client's own limits.
fn identity(format: &str, endpoint: &Uri, model: &str, options: &Options) -> Key {
    let body = Value::Object(options.body.clone()).to_string();
    let asked = format!("{:?} {:?} {}", options.dimensions, options.truncate, options.normalize);
    let key = match &options.key {
        Some(options::Key::Secret(secret)) => secret.digest(),
        Some(options::Key::None) => [1; 32],
        None => [0; 32],
    };
    let limits = format!("{:?} {:?}", options.requests_per_minute, options.tokens_per_minute);
    let mut hasher = Hasher::default()
        .part(format.as_bytes())
        .part(endpoint.to_string().as_bytes())
        .part(model.as_bytes())
        .part(asked.as_bytes())
        .part(body.as_bytes())
        .part(&key)
        .part(limits.as_bytes());
    for (name, value) in &options.headers {
        hasher = hasher.part(name.as_bytes()).part(&value.digest());
    }
    hasher.finish()
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
    fn what_reaches_the_wire_is_in_the_cache_key() {
        let path = std::env::temp_dir().join(format!("rembed-tenant-{}", std::process::id()));
        std::fs::write(&path, "one").unwrap();
        let base = serde_json::json!({
            "format": "jina", "url": "https://h/v1", "model": "m", "key": "k", "body": {"a": 1},
            "headers": {"x-a": "1", "x-tenant": format!("file:{}", path.display())}
        });
        let never: Arc<dyn Interrupt> = Arc::new(crate::transport::Never);
        let key_of = |change: &str| {
            let mut options = base.as_object().unwrap().clone();
            options.extend(serde_json::from_str::<serde_json::Map<_, _>>(change).unwrap());
            client(&Value::Object(options).to_string()).unwrap().cache_key(None, &never).unwrap()
        };
        let plain = key_of("{}");
        for same in [
            r#"{"timeout": 5, "connect_timeout": 5, "retries": 0, "batch_size": 3, "batch_tokens": 9}"#,
            r#"{"concurrency": 1, "requests_per_minute": 9, "tokens_per_minute": 9, "scope": "process"}"#,
            r#"{"cache": "disk", "url": "https://h/v1/embeddings", "allow_http": true}"#,
        ] {
            assert_eq!(key_of(same), plain, "{same}");
        }
        let tenant = base["headers"]["x-tenant"].as_str().unwrap();
        assert_eq!(key_of(&format!(r#"{{"headers": {{"X-Tenant": "{tenant}", "X-A": "1"}}}}"#)), plain);
        let mut keys = vec![plain];
        for other in [
            r#"{"format": "openai"}"#,
            r#"{"url": "https://h/v2"}"#,
            r#"{"url": "https://h:444/v1"}"#,
            r#"{"url": "https://h/v1?tenant=2"}"#,
            r#"{"model": "n"}"#,
            r#"{"key": "l"}"#,
            r#"{"key": ""}"#,
            r#"{"dimensions": 8}"#,
            r#"{"input_type": "query"}"#,
            r#"{"truncate": true}"#,
            r#"{"document_prefix": "passage: "}"#,
            r#"{"normalize": true}"#,
            r#"{"body": {"a": 2}}"#,
            r#"{"headers": {"x-a": "2"}}"#,
            r#"{"headers": {"x-b": "1"}}"#,
        ] {
            keys.push(key_of(other));
        }
        // The source is the same, what it says is not.
        std::fs::write(&path, "two").unwrap();
        keys.push(key_of("{}"));
        std::fs::remove_file(&path).unwrap();
        keys.push(key_of("{}"));
        let n = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), n);
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
