//! Hugging Face: the router's feature-extraction pipeline, and a text-embeddings-inference server's `/embed`.
//!
//! Source: huggingface_hub 1.33.0, which sends the parameters beside `inputs`; text-embeddings-inference @0d124dc
//! (`router/src/http`): 32 texts a request, bare arrays in the reply.

use super::{BASE, Input, InputType, Model, Paths, Plain, Spec, Truncate};

/// What servers of text-embeddings-inference have in common, wherever they stand.
pub(super) const SHARED: Spec = Spec {
    model: Model::IN_URL,
    batch_size: 32,
    input: Input::List("inputs"),
    truncate: Some(Truncate::Flag("truncate")),
    // A document has no prompt in most models; `query` is the name that sentence-transformers gives.
    input_type: Some(InputType {
        field: "prompt_name",
        query: Some("query"),
        document: None,
        required: false,
    }),
    ..BASE
};

pub(super) static HUGGINGFACE: Plain = Plain(Spec {
    name: "huggingface",
    url: "https://router.huggingface.co/hf-inference/models/{model}/pipeline/feature-extraction",
    paths: Paths {
        bare: "/hf-inference/models/{model}/pipeline/feature-extraction",
        complete: &["/feature-extraction", "/embed"],
        prefix: &[("/models", "/{model}/pipeline/feature-extraction")],
        // An endpoint of one's own is at whatever path it has.
        other: None,
    },
    key_env: &["HF_TOKEN"],
    source: "huggingface_hub 1.33.0",
    ..SHARED
});

pub(super) static TEI: Plain = Plain(Spec {
    name: "tei",
    url: "http://localhost:8080/embed",
    paths: Paths { bare: "/embed", complete: &["/embed"], prefix: &[], other: Some("/embed") },
    dimensions: Some("dimensions"),
    source: "text-embeddings-inference 0d124dc",
    ..SHARED
});

#[cfg(test)]
mod tests {
    use super::super::testing::{completed, plain, request};
    use super::super::{Ask, Provider};
    use super::*;
    use serde_json::json;

    #[test]
    fn the_options_stand_beside_the_inputs() {
        let ask = || Ask { truncate: Some(true), input_type: Some("query"), dimensions: Some(8), ..plain() };
        assert_eq!(
            request(&TEI, ask(), &["a"]),
            json!({"inputs": ["a"], "truncate": true, "prompt_name": "query", "dimensions": 8})
        );
        assert_eq!(
            request(&HUGGINGFACE, ask(), &["a"]),
            json!({"inputs": ["a"], "truncate": true, "prompt_name": "query"})
        );
        assert_eq!(request(&TEI, plain(), &["a", "b"]), json!({"inputs": ["a", "b"]}));
    }

    #[test]
    fn reads_bare_arrays_and_refuses_a_vector_a_token() {
        let reply = TEI.reply(b"[[0.5,0.25],[1,2]]", &|| true).unwrap();
        assert_eq!((reply.data.as_slice(), reply.rows), (&[0.5, 0.25, 1.0, 2.0][..], 2));
        let e = HUGGINGFACE.reply(b"[[[0.5,0.25],[1,2]]]", &|| true).unwrap_err().message;
        assert!(e.contains("one vector per token"), "{e}");
    }

    #[test]
    fn base_urls_are_completed() {
        let pipeline = "https://h/hf-inference/models/m/pipeline/feature-extraction";
        for (format, given, endpoint) in [
            ("huggingface", "https://h", pipeline),
            ("huggingface", "https://h/hf-inference/models", pipeline),
            ("huggingface", "https://h/mine", "https://h/mine"),
            ("tei", "http://h:80", "http://h:80/embed"),
            ("tei", "http://h/proxy", "http://h/proxy/embed"),
        ] {
            assert_eq!(completed(format, given), endpoint, "{given}");
        }
    }
}
