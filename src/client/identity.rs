//! What tells clients and their vectors apart: hashes of what is configured, and of what is sent.

use std::sync::Arc;

use ureq::http::Uri;

use super::Client;
use super::options::Options;
use crate::base::hash::{self, Digest, Hasher};
use crate::base::interrupt::Interrupt;
use crate::provider::Ask;

/// What the vectors of a client have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheKey {
    /// The first part of the key of each vector.
    pub vectors: Digest,
    /// Whose the vectors are, whatever the input type and its prefix: by this they are found when a client's vectors
    /// are to be dropped. Clients that would get each other's vectors have it in common.
    pub client: u64,
    /// The digest of the headers that were read for it.
    pub headers: Digest,
}

impl Client {
    /// A hash of what all vectors of this client and input type have in common: the first part of a cache key. It covers
    /// the request that would be sent now, without the texts. So whatever a server may choose a vector by is in it.
    /// The values of headers, and the key, are read for the hash and kept nowhere.
    ///
    /// # Errors
    /// An input type that the format does not have.
    pub(crate) fn cache_key(
        &self,
        input_type: Option<&str>,
        interrupt: &Arc<dyn Interrupt>,
    ) -> Result<CacheKey, String> {
        match self.headers_digest(interrupt) {
            Ok(digest) => self.cache_key_with(input_type, &digest),
            // Without its headers no request can be sent, so no vector is kept under this hash. The text that needs
            // the request gets the error.
            Err(why) => {
                let unreadable = Hasher::default().part(b"unreadable").part(why.as_bytes()).finish();
                self.cache_key_with(input_type, &unreadable)
            }
        }
    }

    /// The same, where the digest of the headers is known; for a model inside the process, its hash takes that place.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn cache_key_with(
        &self,
        input_type: Option<&str>,
        headers: &Digest,
    ) -> Result<CacheKey, String> {
        let request = match input_type {
            None => self.default_request.clone()?,
            asked => self.request_id(asked)?,
        };
        let client = hash::join(&self.untyped_request, headers);
        let client = u64::from_le_bytes(std::array::from_fn(|i| client[i]));
        Ok(CacheKey { vectors: hash::join(&request, headers), client, headers: *headers })
    }

    /// A request without its texts and headers, and what becomes of its reply.
    pub(super) fn request_id(&self, input_type: Option<&str>) -> Result<Digest, String> {
        let ask = self.ask(input_type);
        self.provider.input_type(ask.input_type)?;
        self.hash_of_request(&ask, self.prefix(input_type)?)
    }

    /// The same, whatever the input type.
    pub(super) fn untyped_request_id(&self) -> Result<Digest, String> {
        self.hash_of_request(&Ask { input_type: None, ..self.ask(None) }, "")
    }

    fn hash_of_request(&self, ask: &Ask<'_>, text: &str) -> Result<Digest, String> {
        let body = self.provider.request(ask, &[text])?;
        let reading = self.options.of_reply();
        let hasher = Hasher::default().part(self.format().as_bytes()).part(reading.as_bytes());
        let hasher = hasher.part(self.endpoint.to_string().as_bytes()).part(&body);
        // Another place in the same reply has another vector.
        let place = self.options.output.iter();
        Ok(place.fold(hasher, |hasher, place| hasher.part(place.as_bytes())).finish())
    }
}

