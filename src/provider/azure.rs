//! Azure OpenAI: `/openai/v1/embeddings`, or a deployment's URL with its `api-version`.
//!
//! Source: openai-python 2.54.0 (`lib/azure.py`): a key goes by `api-key`, a token of Entra as a bearer's; the
//! deployment is named in `model`, and stands in the body too.

use super::{Auth, BASE, Fixed, Input, Paths, Plain, Spec};

pub(super) static AZURE: Plain = Plain(Spec {
    name: "azure",
    url: "https://{resource}.openai.azure.com/openai/v1/embeddings",
    paths: Paths {
        bare: "/openai/v1/embeddings",
        complete: &["/embeddings"],
        prefix: &[
            ("/openai/v1", "/embeddings"),
            ("/openai/deployments", "/{id}/embeddings?api-version=2024-10-21"),
            ("/openai", "/v1/embeddings"),
        ],
        other: Some("/embeddings?api-version=2024-10-21"),
    },
    key_env: &["AZURE_OPENAI_API_KEY"],
    batch_size: 256,
    batch_tokens: Some(300_000),
    input: Input::List("input"),
    dimensions: Some("dimensions"),
    fixed: &[("encoding_format", Fixed::Text("base64"))],
    auth: Auth::HeaderOrBearer("api-key"),
    source: "openai-python 2.54.0",
    ..BASE
});

#[cfg(test)]
mod tests {
    use super::super::testing::{completed, plain, request};
    use super::super::{Ask, Provider};
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_openai_with_a_key_of_its_own() {
        assert_eq!(
            request(&AZURE, Ask { dimensions: Some(8), ..plain() }, &["a"]),
            json!({"model": "m", "encoding_format": "base64", "dimensions": 8, "input": ["a"]})
        );
        let auth = AZURE.spec().auth;
        assert_eq!(auth.header("0123abcd"), ("api-key", ""));
        assert_eq!(auth.header("eyJhbGciOiJSUzI1NiJ9.e30.c2ln"), ("authorization", "Bearer "));
    }

    #[test]
    fn a_resource_and_a_deployment_are_completed() {
        let deployment = "https://h/openai/deployments/m/embeddings?api-version=";
        for (given, endpoint) in [
            ("https://h", "https://h/openai/v1/embeddings".to_owned()),
            ("https://h/openai/v1/", "https://h/openai/v1/embeddings".to_owned()),
            ("https://h/openai", "https://h/openai/v1/embeddings".to_owned()),
            ("https://h/openai/deployments", format!("{deployment}2024-10-21")),
            ("https://h/openai/deployments/m", format!("{deployment}2024-10-21")),
            ("https://h/openai/deployments/m?api-version=1", format!("{deployment}1")),
            ("https://h/openai/deployments/m/embeddings?api-version=1", format!("{deployment}1")),
        ] {
            assert_eq!(completed("azure", given), endpoint, "{given}");
        }
    }
}
