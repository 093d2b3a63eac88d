//! Scenarios: settings, counters and the log.

mod common;

use std::io::Read as _;

use common::{Fake, write_request};
use serde_json::{Value, json};

#[test]
fn requests_are_counted_and_logged() {
    let fake = Fake::start();
    let base = fake.scenario("a", json!({"width": 2}));
    fake.rows(&base, &["x", "y"]);
    let body = json!({"input": "z"}).to_string();
    let path = format!("{base}/openai/deployments/d/embeddings?api-version=1");
    fake.try_send_with("POST", &path, body, &[("X-Mine", "1")]).unwrap();
    fake.send("POST", &format!("{base}/v1/embeddings"), "{");

    let report = fake.report("a");
    assert_eq!((&report["requests"], &report["texts"], &report["peak"]), (&json!(3), &json!(3), &json!(1)));
    assert_eq!(report["connections"], 1);
    let log = report["log"].as_array().unwrap();
    let statuses: Vec<&Value> = log.iter().map(|entry| &entry["status"]).collect();
    assert_eq!(statuses, [200, 200, 400]);
    assert_eq!(log[0]["texts"], json!(["x", "y"]));
    assert_eq!(log[1]["path"], "/openai/deployments/d/embeddings?api-version=1");
    assert_eq!(log[1]["headers"]["x-mine"], "1");
    assert_eq!(log[1]["body"], json!({"input": "z"}));
    assert_eq!(log[2]["body"], "{");
    assert_eq!(fake.send("GET", "/_", "").json(), json!({"connections": 1, "requests": 3, "texts": 3}));
}

#[test]
fn connections_used_for_control_do_not_count() {
    let fake = Fake::start();
    for _ in 0..2 {
        let mut stream = fake.connect();
        write_request(&mut stream, "");
        stream.read_exact(&mut [0]).unwrap();
    }
    assert_eq!(fake.send("GET", "/_", "").json()["connections"], 2);
}

#[test]
fn a_scenario_is_reset_and_deleted() {
    let fake = Fake::start();
    let base = fake.scenario("a", json!({"log": false}));
    fake.rows(&base, &["x"]);
    assert_eq!(fake.report("a")["log"], json!([]));
    fake.scenario("a", json!({}));
    assert_eq!(fake.report("a")["requests"], 0);
    assert_eq!(fake.send("DELETE", "/_/a", "").status, 200);
    assert_eq!(fake.send("GET", "/_/a", "").status, 404);
    assert_eq!(fake.post(&format!("{base}/v1/embeddings"), json!({"input": "x"})).status, 404);
}

#[test]
fn a_misspelt_setting_is_refused() {
    let fake = Fake::start();
    let reply = fake.send("PUT", "/_/a", r#"{"widht":3}"#);
    assert_eq!(reply.status, 400);
    assert!(reply.text.contains("widht"), "{}", reply.text);
    assert_eq!(fake.send("PUT", "/_/a", r#"{"faults":[{"stauts":3}]}"#).status, 400);
}

#[test]
fn keys_are_checked() {
    let fake = Fake::start();
    let send = |flavor: &str, path: &str, header: (&str, &str)| {
        let base = fake.scenario("key", json!({"key": "right", "flavor": flavor}));
        let body = json!({"model": "m", "input": "x", "texts": ["x"], "input_type": "clustering"});
        let reply =
            fake.try_send_with("POST", &format!("{base}{path}"), body.to_string(), &[header]).unwrap();
        (reply.status, reply.json())
    };
    let wrong = ("authorization", "Bearer wrong");
    assert_eq!(send("openai", "/v1/embeddings", ("authorization", "Bearer right")).0, 200);
    assert_eq!(send("openai", "/v1/embeddings", ("api-key", "right")).0, 200);
    let (status, body) = send("openai", "/v1/embeddings", wrong);
    assert_eq!((status, &body["error"]["code"]), (401, &json!("invalid_api_key")));
    let llama = json!({"error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401}});
    assert_eq!(send("llama", "/v1/embeddings", wrong), (401, llama));
    assert_eq!(send("jina", "/v1/embeddings", wrong), (401, json!({"detail": "Unauthorized"})));
    assert_eq!(send("openai", "/v2/embed", wrong), (401, json!({"message": "invalid api token"})));
    assert_eq!(send("openai", "/api/embed", wrong), (401, json!({"error": "unauthorized"})));
}

#[test]
fn limits() {
    let fake = Fake::start();
    let status = |settings: Value, texts: Value| {
        let base = fake.scenario("limit", settings);
        fake.post(&format!("{base}/v1/embeddings"), json!({"input": texts})).status
    };
    assert_eq!(status(json!({"max_batch": 2}), json!(["a", "b"])), 200);
    assert_eq!(status(json!({"max_batch": 2}), json!(["a", "b", "c"])), 400);
    assert_eq!(status(json!({"max_texts_too_large": 2}), json!(["a", "b", "c"])), 413);
    assert_eq!(status(json!({"max_texts_too_large": 2, "flavor": "mistral"}), json!(["a", "b", "c"])), 400);
    assert_eq!(status(json!({"max_tokens_per_text": 4}), json!(["one two"])), 200);
    assert_eq!(status(json!({"max_tokens_per_text": 4}), json!(["one two three"])), 500);
    assert_eq!(status(json!({"max_tokens_per_text": 4, "flavor": "openai"}), json!(["one two three"])), 400);
}

#[test]
fn requests_per_minute() {
    let fake = Fake::start();
    let base = fake.scenario("rpm", json!({"rpm": 2, "rpm_window_ms": 300}));
    let post = || fake.post(&format!("{base}/v1/embeddings"), json!({"input": "a"}));
    assert_eq!([post().status, post().status], [200, 200]);
    let limited = post();
    assert_eq!((limited.status, &limited.headers["retry-after"]), (429, &"1".parse().unwrap()));
    let wait: u64 = limited.headers["retry-after-ms"].to_str().unwrap().parse().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(wait + 1));
    assert_eq!(post().status, 200);
}

#[test]
fn fields_are_left_out() {
    let fake = Fake::start();
    let base = fake.scenario(
        "a",
        json!({"no_index": true, "no_usage": true, "float_only": true, "gzip": true, "width": 2}),
    );
    let body = json!({"input": "x", "encoding_format": "base64"});
    let reply = fake.post(&format!("{base}/v1/embeddings"), body);
    let value = reply.json();
    assert_eq!(value.get("usage"), None);
    assert_eq!(value["data"][0].get("index"), None);
    assert!(value["data"][0]["embedding"].is_array());
    // The client has unpacked it and then hides the header, but not the length.
    assert_ne!(reply.headers.get("content-length"), Some(&reply.text.len().into()));
}
