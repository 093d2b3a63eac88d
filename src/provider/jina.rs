//! Jina `/v1/embeddings`.
//!
//! Source: litellm 1.106.2 and LangChain's wrapper: OpenAI's reply, `task` for the input type, and
//! `embedding_type` for the encoding. `normalized` has no documented default, so it is sent.

use super::openai::PATHS;
use super::{BASE, Encodings, Fixed, Input, InputType, Model, Plain, Spec, Truncate};

pub(super) static JINA: Plain = Plain(Spec {
    name: "jina",
    url: "https://api.jina.ai/v1/embeddings",
    paths: PATHS,
    key_env: &["JINA_API_KEY", "JINA_AI_API_KEY"],
    model: Model::SENT,
    batch_size: 128,
    batch_tokens: None,
    input: Input::List("input"),
    dimensions: Some("dimensions"),
    truncate: Some(Truncate::Flag("truncate")),
    input_type: Some(InputType {
        field: "task",
        query: Some("retrieval.query"),
        document: Some("retrieval.passage"),
        required: false,
    }),
    fixed: &[("embedding_type", Fixed::Text("base64")), ("normalized", Fixed::Flag(true))],
    encodings: Some(Encodings { field: "embedding_type", is_list: false, int8: None, bit: Some("ubinary") }),
    source: "litellm 1.106.2",
    ..BASE
});

#[cfg(test)]
mod tests {
    use super::super::Provider;
    use super::super::testing::{completed, fixture, plain, request};
    use super::super::{Ask, HttpReply};
    use super::*;
    use serde_json::json;

    #[test]
    fn sends_task_and_embedding_type() {
        let ask = Ask { input_type: Some("query"), truncate: Some(true), ..plain() };
        assert_eq!(
            request(&JINA, ask, &["a"]),
            json!({"model": "m", "embedding_type": "base64", "normalized": true, "truncate": true,
                   "task": "retrieval.query", "input": ["a"]})
        );
        assert!(request(&JINA, plain(), &["a"]).get("task").is_none());
    }

    #[test]
    fn reads_its_error() {
        let body = fixture("jina/error.json");
        let failure = JINA.failure(&HttpReply::new(401, &body));
        assert_eq!(failure.message, "Invalid API key");
    }

    #[test]
    fn base_urls_are_completed() {
        assert_eq!(completed("jina", "http://[::1]:9"), "http://[::1]:9/v1/embeddings");
    }
}
