//! What a reply other than 200 says, and what may be done about it. Decided here, once: nothing downstream
//! looks at a status code.

use std::time::Duration;

use super::message;
use crate::base::words::{PROVIDER_MESSAGE_MAX, bounded};

/// A reply that is no success.
#[derive(Debug, Clone, Copy)]
pub struct HttpReply<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The body, which may be empty or plain text.
    pub body: &'a [u8],
    /// `retry-after-ms` or `Retry-After`, as a time from now.
    pub retry_after: Option<Duration>,
    /// `x-should-retry`, by which OpenAI's servers overrule the status.
    pub should_retry: Option<bool>,
}

impl<'a> HttpReply<'a> {
    /// A reply without headers that matter.
    pub fn new(status: u16, body: &'a [u8]) -> HttpReply<'a> {
        HttpReply { status, body, retry_after: None, should_retry: None }
    }
}

/// Why a request failed, in the provider's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The provider's message, at most 500 characters.
    pub message: String,
    /// What may be done.
    pub verdict: Verdict,
}

impl Failure {
    /// A failure about which nothing may be done.
    pub fn permanent(message: String) -> Failure {
        Failure { message, verdict: Verdict::Permanent }
    }
}

/// What may be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: the same request would fail again.
    Permanent,
    /// Send it again, after this time where the provider named one.
    Retry(Option<Duration>),
    /// Send it in smaller parts; permanent for a lone text.
    TooLarge,
    /// One of the texts may be to blame: the others may succeed without it.
    Refused,
}

/// What providers say of a request that is too large, in lower case.
const TOO_LARGE: &[&str] = &[
    "too large",
    "too many tokens",
    "too many inputs",
    "too long",
    "maximum context length",
    "exceeds the context length",
    "maximum allowed batch size",
    "max_tokens_per_request",
    "requests can be in one batch",
    "array too long",
];

/// Classifies a reply by what all providers have in common.
pub(super) fn classify(reply: &HttpReply<'_>) -> Failure {
    let said = message::read(reply.body);
    let text = said.as_ref().and_then(|said| said.text.clone());
    let text = text.unwrap_or_else(|| String::from_utf8_lossy(reply.body).into_owned());
    let message = bounded(&text, PROVIDER_MESSAGE_MAX);
    let lower = message.to_ascii_lowercase();
    let too_large = TOO_LARGE.iter().any(|words| lower.contains(words));
    let verdict = match reply.status {
        413 => Verdict::TooLarge,
        400 | 422 if too_large => Verdict::TooLarge,
        // llama.cpp's answer to a text that never fits.
        500 if lower.contains("too large to process") => Verdict::TooLarge,
        429 if said.as_ref().is_some_and(|said| said.quota_spent) => Verdict::Permanent,
        _ => match reply.should_retry {
            Some(true) => Verdict::Retry(reply.retry_after),
            Some(false) => Verdict::Permanent,
            None => match reply.status {
                408 | 409 | 425 | 429 | 500 | 502 | 503 | 504 | 529 => Verdict::Retry(reply.retry_after),
                400 | 422 => Verdict::Refused,
                _ => Verdict::Permanent,
            },
        },
    };
    let hint = match reply.status {
        300..=399 => {
            "the server redirects, and a request with texts and key is not sent elsewhere: set 'url' to the final \
             address"
        }
        404 | 405 if said.is_none() => "the server has no such endpoint: check 'url'",
        _ if message.is_empty() => "the reply has no text",
        _ => "",
    };
    let message = match (hint, message.as_str()) {
        ("", _) => message,
        (hint, "") => hint.into(),
        (hint, text) => format!("{hint} ({text})"),
    };
    Failure { message, verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Failure {
        classify(&HttpReply::new(status, body.as_bytes()))
    }

    #[test]
    fn the_message_is_found_in_every_envelope() {
        for (body, message) in [
            (r#"{"error":{"message":"a","type":"t"}}"#, "a"),
            (r#"{"error":"b"}"#, "b"),
            (r#"{"message":"c"}"#, "c"),
            (r#"{"message":{"detail":"d"}}"#, r#"{"detail":"d"}"#),
            (r#"{"detail":"e"}"#, "e"),
            (r#"{"detail":[{"loc":[],"msg":"f","type":"t"},{"msg":"g"}]}"#, "f; g"),
            (r#"{"success":false,"errors":[{"code":7009,"message":"h"}]}"#, "h"),
            (r#"[{"error":{"message":"i"}}]"#, "i"),
            ("plain\n text", "plain text"),
            ("", "the reply has no text"),
            (r#"{"other":1}"#, r#"{"other":1}"#),
        ] {
            assert_eq!(of(400, body).message, message, "{body}");
        }
    }

    #[test]
    fn verdicts_follow_the_status() {
        for status in [400, 422] {
            assert_eq!(of(status, "no").verdict, Verdict::Refused, "{status}");
        }
        for status in [401, 402, 403, 404, 405, 424, 498, 501, 301, 307] {
            assert_eq!(of(status, "no").verdict, Verdict::Permanent, "{status}");
        }
        for status in [408, 409, 425, 429, 500, 502, 503, 504, 529] {
            assert_eq!(of(status, "no").verdict, Verdict::Retry(None), "{status}");
        }
        for (status, body) in [
            (413, ""),
            (400, "Too many tokens in batch. Max is 16384 got 20000"),
            (422, "batch size 40 > maximum allowed batch size 32"),
            (400, "This model's maximum context length is 8192 tokens"),
            (500, "input (3002 tokens) is too large to process"),
        ] {
            assert_eq!(of(status, body).verdict, Verdict::TooLarge, "{status} {body}");
        }
    }

    #[test]
    fn a_server_may_overrule_its_status() {
        let reply = HttpReply { should_retry: Some(false), ..HttpReply::new(503, b"") };
        assert_eq!(classify(&reply).verdict, Verdict::Permanent);
        let wait = Some(Duration::from_secs(2));
        let reply = HttpReply { should_retry: Some(true), retry_after: wait, ..HttpReply::new(400, b"") };
        assert_eq!(classify(&reply).verdict, Verdict::Retry(wait));
    }

    #[test]
    fn a_long_body_is_bounded() {
        assert!(of(500, &"x".repeat(100_000)).message.chars().count() <= 501);
    }
}
