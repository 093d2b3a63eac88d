//! Databricks' serving endpoints, and Snowflake's Cortex: the model's own servers at a customer's host.
//!
//! Source: litellm 1.106.2 (`llms/databricks`, `llms/snowflake`).

use super::{BASE, Input, Paths, Plain, Spec};

pub(super) static DATABRICKS: Plain = Plain(Spec {
    name: "databricks",
    url: "https://{workspace}/serving-endpoints/embeddings",
    paths: Paths {
        bare: "/serving-endpoints/embeddings",
        complete: &["/embeddings", "/invocations"],
        prefix: &[],
        other: Some("/embeddings"),
    },
    key_env: &["DATABRICKS_TOKEN", "DATABRICKS_API_KEY"],
    batch_size: 100,
    dimensions: Some("dimensions"),
    source: "litellm 1.106.2",
    ..BASE
});

pub(super) static SNOWFLAKE: Plain = Plain(Spec {
    name: "snowflake",
    url: "https://{account}.snowflakecomputing.com/api/v2/cortex/inference:embed",
    paths: Paths {
        bare: "/api/v2/cortex/inference:embed",
        complete: &[],
        prefix: &[],
        other: Some("/cortex/inference:embed"),
    },
    batch_size: 32,
    input: Input::List("text"),
    source: "litellm 1.106.2",
    ..BASE
});

#[cfg(test)]
mod tests {
    use super::super::testing::{completed, plain, request};
    use super::super::{Ask, Provider};
    use super::*;
    use serde_json::json;

    #[test]
    fn snowflake_has_text_and_nests_each_vector() {
        assert_eq!(request(&SNOWFLAKE, plain(), &["a"]), json!({"model": "m", "text": ["a"]}));
        let reply = br#"{"data":[{"embedding":[[0.5,0.25]],"index":0}],"usage":{"total_tokens":3}}"#;
        let reply = SNOWFLAKE.reply(reply, &|| true).unwrap();
        assert_eq!((reply.data.as_slice(), reply.tokens), (&[0.5, 0.25][..], Some(3)));
        assert!(SNOWFLAKE.accepts(&Ask { truncate: Some(true), ..plain() }).is_err());
    }

    #[test]
    fn base_urls_are_completed() {
        for (format, given, endpoint) in [
            ("databricks", "https://h", "https://h/serving-endpoints/embeddings"),
            ("databricks", "https://h/serving-endpoints", "https://h/serving-endpoints/embeddings"),
            (
                "databricks",
                "https://h/serving-endpoints/e/invocations",
                "https://h/serving-endpoints/e/invocations",
            ),
            ("snowflake", "https://h/api/v2", "https://h/api/v2/cortex/inference:embed"),
        ] {
            assert_eq!(completed(format, given), endpoint, "{given}");
        }
    }
}
