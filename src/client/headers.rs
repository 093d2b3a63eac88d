//! The headers of a request, keys among them: read when it is made, wiped after it, hidden in what comes back.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use ureq::http::Uri;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::Client;
use super::key::Credential;
use super::policy;
use super::scrub::Scrubber;
use super::sigv4::Signer;
use crate::base::certificate::Identity;
use crate::base::hash::{Digest, hash_secrets};
use crate::base::interrupt::{Interrupt, interruptible};
use crate::base::wiped::Wiped;
use crate::base::words::{PROVIDER_MESSAGE_MAX, bounded};

/// The headers of a client's requests, with keys read at the time of the call.
pub struct Headers {
    map: HeaderMap,
    identity: Option<Identity>,
    signer: Option<Signer>,
    to_exchange: Option<Zeroizing<String>>,
    scrubber: Scrubber,
    has_key: bool,
    digest: Digest,
}

impl Headers {
    /// Those of what was `read` for requests to `endpoint`.
    fn new(endpoint: &Uri, read: Read<'_>) -> Result<Headers, String> {
        let (map, digest) = (HeaderMap::new(), read.digest());
        let (identity, scrubber) = (read.identity, Scrubber::default());
        let (signer, to_exchange) = (read.signer, read.to_exchange.map(|(_, key)| key));
        let mut headers = Headers { map, identity, signer, to_exchange, scrubber, has_key: false, digest };
        headers.map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for header in read.headers {
            if header.is_secret {
                headers.scrubber.add(&header.value);
            }
            headers.has_key |= policy::authenticates(header.name);
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|e| e.to_string())?;
            headers.insert(name, header.prefix, &header.value);
        }
        if let Some(key) = &headers.to_exchange {
            headers.scrubber.add(key);
            headers.has_key = true;
        }
        if let Some(signer) = &headers.signer {
            let secrets = [Some(&signer.id), Some(&signer.secret), signer.token.as_ref()];
            secrets.into_iter().flatten().for_each(|secret| headers.scrubber.add(secret));
            headers.has_key = true;
        }
        for value in policy::keys_of_query(endpoint) {
            headers.scrubber.add(value);
            headers.has_key = true;
        }
        Ok(headers)
    }

    /// A hash of all names and values, and of the client's certificate.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    fn insert(&mut self, name: HeaderName, prefix: &str, text: &str) {
        insert(&mut self.map, name, Wiped::new([prefix.as_bytes(), text.as_bytes()].concat()));
    }

    /// The key that a token is to be fetched for.
    pub fn to_exchange(&self) -> Option<&str> {
        self.to_exchange.as_ref().map(|key| key.as_str())
    }

    /// Takes the token that the key was exchanged for.
    pub fn set_token(&mut self, token: &str) {
        self.scrubber.add(token);
        self.insert(AUTHORIZATION, "Bearer ", token);
    }

    /// Whether a key is among them.
    pub fn has_key(&self) -> bool {
        self.has_key
    }

    /// `text` without any of the keys: a server may repeat what it was sent.
    pub fn scrub(&self, text: &str) -> Zeroizing<String> {
        self.scrubber.scrub(text)
    }

    /// Puts stars over the keys in the body of a reply.
    pub fn mask(&self, body: &mut [u8]) {
        self.scrubber.mask(body);
    }

    /// Takes one more secret that a reply may repeat.
    pub fn hide(&mut self, secret: &str) {
        self.scrubber.add(secret);
    }

    /// As they are sent now with `body`.
    pub fn map(&self, endpoint: &Uri, body: &[u8]) -> Cow<'_, HeaderMap> {
        let Some(signer) = &self.signer else { return Cow::Borrowed(&self.map) };
        let mut map = self.map.clone();
        // A user's header may stand in the place of ours.
        let content_type = map.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let made = signer.sign(endpoint, content_type, body, SystemTime::now());
        for (name, text) in made {
            insert(&mut map, HeaderName::from_static(name), Wiped::new(text.as_bytes().to_vec()));
        }
        Cow::Owned(map)
    }

    /// The certificate that goes with them.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// What a user is told of `text`, which may be a server's: without any of the keys, and then bounded.
    pub fn quote(&self, text: &str) -> String {
        bounded(&self.scrub(text), PROVIDER_MESSAGE_MAX)
    }
}

impl Client {
    /// The headers of a request, with keys read now, in the time that the client has for a request.
    ///
    /// # Errors
    /// A key that cannot be read or may not travel, in words for the user.
    pub(crate) fn headers(&self, interrupt: &Arc<dyn Interrupt>) -> Result<Headers, String> {
        Headers::new(self.endpoint(), self.read_headers(interrupt)?)
    }

    /// The [`Headers::digest`] of what [`Client::headers`] would read.
    ///
    /// # Errors
    /// As there.
    pub(super) fn headers_digest(&self, interrupt: &Arc<dyn Interrupt>) -> Result<Digest, String> {
        self.read_headers(interrupt).map(|read| read.digest())
    }