/// Who sends: what a provider counts requests by, and a client's own limits.
pub(super) fn identity(format: &str, endpoint: &Uri, model: &str, options: &Options) -> Digest {
    let resolved = Hasher::default()
        .part(format.as_bytes())
        .part(endpoint.to_string().as_bytes())
        .part(model.as_bytes());
    options.count(resolved).finish()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::options::table::{Part, TABLE};
    use super::super::tests::client;
    use super::*;

    #[test]
    fn what_reaches_the_wire_is_in_the_cache_key() {
        let path = std::env::temp_dir().join(format!("rembed-tenant-{}", std::process::id()));
        std::fs::write(&path, "one").unwrap();
        let base = serde_json::json!({
            "format": "jina", "url": "https://h/v1", "model": "m", "key": "k", "body": {"a": 1},
            "headers": {"x-a": "1", "x-tenant": format!("file:{}", path.display())}
        });
        let never: Arc<dyn Interrupt> = Arc::new(crate::base::interrupt::Uninterrupted);
        let key_of = |change: &str| {
            let mut options = base.as_object().unwrap().clone();
            options.extend(serde_json::from_str::<serde_json::Map<_, _>>(change).unwrap());
            client(&Value::Object(options).to_string()).unwrap().cache_key(None, &never).unwrap()
        };
        let plain = key_of("{}");
        let same = [
            r#"{"timeout": 5, "connect_timeout": 5, "retries": 0, "batch_size": 3, "batch_tokens": 9}"#,
            r#"{"concurrency": 1, "connections": 2, "requests_per_minute": 9, "tokens_per_minute": 9, "scope": "process"}"#,
            r#"{"cache": "disk", "url": "https://h/v1/embeddings", "allow_http": true}"#,
        ];
        for same in same {
            assert_eq!(key_of(same), plain, "{same}");
        }
        let tenant = base["headers"]["x-tenant"].as_str().unwrap();
        assert_eq!(key_of(&format!(r#"{{"headers": {{"X-Tenant": "{tenant}", "X-A": "1"}}}}"#)), plain);
        let mut keys = vec![plain];
        let others = [
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
            r#"{"encoding": "bit"}"#,
            r#"{"document_prefix": "passage: "}"#,
            r#"{"input_type": "query", "query_prefix": "query: "}"#,
            r#"{"normalize": true}"#,
            r#"{"body": {"a": 2}}"#,
            r#"{"format": "custom", "input": "/a", "output": "/b"}"#,
            r#"{"format": "custom", "input": "/b", "output": "/b"}"#,
            r#"{"format": "custom", "input": "/a", "output": "/c"}"#,
            r#"{"headers": {"x-a": "2"}}"#,
            r#"{"headers": {"x-b": "1"}}"#,
            r#"{"format": "watsonx"}"#,
            r#"{"format": "watsonx", "token_url": "https://t"}"#,
            r#"{"format": "watsonx", "token_url": "https://u"}"#,
            r#"{"client_cert": "/no/cert"}"#,
            r#"{"client_cert": "/no/other", "client_key": "/no/key"}"#,
        ];
        keys.extend(others.map(key_of));
        // Of a certificate and its key, what is in the files counts.
        let pem = path.with_extension("pem");
        for (options, certificate) in [
            (r#"{"client_cert": "PEM"}"#, "one"),
            (r#"{"client_cert": "PEM"}"#, "two"),
            (r#"{"client_cert": "PEM", "client_key": "KEY"}"#, "two"),
        ] {
            std::fs::write(&pem, certificate).unwrap();
            let named =
                options.replace("PEM", &pem.to_string_lossy()).replace("KEY", &path.to_string_lossy());
            keys.push(key_of(&named));
            assert_eq!(keys.last(), Some(&key_of(&named)));
        }
        std::fs::remove_file(&pem).unwrap();
        // Each option of the table is where its entry says.
        for option in TABLE {
            let stands_in =
                |texts: &[&str]| texts.iter().any(|t| t.contains(&format!("\"{}\":", option.name)));
            match option.part {
                Part::None => assert!(stands_in(&same) && !stands_in(&others), "{}", option.name),
                Part::Request | Part::Reply => assert!(stands_in(&others), "{}", option.name),
            }
        }
        // The header names the same file, and the file says something else.
        std::fs::write(&path, "two").unwrap();
        keys.push(key_of("{}"));
        std::fs::remove_file(&path).unwrap();
        keys.push(key_of("{}"));
        let n = keys.len();
        keys.sort_unstable();
        keys.dedup_by_key(|key| key.vectors);
        assert_eq!(keys.len(), n);
    }

    #[test]
    fn a_clients_vectors_are_its_own_whatever_the_input_type() {
        let never: Arc<dyn Interrupt> = Arc::new(crate::base::interrupt::Uninterrupted);
        let of = |more: &str, input_type| {
            let json = format!(r#"{{"format": "jina", "url": "https://h/v1", "key": "k"{more}}}"#);
            client(&json).unwrap().cache_key(input_type, &never).unwrap().client
        };
        let plain = of("", None);
        for (same, input_type) in [
            ("", Some("query")),
            (r#", "input_type": "query""#, None),
            (r#", "query_prefix": "query: ""#, Some("query")),
            (r#", "cache": "disk", "retries": 1"#, None),
        ] {
            assert_eq!(of(same, input_type), plain, "{same}");
        }
        for other in [
            r#", "model": "n""#,
            r#", "dimensions": 8"#,
            r#", "headers": {"x-a": "2"}"#,
            r#", "body": {"a": 1}"#,
        ] {
            assert_ne!(of(other, None), plain, "{other}");
        }
        let other_key = client(r#"{"format": "jina", "url": "https://h/v1", "key": "l"}"#).unwrap();
        assert_ne!(other_key.cache_key(None, &never).unwrap().client, plain);
    }
}
