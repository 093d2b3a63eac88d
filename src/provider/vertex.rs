//! Google Cloud's Vertex AI, `:predict`; the region and the project stand in the URL.
//!
//! Source: litellm 1.106.2 (`llms/vertex_ai`), google-genai 3.4.0, which sends the same. The token lives an hour, so it is read for each request:
//! `key` = `file:PATH` of what `gcloud auth print-access-token` wrote. Newer models take one text a request: lower
//! `batch_size` for them.

use super::{BASE, Input, InputType, Model, Paths, Plain, Spec, Truncate};

pub(super) static VERTEX: Plain = Plain(Spec {
    name: "vertex",
    url: "https://{region}-aiplatform.googleapis.com/v1/projects/{project}/locations/{region}/publishers/google/models/{model}:predict",
    paths: Paths {
        bare: "/v1/projects/{project}/locations/{region}/publishers/google/models/{model}:predict",
        complete: &[],
        prefix: &[("/models", "/{model}:predict"), ("/publishers/google", "/models/{model}:predict")],
        other: Some("/publishers/google/models/{model}:predict"),
    },
    model: Model::IN_URL,
    batch_size: 1,
    batch_tokens: Some(20_000),
    input: Input::Items("instances/*/content"),
    dimensions: Some("parameters/outputDimensionality"),
    truncate: Some(Truncate::Flag("parameters/autoTruncate")),
    input_type: Some(InputType {
        field: "instances/*/task_type",
        query: Some("RETRIEVAL_QUERY"),
        document: Some("RETRIEVAL_DOCUMENT"),
        required: false,
    }),
    output: Some("/predictions/*/embeddings/values"),
    source: "litellm 1.106.2, google-genai 3.4.0",
    ..BASE
});

#[cfg(test)]
mod tests {
    use super::super::testing::{completed, plain, request};
    use super::super::{Ask, Provider};
    use super::*;
    use serde_json::json;

    #[test]
    fn each_text_is_an_instance() {
        let body = json!({"parameters": {"x": 1, "autoTruncate": null}});
        let ask = Ask {
            dimensions: Some(8),
            truncate: Some(false),
            input_type: Some("document"),
            body: body.as_object().unwrap(),
            ..plain()
        };
        let item = |text: &str| json!({"content": text, "task_type": "RETRIEVAL_DOCUMENT"});
        assert_eq!(
            request(&VERTEX, ask, &["a", "b"]),
            json!({"instances": [item("a"), item("b")], "parameters": {"outputDimensionality": 8, "x": 1}})
        );
        let body = json!({"instances": []});
        assert!(VERTEX.accepts(&Ask { body: body.as_object().unwrap(), ..plain() }).is_err());
    }

    #[test]
    fn reads_predictions() {
        let reply =
            br#"{"predictions":[{"embeddings":{"statistics":{"token_count":1},"values":[0.5,0.25]}}]}"#;
        assert_eq!(VERTEX.reply(reply, &|| true).unwrap().data, [0.5, 0.25]);
    }

    #[test]
    fn a_project_is_completed() {
        let project = "https://r-aiplatform.googleapis.com/v1/projects/p/locations/r";
        assert_eq!(completed("vertex", project), format!("{project}/publishers/google/models/m:predict"));
    }
}
