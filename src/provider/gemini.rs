//! Google's Gemini API, `:batchEmbedContents`.
//!
//! Source: google-genai 3.4.0, which always sends a batch, and each item with the model's name. A hundred texts are the
//! API's ceiling.

use super::{Auth, BASE, Input, InputType, Model, Paths, Plain, Spec};

pub(super) const TASKS: InputType = InputType {
    field: "requests/*/taskType",
    query: Some("RETRIEVAL_QUERY"),
    document: Some("RETRIEVAL_DOCUMENT"),
    required: false,
};

pub(super) static GEMINI: Plain = Plain(Spec {
    name: "gemini",
    url: "https://generativelanguage.googleapis.com/v1beta/models/{model}:batchEmbedContents",
    paths: Paths {
        bare: "/v1beta/models/{model}:batchEmbedContents",
        complete: &[],
        prefix: &[("/models", "/{model}:batchEmbedContents")],
        other: Some("/models/{model}:batchEmbedContents"),
    },
    key_env: &["GOOGLE_API_KEY", "GEMINI_API_KEY"],
    model: Model { field: Some("requests/*/model"), prefix: "models/", required: true },
    batch_size: 100,
    input: Input::Items("requests/*/content/parts/0/text"),
    dimensions: Some("requests/*/outputDimensionality"),
    input_type: Some(TASKS),
    auth: Auth::Header("x-goog-api-key"),
    output: Some("/embeddings/*/values"),
    source: "google-genai 3.4.0",
    ..BASE
});

#[cfg(test)]
mod tests {
    use super::super::testing::{completed, plain, request};
    use super::super::{Ask, Provider};
    use super::*;
    use serde_json::json;

    #[test]
    fn each_text_is_a_request_of_its_own() {
        let ask = Ask { dimensions: Some(8), input_type: Some("query"), ..plain() };
        let item = |text: &str| {
            json!({"model": "models/m", "content": {"parts": [{"text": text}]}, "outputDimensionality": 8,
                   "taskType": "RETRIEVAL_QUERY"})
        };
        assert_eq!(request(&GEMINI, ask, &["a", "b"]), json!({"requests": [item("a"), item("b")]}));
        let ask = Ask { model: Some("models/m"), ..plain() };
        assert_eq!(request(&GEMINI, ask, &["a"])["requests"][0]["model"], "models/m");
        assert_eq!(GEMINI.spec().auth.header("k"), ("x-goog-api-key", ""));
    }

    #[test]
    fn reads_values() {
        let reply = br#"{"embeddings":[{"values":[0.5,0.25]},{"values":[1,2]}],"usageMetadata":{}}"#;
        let reply = GEMINI.reply(reply, &|| true).unwrap();
        assert_eq!((reply.data.as_slice(), reply.rows), (&[0.5, 0.25, 1.0, 2.0][..], 2));
        assert!(GEMINI.reply(br#"{"embeddings":[{"x":[1]}]}"#, &|| true).is_err());
    }

    #[test]
    fn base_urls_are_completed() {
        for (given, endpoint) in [
            ("https://h", "https://h/v1beta/models/m:batchEmbedContents"),
            ("https://h/v1", "https://h/v1/models/m:batchEmbedContents"),
            ("https://h/v1/models/x:batchEmbedContents", "https://h/v1/models/x:batchEmbedContents"),
        ] {
            assert_eq!(completed("gemini", given), endpoint, "{given}");
        }
    }
}
