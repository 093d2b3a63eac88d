//! Nomic Atlas, `/v1/embedding/text`.
//!
//! Source: nomic 3.9.0 (`embed.py`): the field is `task_type`, lists are cut to ten texts a request, and the
//! size is `dimensionality`.

use super::{BASE, Input, InputType, Model, Paths, Plain, Spec, Truncate};

pub(super) static NOMIC: Plain = Plain(Spec {
    name: "nomic",
    url: "https://api-atlas.nomic.ai/v1/embedding/text",
    paths: Paths {
        bare: "/v1/embedding/text",
        complete: &["/embedding/text"],
        prefix: &[("/v1", "/embedding/text")],
        other: None,
    },
    key_env: &["NOMIC_API_KEY"],
    model: Model::SENT,
    batch_size: 10,
    batch_tokens: None,
    input: Input::List("texts"),
    dimensions: Some("dimensionality"),
    truncate: Some(Truncate::Word("long_text_mode", "truncate", None)),
    input_type: Some(InputType {
        field: "task_type",
        query: Some("search_query"),
        document: Some("search_document"),
        required: true,
    }),
    fixed: &[],
    source: "nomic 3.9.0",
    ..BASE
});

#[cfg(test)]
mod tests {
    use super::super::Ask;
    use super::super::Provider;
    use super::super::testing::{completed, fixture, plain, request};
    use super::*;
    use serde_json::json;

    #[test]
    fn sends_task_type_and_dimensionality() {
        let ask = Ask { dimensions: Some(64), input_type: Some("query"), truncate: Some(true), ..plain() };
        assert_eq!(
            request(&NOMIC, ask, &["a"]),
            json!({"model": "m", "dimensionality": 64, "long_text_mode": "truncate",
                   "task_type": "search_query", "texts": ["a"]})
        );
        assert_eq!(request(&NOMIC, plain(), &["a"])["task_type"], "search_document");
        let ask = Ask { input_type: Some("clustering"), ..plain() };
        assert_eq!(request(&NOMIC, ask, &["a"])["task_type"], "clustering");
        assert!(NOMIC.accepts(&Ask { truncate: Some(false), ..plain() }).is_err());
    }

    #[test]
    fn reads_embeddings_and_usage() {
        let reply = NOMIC.reply(&fixture("nomic/reply.json"), &|| true).unwrap();
        assert_eq!(reply.data, [0.5, 0.25, -0.5, 0.75]);
        assert_eq!((reply.index.len(), reply.tokens), (0, Some(6)));
    }

    #[test]
    fn base_urls_are_completed() {
        for (given, endpoint) in
            [("https://h", "https://h/v1/embedding/text"), ("https://h/v1", "https://h/v1/embedding/text")]
        {
            assert_eq!(completed("nomic", given), endpoint, "{given}");
        }
    }
}
