//! One connection for call after call. Alone in its process, since the pool is the process's.

mod support;

use serde_json::json;
use support::{Scenario, texts};

#[test]
fn one_connection_serves_call_after_call() {
    let server = Scenario::new("keep-alive", json!({}));
    let session = server.session("openai", "/v1", json!({"cache": "off"}));
    for text in texts(200) {
        session.embed_one("c", &text, None).unwrap();
    }
    assert_eq!(server.report()["connections"], 1);
    assert_eq!(server.report()["requests"], 200);
}
