//! Mixedbread `/v1/embeddings`.
//!
//! Source: mixedbread 0.54.0: OpenAI's reply with extra fields; a query is told from a document by the
//! prompt that its retrieval models were trained with.

use super::openai::PATHS;
use super::{BASE, Encodings, Fixed, Input, InputType, Model, Plain, Spec};

pub(super) static MIXEDBREAD: Plain = Plain(Spec {
    name: "mixedbread",
    url: "https://api.mixedbread.com/v1/embeddings",
    paths: PATHS,
    key_env: &["MXBAI_API_KEY", "MIXEDBREAD_API_KEY"],
    model: Model::SENT,
    batch_size: 128,
    batch_tokens: None,
    input: Input::List("input"),
    dimensions: Some("dimensions"),
    truncate: None,
    input_type: Some(InputType {
        field: "prompt",
        query: Some("Represent this sentence for searching relevant passages: "),
        document: None,
        required: false,
    }),
    fixed: &[("encoding_format", Fixed::Text("base64")), ("normalized", Fixed::Flag(true))],
    encodings: Some(Encodings {
        field: "encoding_format",
        is_list: false,
        int8: Some("int8"),
        bit: Some("ubinary"),
    }),
    source: "mixedbread 0.54.0",
    ..BASE
});

#[cfg(test)]
mod tests {
    use super::super::Ask;
    use super::super::Provider;
    use super::super::testing::{completed, fixture, plain, request};
    use super::*;

    #[test]
    fn a_query_gets_the_prompt_and_a_document_none() {
        let body = request(&MIXEDBREAD, Ask { input_type: Some("query"), ..plain() }, &["a"]);
        assert!(body["prompt"].as_str().unwrap().starts_with("Represent this sentence"));
        let body = request(&MIXEDBREAD, Ask { input_type: Some("document"), ..plain() }, &["a"]);
        assert!(body.get("prompt").is_none());
    }

    #[test]
    fn reads_one_and_several_encodings() {
        for name in ["base64", "dict"] {
            let reply = MIXEDBREAD.reply(&fixture(&format!("mixedbread/{name}.json")), &|| true).unwrap();
            assert_eq!(reply.data, [0.5, 0.25], "{name}");
        }
    }

    #[test]
    fn base_urls_are_completed() {
        assert_eq!(completed("mixedbread", "https://h/v1/"), "https://h/v1/embeddings");
    }
}