    /// The client's headers, the key's first, and its certificate.
    fn read_headers(&self, interrupt: &Arc<dyn Interrupt>) -> Result<Read<'_>, String> {
        let _interruptible = interruptible(interrupt, Instant::now() + self.timeout());
        let (mut headers, mut signer, mut to_exchange) = (Vec::new(), None, None);
        match self.key()? {
            Some(Credential::Exchanged(url, key)) => to_exchange = Some((url, key)),
            Some(Credential::Token(value)) => {
                let (name, prefix) = self.provider().spec().auth.header(&value);
                headers.push(Header { name, prefix, value, is_secret: true });
            }
            Some(Credential::Signer(read)) => signer = Some(read),
            None => {}
        }
        for (name, value) in &self.options().headers {
            let is_secret = policy::is_secret(name, value);
            if is_secret {
                policy::check_key(self.endpoint(), self.options().allow_http)?;
            }
            headers.push(Header { name, prefix: "", value: value.read()?, is_secret });
        }
        // What a user writes there stands in the place of what would come of a key.
        if headers.iter().any(|header| header.name == "authorization") {
            (signer, to_exchange) = (None, None);
        }
        let options = self.options();
        let identity = options.client_cert.as_deref();
        let identity =
            identity.map(|path| Identity::read(path, options.client_key.as_deref())).transpose()?;
        Ok(Read { headers, signer, to_exchange, identity })
    }
}

/// What a client says of itself in its requests.
struct Read<'a> {
    headers: Vec<Header<'a>>,
    signer: Option<Signer>,
    /// A key, and who is to be given it.
    to_exchange: Option<(&'a Uri, Zeroizing<String>)>,
    identity: Option<Identity>,
}

/// A header that this client adds to its requests.
struct Header<'a> {
    name: &'a str,
    prefix: &'static str,
    value: Zeroizing<String>,
    is_secret: bool,
}

impl Read<'_> {
    /// A hash of all names and values, in whatever order a user wrote them, and of the certificate.
    fn digest(&self) -> Digest {
        let url = self.to_exchange.as_ref().map(|(url, _)| url.to_string());
        let mut sorted: Vec<_> = self.headers.iter().collect();
        sorted.sort_by_key(|header| header.name);
        let headers = sorted
            .into_iter()
            .flat_map(|header| [header.name.as_bytes(), header.prefix.as_bytes(), header.value.as_bytes()]);
        // Of a signature and a token, what they are made of counts: they differ from time to time.
        let signer = self.signer.iter().flat_map(Signer::parts);
        let key = self.to_exchange.iter().map(|(_, key)| key.as_bytes());
        let exchanged = url.iter().map(String::as_bytes).chain(key);
        hash_secrets(
            headers
                .chain(signer)
                .chain(exchanged)
                .chain(self.identity.iter().map(|identity| &identity.digest[..])),
        )
    }
}

/// Inserts a header that is wiped.
fn insert(map: &mut HeaderMap, name: HeaderName, text: Wiped) {
    // The header shares this buffer instead of copying it. Whoever drops the last share wipes it.
    if let Ok(mut value) = HeaderValue::from_maybe_shared(bytes::Bytes::from_owner(text)) {
        value.set_sensitive(true);
        map.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sigv4::testing::signer;
    use super::*;

    fn signed(token: Option<&str>) -> Headers {
        let endpoint = "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/invoke".parse().unwrap();
        let read =
            Read { headers: Vec::new(), signer: Some(signer(token)), to_exchange: None, identity: None };
        Headers::new(&endpoint, read).unwrap()
    }

    #[test]
    fn a_signature_is_of_the_body_and_the_access_key_is_what_counts() {
        let endpoint = "https://h/model/m/invoke".parse().unwrap();
        let headers = signed(Some("session-token-1"));
        let authorization = |body: &[u8]| headers.map(&endpoint, body)["authorization"].clone();
        assert_ne!(authorization(b"{}"), authorization(b"[]"));
        let map = headers.map(&endpoint, b"{}");
        assert_eq!(map["x-amz-security-token"], "session-token-1");
        assert!(map["authorization"].is_sensitive() && map["x-amz-security-token"].is_sensitive());
        assert!(headers.has_key());
        assert_eq!(headers.digest(), signed(Some("session-token-1")).digest());
        assert_ne!(headers.digest(), signed(Some("session-token-2")).digest());
        assert_ne!(headers.digest(), signed(None).digest());
    }

    #[test]
    fn a_header_of_the_users_stands_for_what_would_come_of_a_key() {
        let never: Arc<dyn Interrupt> = Arc::new(crate::base::interrupt::Uninterrupted);
        let exchanges = |more: &str| {
            let json = format!(r#"{{"format":"watsonx","url":"https://h","key":"api-key-1"{more}}}"#);
            let client = super::super::tests::client(&json).unwrap();
            client.headers(&never).unwrap().to_exchange().is_some()
        };
        assert!(exchanges(""));
        assert!(exchanges(r#","headers":{"x-title":"t"}"#));
        assert!(!exchanges(r#","headers":{"Authorization":"ZenApiKey zen"}"#));
    }

    #[test]
    fn what_signs_is_not_shown() {
        let headers = signed(Some("session-token-1"));
        for secret in ["AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session-token-1"] {
            let said = headers.quote(&format!("the canonical string should be x:{secret} or so"));
            assert!(said.contains("***") && !said.contains(secret), "{said}");
        }
    }
}
