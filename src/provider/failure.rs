//! What a reply other than 200 says, and what may be done about it. Decided here, once: nothing downstream
//! looks at a status code.

use std::time::Duration;

use super::message;
use crate::base::span::span;
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
    /// Where the server redirects to.
    pub location: Option<&'a str>,
}

impl<'a> HttpReply<'a> {
    /// A reply without headers that matter.
    pub fn new(status: u16, body: &'a [u8]) -> HttpReply<'a> {
        HttpReply { status, body, retry_after: None, should_retry: None, location: None }
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
    /// The same. If it fails each time, one of the texts may be what ends the server's work.
    RetryThenRefused(Option<Duration>),
    /// Send it in smaller parts; permanent for a lone text.
    TooLarge,
    /// The same, for the number of its texts: later requests need not try as many.
    TooMany,
    /// One of the texts may be to blame: the others may succeed without it.
    Refused,
}

/// What providers say of a request that is too large, in lower case, in the message or in its codes. (From the eleventh on
/// llama-server twice, Gemini, Databricks, TEI, NVIDIA, Voyage, OpenAI, Vertex AI.)
const TOO_LARGE: &[&str] = &[
    "too large",
    "too many tokens",
    "too long",
    "maximum context length",
    "context_length",
    "context length",
    "max_tokens_per_request",
    "maximum length",
    "too_large",
    "available context size",
    "exceed_context_size",
    "payload size exceeds",
    "request size cannot exceed",
    "must have less than",
    "allowed token size",
    "max allowed tokens",
    "tokens per request",
    "input token count",
];

/// What they say where there are too many texts in it. (DashScope, Zhipu, TEI, Cohere, Gemini, pydantic, in this order;
/// the last are Bedrock, Vertex AI, Cohere, others, pydantic without its code.)
const TOO_MANY: &[&str] = &[
    "should not be larger than",
    "maximum length of",
    "maximum allowed batch size",
    "batch size limit",
    "requests can be in one batch",
    "too many inputs",
    "array too long",
    "must be <= ",
    "at most 100 requests",
    "too_long",
    "batch size",
    "maximum item count",
    "instance(s) is allowed",
    "number of texts",
    "number of inputs",
    "should have at most",
];

/// What they say where one text is to blame, with a status that would say otherwise. (Ollama, in this order.)
const ONE_TEXT: &[&str] = &["unsupported value", "invalid input", "failed to tokenize"];

/// What servers say to plain http at a port with TLS. (nginx, Go, Apache, Tomcat, in this order.)
const WANTS_TLS: &[&str] =
    &["to https port", "to an https server", "plain http to an ssl-enabled", "host and port requires tls"];

/// Words by which 403 is about who asks, not about what is sent.
const WHO: &[&str] =
    &["key", "token", "permission", "credential", "signature", "denied", "authoriz", "account", "country"];

/// Classifies a reply by what all providers have in common.
pub(super) fn classify(reply: &HttpReply<'_>) -> Failure {
    let said = message::read(reply.body);
    let text = said.as_ref().and_then(|said| said.text.clone());
    let text = text.unwrap_or_else(|| String::from_utf8_lossy(reply.body).into_owned());
    let message = bounded(&text, PROVIDER_MESSAGE_MAX);
    let mut lower = message.to_ascii_lowercase();
    let codes = said.as_ref().map_or("", |said| &said.codes);
    let asked = reply.retry_after.or(said.as_ref().and_then(|said| said.wait)).or_else(|| wait_in(&lower));
    lower.extend([" ", codes]);
    let says = |words: &[&str]| words.iter().any(|words| lower.contains(words));
    let too_large = match says(TOO_MANY) && !lower.contains("token") && !lower.contains("string_too_long") {
        true => Some(Verdict::TooMany),
        false => (says(TOO_LARGE) || says(TOO_MANY)).then_some(Verdict::TooLarge),
    };
    let verdict = match (reply.status, too_large) {
        (413, _) => too_large.unwrap_or(Verdict::TooLarge),
        // OpenAI's limit of tokens a minute, which such a request would break at any time.
        (429, _) if lower.contains("request too large") => Verdict::TooLarge,
        // Ollama and llama.cpp answer 500 to a text that never fits.
        (400 | 422 | 500, Some(verdict)) => verdict,
        (400, None) if says(WANTS_TLS) => Verdict::Permanent,
        (500, None) if says(ONE_TEXT) => Verdict::Refused,
        // Waiting does not bring a spent quota back.
        (429, _) if codes.contains("insufficient_quota") => Verdict::Permanent,
        _ => match reply.should_retry {
            Some(true) => Verdict::Retry(asked),
            Some(false) => Verdict::Permanent,
            None => match reply.status {
                // A gateway refuses what it does not like the look of, TEI what it cannot compute.
                403 if !says(WHO) => Verdict::Refused,
                400 | 422 | 424 => Verdict::Refused,
                501 | 505 => Verdict::Permanent,
                500 | 502 => Verdict::RetryThenRefused(asked),
                408 | 409 | 425 | 429 | 500..=599 => Verdict::Retry(asked),
                _ => Verdict::Permanent,
            },
        },
    };
    let hint = match reply.status {
        300..=399 => {
            "the server redirects, and a request with texts and key is not sent elsewhere: set 'url' to the final \
             address"
        }
        400 if says(WANTS_TLS) => "this port speaks https: try https://",
        404 | 405 if said.is_none() => "the server has no such endpoint: check 'url'",
        _ if message.is_empty() => "the reply has no text",
        _ => "",
    };
    let location = reply.location.filter(|_| matches!(reply.status, 300..=399));
    let hint = match location {
        Some(location) => format!("{hint}, {}", bounded(location, 200)),
        None => hint.into(),
    };
    let message = match (hint.as_str(), message.as_str()) {
        ("", _) => message,
        (_, "") => hint,
        (hint, text) => format!("{hint} ({text})"),
    };
    Failure { message, verdict }
}

/// The wait that a message asks for: "try again in 20s", "Please retry in 1m2.5s.", "retry after 5 seconds".
fn wait_in(lower: &str) -> Option<Duration> {
    let rest = ["try again in ", "retry in ", "retry after ", "try again after "]
        .iter()
        .find_map(|words| lower.split_once(words).map(|(_, rest)| rest))?;
    let end = rest.find([' ', ',', ';', ')']).unwrap_or(rest.len());
    let (word, next) = rest.split_at(end);
    let word = word.trim_end_matches('.');
    if let Ok(number) = word.parse::<f64>() {
        let unit = next.trim_start();
        let unit = match () {
            () if unit.starts_with("milli") || unit.starts_with("ms") => 1e-3,
            () if unit.starts_with("min") => 60.0,
            () if unit.starts_with("sec") || unit.starts_with("s.") || unit == "s" => 1.0,
            () => return None,
        };
        return Duration::try_from_secs_f64(number * unit).ok().filter(|wait| !wait.is_zero());
    }
    span(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Failure {
        classify(&HttpReply::new(status, body.as_bytes()))
    }

    #[test]
    fn a_port_that_speaks_https_is_named_as_such() {
        let page = |title: &str, text: &str| {
            format!(
                "<html>\n<head><title>400 {title}</title></head>\n<body>\n<center>{text}</center>\n</body></html>"
            )
        };
        for body in [
            page("The plain HTTP request was sent to HTTPS port", "nginx"),
            "Client sent an HTTP request to an HTTPS server.\n".into(),
            page(
                "Bad Request",
                "<p>Your browser sent a request that this server could not understand.<br />\nReason: You're \
                 speaking plain HTTP to an SSL-enabled server port.<br />\n",
            ),
            "Bad Request\r\nThis combination of host and port requires TLS.\r\n".into(),
        ] {
            let Failure { message, verdict } = of(400, &body);
            assert!(message.starts_with("this port speaks https: try https://"), "{message}");
            assert_eq!(verdict, Verdict::Permanent, "{body}");
        }
        assert!(!of(400, "Bad Request: no TLS").message.contains("https"));
    }

    #[test]
    fn the_message_is_found_in_every_envelope() {
        for (body, message) in [
            (r#"{"error":{"message":"a","type":"t"}}"#, "a"),
            (r#"{"error":"b"}"#, "b"),
            (r#"{"message":"c"}"#, "c"),
            (r#"{"errorCode":"BXNIM0415E","errorMessage":"c"}"#, "c"),
            (r#"{"message":{"detail":"d"}}"#, r#"{"detail":"d"}"#),
            (r#"{"detail":"e"}"#, "e"),
            (r#"{"detail":[{"loc":[],"msg":"f","type":"t"},{"msg":"g"}]}"#, "f; g"),
            (
                r#"{"detail":[{"loc":["body","encoding_format",0],"msg":"not permitted"}]}"#,
                "not permitted (encoding_format)",
            ),
            (r#"{"error":{"param":"dimensions","message":"invalid"}}"#, "invalid (dimensions)"),
            (r#"{"error":{"message":"dimensions: invalid","param":"dimensions"}}"#, "dimensions: invalid"),
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
        for status in [400, 422, 403, 424] {
            assert_eq!(of(status, "no").verdict, Verdict::Refused, "{status}");
        }
        for who in
            ["invalid API key", "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z"]
        {
            assert_eq!(of(403, who).verdict, Verdict::Permanent);
        }
        for status in [401, 402, 404, 405, 498, 501, 505, 301, 307] {
            assert_eq!(of(status, "no").verdict, Verdict::Permanent, "{status}");
        }
        for status in [408, 409, 425, 429, 503, 504, 507, 520, 521, 522, 523, 524, 529, 599] {
            assert_eq!(of(status, "no").verdict, Verdict::Retry(None), "{status}");
        }
        for status in [500, 502] {
            assert_eq!(of(status, "no").verdict, Verdict::RetryThenRefused(None), "{status}");
        }
        for (status, body) in [
            (413, ""),
            (400, "Too many tokens in batch. Max is 16384 got 20000"),
            (400, r#"{"error":{"message":"no","code":"max_tokens_per_request"}}"#),
            (400, r#"{"error":{"message":"no","type":"context_length_exceeded"}}"#),
            (500, "the input length exceeds the context length"),
            (400, "This model's maximum context length is 8192 tokens"),
            (500, "input (3002 tokens) is too large to process"),
            (400, "the request exceeds the available context size, try increasing it"),
            (400, r#"{"error":{"message":"no","type":"exceed_context_size_error"}}"#),
            (400, "Request payload size exceeds the limit: 36000 bytes."),
            (400, "Request size cannot exceed 16777216 bytes"),
            (422, "`inputs` must have less than 512 tokens. Given: 600"),
            (400, "Input length 600 exceeds maximum allowed token size 512"),
            (400, "The max allowed tokens per submitted batch is 120000. Your batch has 150000 tokens"),
            (400, "Requested 300001 tokens, max 300000 tokens per request"),
            (400, "the input token count is 20001 but the model supports up to 20000"),
            (429, "Request too large for m on tokens per min (TPM): Limit 1000, Requested 5000."),
        ] {
            assert_eq!(of(status, body).verdict, Verdict::TooLarge, "{status} {body}");
        }
        for (status, body) in [
            (422, "batch size 40 > maximum allowed batch size 32"),
            (400, "Value error, batch size is invalid, it should not be larger than 10.: input.contents"),
            (400, "input array exceeds maximum length of 64"),
            (400, "BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch"),
            (422, r#"{"detail":[{"type":"too_long","msg":"List should have at most 32 items"}]}"#),
            (413, "batch size limit exceeded"),
            (400, "n must be <= 100"),
            (400, "#/texts: expected maximum item count: 96, found: 100, please reformat your input"),
            (400, "250 instance(s) is allowed per prediction. Actual: 251"),
            (400, "invalid request: total number of texts must be at most 96"),
            (400, "The number of inputs must not exceed 4"),
            (422, "List should have at most 32 items after validation, not 40"),
        ] {
            assert_eq!(of(status, body).verdict, Verdict::TooMany, "{status} {body}");
        }
        for body in [
            r#"{"error":"failed to encode response: json: unsupported value: NaN"}"#,
            "failed to tokenize input",
        ] {
            assert_eq!(of(500, body).verdict, Verdict::Refused, "{body}");
        }
    }

    #[test]
    fn a_wait_is_read_wherever_it_is_stated() {
        for (body, seconds) in [
            ("Rate limit reached. Please try again in 20s. Visit https://h", Some(20.0)),
            ("Please try again in 6m0.5s.", Some(360.5)),
            ("try again in 120ms", Some(0.12)),
            ("Please retry in 12.3 seconds", Some(12.3)),
            ("retry after 5 seconds", Some(5.0)),
            ("Too many requests, retry after 2 minutes", Some(120.0)),
            ("try again in a while", None),
            ("try again in 7", None),
            ("try again in ", None),
            (r#"{"error":"Model is loading","estimated_time":20.5}"#, Some(20.5)),
            (r#"{"error":"Model is loading","estimated_time":-1}"#, None),
            (
                r#"[{"error":{"code":429,"details":[{"@type":"x"},{"@type":"RetryInfo","retryDelay":"34s"}]}}]"#,
                Some(34.0),
            ),
        ] {
            let wait = seconds.map(Duration::from_secs_f64);
            assert_eq!(of(429, body).verdict, Verdict::Retry(wait), "{body}");
        }
        let reply = HttpReply {
            retry_after: Some(Duration::from_secs(2)),
            ..HttpReply::new(429, b"try again in 20s")
        };
        assert_eq!(classify(&reply).verdict, Verdict::Retry(Some(Duration::from_secs(2))));
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
