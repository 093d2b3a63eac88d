//! llamafile and llama.cpp's llama-server: `/embedding`, or `/v1/embeddings` as the URL says.
//!
//! Source: llamafile `server/embedding.cpp` @006f743 (one text a request, flat reply) and llama.cpp's server
//! README @00dc805 with replies recorded from a real server (tests/fixtures/llamafile). Five shapes of the
//! native reply are in the wild; the reader takes all of them and refuses one vector per token.

use super::{BASE, Input, Model, Paths, Provider, Spec};

const NATIVE: Spec = Spec {
    name: "llamafile",
    url: "http://localhost:8080/embedding",
    paths: Paths {
        bare: "/v1/embeddings",
        complete: &["/embedding", "/embeddings"],
        prefix: &[("/v1", "/embeddings")],
        other: None,
    },
    key_env: &[],
    model: Model::IF_NAMED,
    // llamafiler takes one; a llama-server takes many: raise batch_size for it.
    batch_size: 1,
    batch_tokens: None,
    input: Input::TextOrList("content"),
    dimensions: None,
    truncate: None,
    input_type: None,
    fixed: &[],
    source: "llama.cpp 00dc805",
    ..BASE
};

static SPEC: Spec = NATIVE;
static SPEC_V1: Spec = Spec { input: Input::TextOrList("input"), ..NATIVE };

pub(super) struct Llamafile(&'static Spec);
pub(super) static LLAMAFILE: Llamafile = Llamafile(&SPEC);
static V1: Llamafile = Llamafile(&SPEC_V1);

impl Provider for Llamafile {
    fn spec(&self) -> &Spec {
        self.0
    }

    fn at(&'static self, path: &str) -> &'static dyn Provider {
        if path.ends_with("/v1/embeddings") { &V1 } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{completed, fixture, plain, request};
    use super::super::{Ask, HttpReply, Verdict};
    use super::*;
    use serde_json::json;

    #[test]
    fn one_text_is_a_string() {
        let ask = || Ask { model: None, ..plain() };
        assert_eq!(request(&LLAMAFILE, ask(), &["a"]), json!({"content": "a"}));
        assert_eq!(request(&LLAMAFILE, ask(), &["a", "b"]), json!({"content": ["a", "b"]}));
        assert_eq!(request(LLAMAFILE.at("/v1/embeddings"), ask(), &["a"]), json!({"input": "a"}));
    }

    #[test]
    fn reads_every_shape() {
        for name in ["native", "flat", "nested", "list_flat", "openai", "llamafiler"] {
            let reply = LLAMAFILE.reply(&fixture(&format!("llamafile/{name}.json")), &|| true).unwrap();
            assert_eq!(reply.data, [-0.03438354, 0.03091762, 0.006737071, 0.026057426], "{name}");
        }
    }

    #[test]
    fn one_vector_per_token_is_refused() {
        let e = LLAMAFILE.reply(&fixture("llamafile/per_token.json"), &|| true).unwrap_err().message;
        assert!(e.contains("--pooling"), "{e}");
    }

    #[test]
    fn a_text_too_large_is_not_retried() {
        let body = fixture("llamafile/too_large.json");
        let failure = LLAMAFILE.failure(&HttpReply::new(500, &body));
        assert_eq!(failure.verdict, Verdict::TooLarge);
        assert!(failure.message.contains("3002 tokens"));
    }

    #[test]
    fn base_urls_are_completed() {
        for (given, endpoint) in
            [("http://h", "http://h/v1/embeddings"), ("http://h/embedding", "http://h/embedding")]
        {
            assert_eq!(completed("llamafile", given), endpoint, "{given}");
        }
    }
}
