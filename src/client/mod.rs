//! A client: one configured endpoint, immutable once registered.

mod create;
pub mod effort;
pub mod headers;
mod identity;
pub(crate) mod key;
pub mod learned;
pub mod options;
pub mod pace;
pub mod plan;
pub mod policy;
pub mod registry;
mod scrub;
pub mod secret;
pub mod shared;
mod shown;
mod sigv4;
pub mod stats;
pub mod token;

use std::sync::Arc;

use ureq::http::Uri;

use crate::base::error::{Error, RequestError, Result};
use crate::base::hash::Digest;
use crate::base::vector::Encoding;
use crate::local;
use crate::provider::prefixes::Prefixes;
use crate::provider::{Ask, Provider};
pub(crate) use identity::CacheKey;
use learned::Learned;
use options::{Cache, Options, Scope};
use pace::Pace;
use stats::Stats;
use token::Tokens;

/// One configured endpoint.
#[derive(Debug, Clone)]
pub struct Client {
    name: String,
    provider: &'static dyn Provider,
    endpoint: Uri,
    local: Option<local::Model>,
    model: String,
    options: Options,
    /// What its model is known to want before each text, where the format has no field that says what a text is.
    prefixes: Option<Prefixes>,
    identity: Digest,
    default_request: Result<Digest, String>,
    untyped_request: Digest,
    stats: Arc<Stats>,
    learned: Arc<Learned>,
    pace: Arc<Pace>,
    /// Who gives a token for the key, where the format's servers take no key.
    token_url: Option<Uri>,
    /// Whether the environment's key goes to the endpoint by itself.
    at_origin: bool,
    tokens: Arc<Tokens>,
}

impl Client {
    /// A copy for a child process, with counters and a pace of its own.
    pub(crate) fn renewed(&self) -> Arc<Client> {
        let (stats, pace, tokens) = (Arc::default(), Pace::of(self.identity), Tokens::of(self.identity));
        Arc::new(Client { stats, pace, tokens, ..self.clone() })
    }

    /// The same client with the counters of `old`.
    pub(crate) fn counting_as(mut self: Arc<Client>, old: &Client) -> Arc<Client> {
        Arc::make_mut(&mut self).stats = old.stats.clone();
        self
    }

    /// Who sends, for whoever counts requests.
    pub(crate) fn identity(&self) -> Digest {
        self.identity
    }

    /// Whether it is `other` for whoever counts requests.
    pub(crate) fn is_alike(&self, other: &Client) -> bool {
        self.identity == other.identity
    }

