//! OpenAI's `/v1/embeddings`, and with it every server that speaks it.
//!
//! Source: openai-python 2.54.0 (`resources/embeddings.py`), which asks for base64 by default, so a server
//! that claims compatibility either sends it or ignores the field.

use super::{BASE, Fixed, Input, Model, Paths, Plain, Spec};

pub(super) const PATHS: Paths = Paths {
    bare: "/v1/embeddings",
    // SageMaker and Databricks, TEI, llamafile: those who have such an endpoint name it whole.
    complete: &["/embeddings", "/invocations", "/embed", "/embedding"],
    prefix: &[],
    // As OpenAI's SDKs do with whatever `base_url` they are given.
    other: Some("/embeddings"),
};

pub(super) static OPENAI: Plain = Plain(Spec {
    name: "openai",
    url: "https://api.openai.com/v1/embeddings",
    paths: PATHS,
    key_env: &["OPENAI_API_KEY"],
    model: Model::SENT,
    batch_size: 256,
    batch_tokens: Some(300_000),
    input: Input::List("input"),
    dimensions: Some("dimensions"),
    truncate: None,
    input_type: None,
    fixed: &[("encoding_format", Fixed::Text("base64"))],
    source: "openai-python 2.54.0",
    ..BASE
});

#[cfg(test)]
mod tests {
    use super::super::Provider;
    use super::super::testing::{fixture, plain, request};
    use super::super::{Ask, Verdict};
    use super::*;
    use serde_json::json;

    #[test]
    fn asks_for_base64_and_dimensions() {
        let ask = Ask { dimensions: Some(4), ..plain() };
        assert_eq!(
            request(&OPENAI, ask, &["a", "b"]),
            json!({"model": "m", "encoding_format": "base64", "dimensions": 4, "input": ["a", "b"]})
        );
    }

    #[test]
    fn reads_numbers_and_base64_alike() {
        let numbers = OPENAI.reply(&fixture("openai/numbers.json"), &|| true).unwrap();
        let base64 = OPENAI.reply(&fixture("openai/base64.json"), &|| true).unwrap();
        assert_eq!(numbers.data, [0.25, -0.5, 1.0, 0.125, 2.0, -4.0]);
        assert_eq!(numbers.data, base64.data);
        assert_eq!((numbers.index, numbers.tokens), (vec![0, 1], Some(5)));
    }

    #[test]
    fn a_spent_quota_is_not_retried_but_a_rate_limit_is() {
        let failure = |name: &str| {
            let body = fixture(name);
            OPENAI.failure(&super::super::HttpReply::new(429, &body))
        };
        assert_eq!(failure("openai/quota.json").verdict, Verdict::Permanent);
        assert_eq!(failure("openai/rate.json").verdict, Verdict::Retry(None));
    }
}
