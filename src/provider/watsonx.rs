//! IBM watsonx.ai, `/ml/v1/text/embeddings`. The project goes by the option `body`: `{"project_id": "…"}`.
//!
//! Source: litellm 1.106.2 (`llms/watsonx`), ibm-watsonx-ai 1.8.1. The servers take a token that lives an hour. IBM's IAM
//! gives one for an API key; a key that is a token already is sent as it is.

use super::{BASE, Input, Model, Paths, Plain, Spec};

pub(super) static WATSONX: Plain = Plain(Spec {
    name: "watsonx",
    url: "https://{region}.ml.cloud.ibm.com/ml/v1/text/embeddings?version=2024-03-13",
    paths: Paths {
        bare: "/ml/v1/text/embeddings?version=2024-03-13",
        complete: &[],
        prefix: &[
            ("/ml/v1/text/embeddings", "?version=2024-03-13"),
            ("/ml/v1", "/text/embeddings?version=2024-03-13"),
        ],
        other: None,
    },
    key_env: &["WATSONX_APIKEY", "WATSONX_API_KEY", "WATSONX_TOKEN"],
    token_url: Some("https://iam.cloud.ibm.com/identity/token"),
    model: Model { field: Some("model_id"), ..Model::SENT },
    batch_size: 100,
    input: Input::List("inputs"),
    output: Some("/results/*/embedding"),
    source: "litellm 1.106.2, ibm-watsonx-ai 1.8.1",
    ..BASE
});

#[cfg(test)]
mod tests {
    use super::super::testing::{completed, plain, request};
    use super::super::{Ask, Provider};
    use super::*;
    use serde_json::json;

    #[test]
    fn the_project_is_the_users() {
        let body = json!({"project_id": "p"});
        let ask = Ask { body: body.as_object().unwrap(), ..plain() };
        assert_eq!(
            request(&WATSONX, ask, &["a"]),
            json!({"model_id": "m", "project_id": "p", "inputs": ["a"]})
        );
        let reply = br#"{"results":[{"embedding":[0.5,0.25]}],"input_token_count":4}"#;
        let reply = WATSONX.reply(reply, &|| true).unwrap();
        assert_eq!((reply.data.as_slice(), reply.tokens), (&[0.5, 0.25][..], Some(4)));
    }

    #[test]
    fn the_version_is_added_where_there_is_none() {
        let made = "https://h/ml/v1/text/embeddings?version=2024-03-13";
        for given in ["https://h", "https://h/ml/v1", "https://h/ml/v1/text/embeddings", made] {
            assert_eq!(completed("watsonx", given), made, "{given}");
        }
        assert_eq!(
            completed("watsonx", "https://h?version=2025-01-01"),
            "https://h/ml/v1/text/embeddings?version=2025-01-01"
        );
    }
}
