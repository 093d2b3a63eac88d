//! Voyage `/v1/embeddings`, and `/v1/contextualizedembeddings` when the URL says so.
//!
//! Source: voyageai 0.5.0 (`api_resources/embedding.py`, `contextualized_embedding.py`). The second takes documents as
//! lists of chunks, and a chunk's vector depends on its neighbours. Here each text is a document of one chunk, so that
//! its vector is its own: requests are cut anywhere, and vectors are kept by their text.

use super::openai::PATHS;
use super::{BASE, Encodings, Fixed, Input, InputType, Model, Paths, Plain, Spec, Truncate, Varied};

const VOYAGE: Spec = Spec {
    name: "voyage",
    url: "https://api.voyageai.com/v1/embeddings",
    paths: Paths { complete: &["/embeddings", "/contextualizedembeddings"], ..PATHS },
    key_env: &["VOYAGE_API_KEY"],
    model: Model::SENT,
    batch_size: 128,
    batch_tokens: Some(120_000),
    input: Input::List("input"),
    dimensions: Some("output_dimension"),
    truncate: Some(Truncate::Flag("truncation")),
    input_type: Some(InputType {
        field: "input_type",
        query: Some("query"),
        document: Some("document"),
        required: false,
    }),
    encodings: Some(Encodings {
        field: "output_dtype",
        is_list: false,
        int8: Some("int8"),
        bit: Some("ubinary"),
    }),
    fixed: &[("encoding_format", Fixed::Text("base64"))],
    source: "voyageai 0.5.0",
    ..BASE
};

const CONTEXTUALIZED: Spec = Spec {
    input: Input::Items("inputs/*/0"),
    truncate: None,
    encodings: None,
    output: Some("/data/*/data/0/embedding"),
    ..VOYAGE
};

pub(super) static VOYAGE_AI: Varied =
    Varied { spec: VOYAGE, variants: &[("/contextualizedembeddings", Plain(CONTEXTUALIZED))] };

#[cfg(test)]
mod tests {
    use super::super::testing::{completed, plain, request};
    use super::super::{Ask, Provider};
    use super::*;
    use crate::base::vector::Encoding;
    use serde_json::json;

    #[test]
    fn it_has_its_own_field_names() {
        let ask = Ask { dimensions: Some(256), input_type: Some("query"), truncate: Some(true), ..plain() };
        assert_eq!(
            request(&VOYAGE_AI, ask, &["a"]),
            json!({"model": "m", "encoding_format": "base64", "output_dimension": 256, "truncation": true,
                   "input_type": "query", "input": ["a"]})
        );
        // No base64: what it holds of bytes or bits differs from one provider to the other.
        let ask = Ask { encoding: Encoding::Int8, ..plain() };
        assert_eq!(
            request(&VOYAGE_AI, ask, &["a"]),
            json!({"model": "m", "output_dtype": "int8", "input": ["a"]})
        );
    }

    #[test]
    fn a_text_is_a_document_of_one_chunk() {
        let url = "https://api.voyageai.com/v1/contextualizedembeddings";
        assert_eq!(completed("voyage", url), url);
        let format = VOYAGE_AI.at("/v1/contextualizedembeddings");
        let ask = Ask { dimensions: Some(256), input_type: Some("document"), ..plain() };
        assert_eq!(
            request(format, ask, &["a", "b"]),
            json!({"model": "m", "encoding_format": "base64", "output_dimension": 256,
                   "input_type": "document", "inputs": [["a"], ["b"]]})
        );
        let plain_numbers = Ask { numbers: true, ..plain() };
        assert_eq!(request(format, plain_numbers, &["a"]), json!({"model": "m", "inputs": [["a"]]}));
        let reply = br#"{"object":"list","data":[
            {"object":"list","data":[{"object":"embedding","embedding":"AAAAPwAAgD4=","index":0}],"index":0},
            {"object":"list","data":[{"object":"embedding","embedding":[-0.5,0.75],"index":0}],"index":1}
        ],"model":"voyage-context-3","usage":{"total_tokens":4}}"#;
        let reply = format.reply(reply, &|| true).unwrap();
        assert_eq!((reply.data, reply.tokens), (vec![0.5, 0.25, -0.5, 0.75], Some(4)));
    }
}
