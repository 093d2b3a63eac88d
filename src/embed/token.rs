//! Exchanges a key for a token, for services that take tokens alone (IBM's IAM).
//!
//! The key goes to the option `token_url`'s server and nowhere else, the token to the endpoint and nowhere else.
//! Source: ibm-watsonx-ai 1.8.1, which is compared with it (tests/sdk), and litellm 1.106.2
//! (`llms/watsonx/common_utils.py`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use zeroize::Zeroizing;

use crate::base::host;
use crate::base::interrupt::{Interrupt, interruptible};
use crate::base::percent;
use crate::client::headers::Headers;
use crate::client::token::{Token, Trouble};
use crate::client::{Client, policy};
use crate::embed::retry::Failed;
use crate::provider::{Failure, HttpReply, Verdict};
use crate::transport::{self, Sender, Target};

/// The longest token. It stands in a header, and one buffer must hold all headers of a request.
const TOKEN_MAX: usize = 16 << 10;

/// What a token's server answers.
#[derive(Deserialize)]
struct Reply {
    access_token: String,
    /// Seconds.
    #[serde(default)]
    expires_in: Option<f64>,
}

/// The token of a request.
pub(super) struct Exchanged {
    /// As it is sent.
    pub text: Zeroizing<String>,
    /// Whether it was not kept from an earlier request.
    pub is_fresh: bool,
}

/// Puts the token into `headers`, where a key is to be exchanged for one. `refused` is one that the endpoint took no
/// longer.
pub(super) fn put(
    client: &Client,
    headers: &mut Headers,
    refused: Option<&str>,
    deadline: Instant,
    interrupt: &Arc<dyn Interrupt>,
) -> Result<Option<Exchanged>, Failed> {
    let (Some(key), Some(url)) = (headers.to_exchange(), client.token_url()) else { return Ok(None) };
    let target =
        Target { endpoint: url, timeout: client.timeout(), connect_timeout: client.connect_timeout() };
    let _interruptible = interruptible(interrupt, deadline);
    let fetch = || fetch(client, headers, &target, key, deadline, interrupt);
    let got = client.tokens().get(headers.digest(), refused, fetch);
    let (text, is_fresh) = got.map_err(|trouble| match trouble {
        Trouble::Failed(failed) => failed,
        Trouble::Stopped(_) => Failed::no_reply(headers, transport::too_late(&target)),
    })?;
    headers.set_token(&text);
    Ok(Some(Exchanged { text, is_fresh }))
}

/// Asks for a token.
fn fetch(
    client: &Client,
    headers: &Headers,
    target: &Target<'_>,
    key: &str,
    deadline: Instant,
    interrupt: &Arc<dyn Interrupt>,
) -> Result<Token, Failed> {
    let wrong = |status, failure: Failure| {
        let why = Zeroizing::new(failure.message);
        let message =
            format!("no token for the key from {} (option token_url): {}", host::of(target.endpoint), *why);
        Failed::replied(headers, status, Failure { message, verdict: failure.verdict })
    };
    let permanent = |status, why: &str| wrong(status, Failure::permanent(why.into()));
    // The registration has asked this already, of what it knew then.
    policy::check_host(target.endpoint)
        .and_then(|()| policy::check_key(target.endpoint, client.options().allow_http))
        .map_err(|why| Failed::no_reply(headers, transport::Trouble::permanent(why)))?;
    let mut map = HeaderMap::new();
    map.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    map.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let sender = Sender { headers: &map, identity: None };
    let exchange = transport::exchange(target, sender, &form(key), deadline, interrupt);
    let mut exchange = exchange.map_err(|trouble| Failed::no_reply(headers, trouble))?;
    let status = exchange.status;
    if !exchange.is_success() {
        let text = headers.scrub(exchange.text());
        let (retry_after, should_retry) = (exchange.retry_after, exchange.should_retry);
        let reply = HttpReply { status, body: text.as_bytes(), retry_after, should_retry, location: None };
        let failure = client.provider().failure(&reply);
        // It is about the key: fewer texts do not help.
        let verdict = match failure.verdict {
            Verdict::Retry(wait) | Verdict::RetryThenRefused(wait) => Verdict::Retry(wait),
            _ => Verdict::Permanent,
        };
        let message = match status {
            300..=399 => {
                "it redirects, and a key is not sent elsewhere: set 'token_url' to the final address".into()
            }
            404 | 405 => "it has no such endpoint: check 'token_url'".into(),
            _ => failure.message,
        };
        return Err(wrong(status, Failure { message, verdict }));
    }
    let reply: Reply = serde_json::from_slice(&exchange.body)
        .map_err(|_| permanent(status, "the reply is no JSON with an access_token of text"))?;
    let is_token = |token: &str| {
        (1..=TOKEN_MAX).contains(&token.len()) && token.bytes().all(|byte| (0x21..0x7f).contains(&byte))
    };
    let text = Zeroizing::new(reply.access_token);
    if !is_token(&text) {
        return Err(permanent(status, "the access_token of the reply cannot stand in an HTTP header"));
    }
    // Without a time it is for this request alone.
    let life = reply.expires_in.and_then(|life| Duration::try_from_secs_f64(life).ok()).unwrap_or_default();
    Ok(Token { text, life })
}

/// The body that asks for a token.
fn form(key: &str) -> Zeroizing<Vec<u8>> {
    let start = b"grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey=";
    let mut form = Zeroizing::new(Vec::with_capacity(start.len() + 3 * key.len()));
    form.extend_from_slice(start);
    // There is room for it, so that no copy of the key is left behind.
    form.extend(percent::encoded(key, b"-._~"));
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_any_characters_is_one_field() {
        let form = form("a&grant_type=x +%~é");
        let text = std::str::from_utf8(&form).unwrap();
        assert!(text.ends_with("apikey&apikey=a%26grant_type%3Dx%20%2B%25~%C3%A9"), "{text}");
    }
}
