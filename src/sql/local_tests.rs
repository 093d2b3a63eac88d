//! Format `local` through a session, with the small model of its tests.

use std::sync::Arc;

use super::session::Session;
use crate::base::interrupt::Uninterrupted;
use crate::client::Client;
use crate::client::options::Options;
use crate::local::testing::{Dir, expected, near};

fn client(dir: &Dir, more: &str) -> crate::base::error::Result<Arc<Client>> {
    let path = serde_json::Value::from(dir.path().to_string_lossy());
    Client::new("c", Options::parse(&format!(r#"{{"format": "local", "model": {path}{more}}}"#))?)
}

#[test]
fn options_of_a_server_are_refused() {
    let dir = Dir::model();
    for more in [
        r#""url": "http://h""#,
        r#""key": "k""#,
        r#""retries": 1"#,
        r#""headers": {"a": "b"}"#,
        r#""body": {}"#,
    ] {
        let e = client(&dir, &format!(", {more}")).unwrap_err().to_string();
        assert!(e.contains("means nothing") && e.contains("truncate"), "{e}");
    }
    let e = client(&dir, r#", "input_type": "clustering""#).unwrap_err().to_string();
    assert!(e.contains("no such input type"), "{e}");
}

#[test]
fn a_type_of_the_models_own_is_its_prefix_and_changes_the_cache_key() {
    let dir = Dir::model();
    dir.write("config_sentence_transformers.json", r#"{"prompts": {"query": "w3 ", "sts": "w4 "}}"#);
    let client = client(&dir, "").unwrap();
    let key = |input_type| client.cache_key_with(input_type, &[0; 32]);
    let keys = [key(None).unwrap(), key(Some("query")).unwrap(), key(Some("sts")).unwrap()];
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
    assert!(key(Some("other")).unwrap_err().contains("query, document, sts"), "{:?}", key(Some("other")));
    let session = Session::new("test", Arc::new(Uninterrupted), None);
    let options =
        serde_json::json!({"format": "local", "model": dir.path().to_string_lossy(), "query_prefix": "w5 "});
    session.register("c", options.as_object().unwrap().clone()).unwrap();
    for (input_type, tokens) in [(Some("sts"), [0, 4, 2, 1]), (Some("query"), [0, 5, 2, 1])] {
        assert!(
            near(&session.embed_one("c", "w2", input_type).unwrap(), &expected(&tokens, 4)),
            "{input_type:?}"
        );
    }
    // [CLS] and [SEP] are counted, as the model's limit counts them.
    assert_eq!(session.call("c", None).unwrap().count_tokens("w2 w3").unwrap(), 4);
}
