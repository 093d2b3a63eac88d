//! AWS SageMaker, `/endpoints/NAME/invocations`: an endpoint that runs text-embeddings-inference, or another container
//! that takes `inputs`. The model's name is the endpoint's.
//!
//! Source: boto3 1.44.5 (`sagemaker-runtime`) for the request; the body is that of [`super::huggingface`], whose server
//! has it at `/invocations` too, and sagemaker-huggingface-inference-toolkit 2.6.0 leaves fields that it does not know.

use super::{Auth, Paths, Plain, Spec, huggingface};

pub(super) static SAGEMAKER: Plain = Plain(Spec {
    name: "sagemaker",
    url: "https://runtime.sagemaker.{region}.amazonaws.com/endpoints/{id}/invocations",
    paths: Paths {
        bare: "/endpoints/{id}/invocations",
        complete: &["/invocations"],
        prefix: &[("/endpoints", "/{id}/invocations")],
        other: Some("/invocations"),
    },
    key_env: &["AWS_ACCESS_KEY_ID"],
    auth: Auth::Signed("sagemaker"),
    source: "boto3 1.44.5, sagemaker-huggingface-inference-toolkit 2.6.0",
    ..huggingface::SHARED
});

#[cfg(test)]
mod tests {
    use super::super::testing::{completed, plain, request};
    use super::super::{Ask, Provider};
    use super::*;
    use serde_json::json;

    #[test]
    fn the_texts_are_inputs_and_the_reply_is_lists() {
        let ask = Ask { truncate: Some(true), input_type: Some("document"), ..plain() };
        assert_eq!(request(&SAGEMAKER, ask, &["a", "b"]), json!({"inputs": ["a", "b"], "truncate": true}));
        let reply = SAGEMAKER.reply(b"[[0.5,0.25],[1,2]]", &|| true).unwrap();
        assert_eq!((reply.data.as_slice(), reply.rows), (&[0.5, 0.25, 1.0, 2.0][..], 2));
        let e = SAGEMAKER.reply(b"[[[[1,2],[3,4]]]]", &|| true).unwrap_err();
        assert!(e.message.contains("nested too deeply"), "{e:?}");
        let e = SAGEMAKER.reply(b"[[[1,2],[3,4]]]", &|| true).unwrap_err();
        assert!(e.message.contains("one vector per token"), "{e:?}");
    }

    #[test]
    fn the_name_of_the_endpoint_is_the_models() {
        let url = Some("https://runtime.sagemaker.us-east-1.amazonaws.com");
        let made = super::super::endpoint(url, SAGEMAKER.spec(), "my-endpoint").unwrap();
        assert_eq!(made.path(), "/endpoints/my-endpoint/invocations");
        assert_eq!(completed("sagemaker", "https://h/endpoints/x"), "https://h/endpoints/x/invocations");
    }
}
