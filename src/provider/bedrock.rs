//! AWS Bedrock, `/model/ID/invoke`: the model's name selects the body. It takes an API key of Bedrock, or a signature.
//!
//! Source: litellm 1.106.2 (`llms/bedrock/embed`) for the bodies of Titan, Nova and Cohere, boto3 1.44.5 for the rest.

use super::{Auth, BASE, Fixed, Input, InputType, Model, Paths, Plain, Spec, Truncate, Varied};

const TITAN: Spec = Spec {
    name: "bedrock",
    url: "https://bedrock-runtime.{region}.amazonaws.com/model/{id}/invoke",
    paths: Paths {
        bare: "/model/{id}/invoke",
        complete: &["/invoke"],
        prefix: &[("/model", "/{id}/invoke")],
        other: Some("/invoke"),
    },
    key_env: &["AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID"],
    model: Model::IN_URL,
    batch_size: 1,
    input: Input::Text("inputText"),
    auth: Auth::BearerOrSigned("bedrock"),
    source: "litellm 1.106.2, boto3 1.44.5",
    ..BASE
};

const TITAN_V2: Spec =
    Spec { dimensions: Some("dimensions"), fixed: &[("normalize", Fixed::Flag(true))], ..TITAN };

const COHERE: Spec = Spec {
    batch_size: 96,
    input: Input::List("texts"),
    truncate: Some(Truncate::Word("truncate", "END", Some("NONE"))),
    input_type: Some(InputType {
        field: "input_type",
        query: Some("search_query"),
        document: Some("search_document"),
        required: true,
    }),
    ..TITAN
};

const NOVA: Spec = Spec {
    input: Input::Text("singleEmbeddingParams/text/value"),
    dimensions: Some("singleEmbeddingParams/embeddingDimension"),
    truncate: Some(Truncate::Word("singleEmbeddingParams/text/truncationMode", "END", Some("NONE"))),
    input_type: Some(InputType {
        field: "singleEmbeddingParams/embeddingPurpose",
        query: Some("GENERIC_RETRIEVAL"),
        document: Some("GENERIC_INDEX"),
        required: true,
    }),
    fixed: &[
        ("schemaVersion", Fixed::Text("nova-multimodal-embed-v1")),
        ("taskType", Fixed::Text("SINGLE_EMBEDDING")),
        ("singleEmbeddingParams/embeddingDimension", Fixed::Number(3072)),
        ("singleEmbeddingParams/text/truncationMode", Fixed::Text("END")),
    ],
    output: Some("/embeddings/0/embedding"),
    ..TITAN
};

pub(super) static BEDROCK: Varied = Varied {
    spec: TITAN,
    variants: &[
        ("titan-embed-text-v2", Plain(TITAN_V2)),
        ("cohere.embed", Plain(COHERE)),
        ("nova", Plain(NOVA)),
    ],
};

#[cfg(test)]
mod tests {
    use super::super::testing::{completed, plain, request};
    use super::super::{Ask, Provider};
    use super::*;
    use serde_json::json;

    fn at(path: &str) -> &'static dyn Provider {
        BEDROCK.at(path)
    }

    #[test]
    fn the_model_selects_the_body() {
        let ask = || Ask { input_type: Some("query"), ..plain() };
        let wide = || Ask { dimensions: Some(256), ..ask() };
        assert_eq!(
            request(at("/model/amazon.titan-embed-text-v1/invoke"), ask(), &["a"]),
            json!({"inputText": "a"})
        );
        assert_eq!(
            request(at("/model/amazon.titan-embed-text-v2%3A0/invoke"), wide(), &["a"]),
            json!({"inputText": "a", "dimensions": 256, "normalize": true})
        );
        assert_eq!(
            request(at("/model/cohere.embed-english-v3/invoke"), ask(), &["a", "b"]),
            json!({"texts": ["a", "b"], "input_type": "search_query"})
        );
        assert_eq!(
            request(at("/model/amazon.nova-2-multimodal-embeddings-v1%3A0/invoke"), wide(), &["a"]),
            json!({"schemaVersion": "nova-multimodal-embed-v1", "taskType": "SINGLE_EMBEDDING",
                   "singleEmbeddingParams": {"embeddingPurpose": "GENERIC_RETRIEVAL", "embeddingDimension": 256,
                                             "text": {"truncationMode": "END", "value": "a"}}})
        );
    }

    #[test]
    fn reads_each_reply() {
        let titan = br#"{"embedding":[0.5,0.25],"inputTextTokenCount":3}"#;
        let reply = BEDROCK.reply(titan, &|| true).unwrap();
        assert_eq!((reply.data.as_slice(), reply.tokens), (&[0.5, 0.25][..], Some(3)));
        let cohere = br#"{"embeddings":[[0.5,0.25]],"response_type":"embeddings_floats"}"#;
        assert_eq!(at("/model/cohere.embed/invoke").reply(cohere, &|| true).unwrap().data, [0.5, 0.25]);
        let nova = br#"{"embeddings":[{"embeddingType":"TEXT","embedding":[0.5,0.25]}]}"#;
        assert_eq!(at("/model/amazon.nova/invoke").reply(nova, &|| true).unwrap().data, [0.5, 0.25]);
    }

    #[test]
    fn the_model_is_percent_encoded() {
        let url = Some("https://bedrock-runtime.us-east-1.amazonaws.com");
        let made = super::super::endpoint(url, &TITAN, "amazon.titan-embed-text-v2:0").unwrap();
        assert_eq!(made.path(), "/model/amazon.titan-embed-text-v2%3A0/invoke");
        assert_eq!(completed("bedrock", "https://h/model/x"), "https://h/model/x/invoke");
    }
}
