//! Ollama `/api/embed`, the legacy `/api/embeddings` and its OpenAI layer, as the URL says.
//!
//! Source: ollama server snapshot fb30760 (`server/routes.go`) and ollama-python 0.6.3. The legacy endpoint
//! takes one text, has no truncate or dimensions, and does not normalise.

use super::{BASE, Failure, Fixed, HttpReply, Input, Model, Paths, Provider, Spec, Truncate, failure};

const EMBED: Spec = Spec {
    name: "ollama",
    url: "http://localhost:11434/api/embed",
    paths: Paths {
        bare: "/api/embed",
        complete: &["/api/embed", "/api/embeddings", "/v1/embeddings"],
        prefix: &[("/api", "/embed"), ("/v1", "/embeddings")],
        other: Some("/api/embed"),
    },
    key_env: &["OLLAMA_API_KEY"],
    model: Model::SENT,
    batch_size: 32,
    batch_tokens: None,
    input: Input::List("input"),
    dimensions: Some("dimensions"),
    truncate: Some(Truncate::Flag("truncate")),
    input_type: None,
    fixed: &[],
    source: "ollama-python 0.6.3",
    ..BASE
};

static SPEC: Spec = EMBED;
static SPEC_LEGACY: Spec =
    Spec { batch_size: 1, input: Input::Text("prompt"), dimensions: None, truncate: None, ..EMBED };
static SPEC_V1: Spec = Spec { truncate: None, fixed: &[("encoding_format", Fixed::Text("base64"))], ..EMBED };

pub(super) struct Ollama(&'static Spec);
pub(super) static OLLAMA: Ollama = Ollama(&SPEC);
static LEGACY: Ollama = Ollama(&SPEC_LEGACY);
static V1: Ollama = Ollama(&SPEC_V1);

impl Provider for Ollama {
    fn spec(&self) -> &Spec {
        self.0
    }

    fn at(&'static self, path: &str) -> &'static dyn Provider {
        if path.ends_with("/api/embeddings") {
            &LEGACY
        } else if path.ends_with("/v1/embeddings") {
            &V1
        } else {
            self
        }
    }

    fn failure(&self, reply: &HttpReply<'_>) -> Failure {
        let mut failure = failure::classify(reply);
        if reply.status == 404 && failure.message.contains("not found") && failure.message.contains("model") {
            failure.message += " (ollama pull fetches a model)";
        }
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{completed, fixture, plain, request};
    use super::super::{Ask, Verdict};
    use super::*;
    use serde_json::json;

    #[test]
    fn the_url_selects_the_body() {
        let ask = || Ask { dimensions: Some(8), ..plain() };
        assert_eq!(
            request(&OLLAMA, Ask { truncate: Some(false), ..ask() }, &["a"]),
            json!({"model": "m", "dimensions": 8, "truncate": false, "input": ["a"]})
        );
        assert_eq!(
            request(OLLAMA.at("/x/api/embeddings"), ask(), &["a"]),
            json!({"model": "m", "prompt": "a"})
        );
        assert_eq!(
            request(OLLAMA.at("/v1/embeddings"), ask(), &["a"]),
            json!({"model": "m", "encoding_format": "base64", "dimensions": 8, "input": ["a"]})
        );
    }

    #[test]
    fn reads_both_replies() {
        let reply = OLLAMA.reply(&fixture("ollama/embed.json"), &|| true).unwrap();
        assert_eq!((reply.data.as_slice(), reply.tokens), (&[0.5, 0.25, -0.5, 0.75][..], Some(6)));
        let reply = OLLAMA.reply(&fixture("ollama/legacy.json"), &|| true).unwrap();
        assert_eq!(reply.data, [0.5, 0.25]);
    }

    #[test]
    fn a_missing_model_says_what_to_do() {
        let body = fixture("ollama/missing.json");
        let failure = OLLAMA.failure(&HttpReply::new(404, &body));
        assert_eq!(failure.verdict, Verdict::Permanent);
        assert!(failure.message.contains("'nope' not found") && failure.message.contains("ollama pull"));
    }

    #[test]
    fn base_urls_are_completed() {
        for (given, endpoint) in [
            ("http://localhost:11434", "http://localhost:11434/api/embed"),
            ("http://h/api", "http://h/api/embed"),
            ("http://h/proxy", "http://h/proxy/api/embed"),
            ("http://h/api/embeddings", "http://h/api/embeddings"),
            ("http://h/v1", "http://h/v1/embeddings"),
            ("http://h/v1/embeddings", "http://h/v1/embeddings"),
        ] {
            assert_eq!(completed("ollama", given), endpoint, "{given}");
        }
    }
}