    /// The name that the client is registered by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The wire format's name.
    pub fn format(&self) -> &'static str {
        self.provider.spec().name
    }

    /// The wire format.
    pub(crate) fn provider(&self) -> &'static dyn Provider {
        self.provider
    }

    /// Where requests go.
    pub(crate) fn endpoint(&self) -> &Uri {
        &self.endpoint
    }

    /// Who gives a token for the key, where the format's servers take no key.
    pub(crate) fn token_url(&self) -> Option<&Uri> {
        self.token_url.as_ref()
    }

    /// The token for the key.
    pub(crate) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The model inside the process, for a client of format `local`.
    pub(crate) fn local(&self) -> Option<&local::Model> {
        self.local.as_ref()
    }

    /// The model's name as the provider spells it, or the folder of a local one.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The dimensions that are asked of the provider, where any are.
    pub(crate) fn dimensions(&self) -> Option<usize> {
        self.options.dimensions
    }

    /// How the numbers of its vectors are written.
    pub(crate) fn encoding(&self) -> Encoding {
        self.options.encoding
    }

    /// The client's options.
    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Who sees the client.
    pub(crate) fn scope(&self) -> Scope {
        self.options.scope.unwrap_or_default()
    }

    /// Where its embeddings may be kept.
    pub(crate) fn cache(&self) -> Cache {
        self.options.cache
    }

    /// What a request asks for, with the input type of a call over the client's own.
    pub(crate) fn ask<'a>(&'a self, input_type: Option<&'a str>) -> Ask<'a> {
        // The path of a local model changes no vector, so it is left out. The cache key has a hash of its files instead.
        let named =
            self.local.is_none() && (self.provider.spec().model.required || self.options.model.is_some());
        Ask {
            model: named.then_some(self.model.as_str()),
            dimensions: self.options.dimensions,
            input_type: input_type.or(self.options.input_type.as_deref()),
            truncate: self.options.truncate,
            encoding: self.options.encoding,
            numbers: false,
            input: self.options.input.as_deref(),
            output: self.options.output.as_deref(),
            batch_size: self.options.batch_size.unwrap_or(self.provider.spec().batch_size),
            body: &self.options.body,
        }
    }

    /// The text that goes before every text of a call with this input type. A text that names no type is a document.
    ///
    /// # Errors
    /// A type that the model inside the process does not have.
    pub(crate) fn prefix(&self, input_type: Option<&str>) -> Result<&str, String> {
        let asked = input_type.or(self.options.input_type.as_deref());
        let given = match asked {
            Some("query") => &self.options.query_prefix,
            Some("document") | None => &self.options.document_prefix,
            Some(_) => &None,
        };
        match (given, &self.local) {
            (Some(prefix), _) => Ok(prefix),
            (None, Some(model)) => model.prefix(asked),
            (None, None) => Ok(match (self.prefixes, asked) {
                (Some(known), Some("query")) => known.query,
                (Some(known), Some("document") | None) => known.document,
                _ => "",
            }),
        }
    }

    /// What it has learned of its server.
    pub(crate) fn learned(&self) -> &Learned {
        &self.learned
    }

    /// When requests may leave, shared with all clients that the provider counts as one with it.
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// What was done since it was registered.
    pub(crate) fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// The error of a request that failed.
    pub(crate) fn request_error(&self, status: Option<u16>, message: String, attempts: u32) -> Error {
        let (client, format) = (self.name.clone(), self.format());
        Error::Request(Box::new(RequestError { client, format, status, message, attempts }))
    }

    /// The error of a request that another client like this one has sent.
    pub(crate) fn as_own(&self, error: Error) -> Error {
        match error {
            Error::Request(e) => Error::Request(Box::new(RequestError { client: self.name.clone(), ..*e })),
            other => other,
        }
    }

    /// The error of an input that cannot be embedded.
    pub(crate) fn bad_input(&self, why: &str) -> Error {
        Error::invalid(format!("client '{}' ({}): {why}", self.name, self.format()))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn client(json: &str) -> Result<Arc<Client>> {
        Client::new("c", Options::parse(json)?)
    }

    #[test]
    fn defaults_come_from_the_format_and_the_name() {
        let c = client("openai").unwrap();
        assert_eq!((c.model(), c.format()), ("c", "openai"));
        assert_eq!(c.endpoint(), "https://api.openai.com/v1/embeddings");
        assert_eq!(c.ceilings().texts, 256);
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
            (r#"{"format":"openai","url":"http://h","client_cert":"/c"}"#, "https://"),
            (r#"{"format":"openai","url":"https://h","client_key":"/c"}"#, "client_key needs client_cert"),
        ] {
            let e = client(json).unwrap_err().to_string();
            assert!(e.contains(why) && !e.contains("sk-1"), "{e}");
        }
        assert!(client(r#"{"format":"openai","url":"http://h","key":"sk-1","allow_http":true}"#).is_ok());
    }

    #[test]
    fn a_known_model_gets_its_prefixes_where_the_format_has_no_field_for_what_a_text_is() {
        let nomic = |more: &str| client(&format!(r#"{{"model":"nomic-embed-text"{more}}}"#)).unwrap();
        let prefixes = |c: &Client| {
            [None, Some("query"), Some("document")].map(|input_type| c.prefix(input_type).unwrap().to_owned())
        };
        let plain = nomic(r#","format":"ollama""#);
        assert_eq!(prefixes(&plain), ["search_document: ", "search_query: ", "search_document: "]);
        assert_eq!(
            plain.shown_options(),
            r#"{"query_prefix":"search_query: ","document_prefix":"search_document: "}"#
        );
        let off = nomic(r#","format":"ollama","query_prefix":"","document_prefix":"d: ""#);
        assert_eq!(prefixes(&off), ["d: ", "", "d: "]);
        assert_eq!(off.shown_options(), r#"{"query_prefix":"","document_prefix":"d: "}"#);
        for other in [
            r#","format":"nomic""#,
            r#","format":"custom","url":"http://h","input":"/a","output":"/b""#,
            r#","format":"ollama","model":"all-minilm""#,
        ] {
            let c = nomic(other);
            assert_eq!(prefixes(&c), ["", "", ""], "{other}");
            assert!(!c.shown_options().contains("prefix"), "{other}");
        }
        // The model's name is not sent, and so not known to be the server's.
        let unnamed = Client::new("e5-small", Options::parse("llamafile").unwrap()).unwrap();
        assert_eq!(prefixes(&unnamed), ["", "", ""]);
    }

    #[test]
    fn debug_shows_no_key() {
        let c =
            client(r#"{"format":"openai","key":"sk-secret","headers":{"x-api-key":"sk-other"}}"#).unwrap();
        let shown = format!("{c:?} {:?} {}", c.shown_key(), c.shown_options());
        assert!(!shown.contains("sk-"), "{shown}");
    }
}
