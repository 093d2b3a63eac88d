//! Cohere `/v2/embed`, and `/v1/embed` when the URL says so.
//!
//! Source: cohere 7.3.1 (`v2/raw_client.py`, `config.py`): 96 texts a request, `input_type` required,
//! embeddings by type. Floats are asked for: what its type `base64` encodes is not documented.

use super::{BASE, Encodings, Fixed, Input, InputType, Model, Paths, Provider, Spec, Truncate};

const V2: Spec = Spec {
    name: "cohere",
    url: "https://api.cohere.com/v2/embed",
    paths: Paths {
        bare: "/v2/embed",
        complete: &["/embed"],
        prefix: &[("/v1", "/embed"), ("/v2", "/embed")],
        other: None,
    },
    key_env: &["CO_API_KEY"],
    model: Model::SENT,
    batch_size: 96,
    batch_tokens: None,
    input: Input::List("texts"),
    dimensions: Some("output_dimension"),
    truncate: Some(Truncate::Word("truncate", "END", Some("NONE"))),
    input_type: Some(InputType {
        field: "input_type",
        query: Some("search_query"),
        document: Some("search_document"),
        required: true,
    }),
    fixed: &[("embedding_types", Fixed::Words(["float"]))],
    encodings: Some(Encodings {
        field: "embedding_types",
        is_list: true,
        int8: Some("int8"),
        bit: Some("ubinary"),
    }),
    source: "cohere 7.3.1",
    ..BASE
};

static SPEC_V2: Spec = V2;
// v1 knows neither output_dimension nor, on old deployments, embedding types.
static SPEC_V1: Spec = Spec { dimensions: None, fixed: &[], encodings: None, ..V2 };

pub(super) struct Cohere(&'static Spec);
pub(super) static COHERE: Cohere = Cohere(&SPEC_V2);
static COHERE_V1: Cohere = Cohere(&SPEC_V1);

impl Provider for Cohere {
    fn spec(&self) -> &Spec {
        self.0
    }

    fn at(&'static self, path: &str) -> &'static dyn Provider {
        if path.ends_with("/v1/embed") { &COHERE_V1 } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ask;
    use super::super::testing::{completed, fixture, plain, request};
    use super::*;
    use crate::base::vector::Encoding;
    use serde_json::json;

    #[test]
    fn v2_always_sends_an_array_an_input_type_and_the_type_wanted() {
        assert_eq!(
            request(&COHERE, Ask { dimensions: Some(256), ..plain() }, &["a"]),
            json!({"model": "m", "embedding_types": ["float"], "output_dimension": 256,
                   "input_type": "search_document", "texts": ["a"]})
        );
        let ask = Ask { input_type: Some("query"), truncate: Some(false), ..plain() };
        assert_eq!(
            request(COHERE.at("/v1/embed"), ask, &["a"]),
            json!({"model": "m", "truncate": "NONE", "input_type": "search_query", "texts": ["a"]})
        );
    }

    #[test]
    fn bytes_and_bits_are_asked_for_by_type_and_read_by_no_other() {
        for (encoding, word, body) in [
            (Encoding::Int8, "int8", r#"{"embeddings":{"float":[[0.5]],"int8":[[-128,127]]}}"#),
            (Encoding::Bit, "ubinary", r#"{"embeddings":{"ubinary":[[0,255]]}}"#),
        ] {
            let ask = Ask { encoding, ..plain() };
            assert_eq!(
                request(&COHERE, ask, &["a"]),
                json!({"model": "m", "embedding_types": [word], "input_type": "search_document", "texts": ["a"]})
            );
            COHERE.accepts(&ask).unwrap();
            assert!(COHERE.at("/v1/embed").accepts(&ask).unwrap_err().contains("no option 'encoding'"));
            assert_eq!(COHERE.reply_as(encoding, body.as_bytes(), &|| true).unwrap().width, 2);
            let float = br#"{"embeddings":{"float":[[0.5]]}}"#;
            let e = COHERE.reply_as(encoding, float, &|| true).unwrap_err().message;
            assert!(e.contains(word), "{e}");
        }
    }

    #[test]
    fn reads_the_three_shapes() {
        for name in ["v2_float", "v2_base64", "v1_floats"] {
            let reply = COHERE.reply(&fixture(&format!("cohere/{name}.json")), &|| true).unwrap();
            assert_eq!(reply.data, [0.5, 0.25, -0.5, 0.75], "{name}");
            assert_eq!(reply.tokens, Some(4), "{name}");
        }
    }

    #[test]
    fn base_urls_are_completed() {
        for (given, endpoint) in [
            ("https://h", "https://h/v2/embed"),
            ("https://h/v1", "https://h/v1/embed"),
            ("https://h/v2", "https://h/v2/embed"),
        ] {
            assert_eq!(completed("cohere", given), endpoint, "{given}");
        }
    }
}
