//! What is tried again and what is not, and that a call ends in its time.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};
use sqlite_host::*;

const QUOTA: &str = "You exceeded your current quota, please check your plan and billing details.";

fn call(fault: Value, options: &str) -> (World<'static>, Connection) {
    let world = faulty(fault);
    let db = open_with(&world, options);
    (world, db)
}

#[test]
fn a_failure_that_passes_is_tried_again() {
    for fault in [
        json!({"first": 1, "status": 429}),
        json!({"first": 1, "status": 429, "headers": {"retry-after-ms": 20}}),
        json!({"first": 1, "status": 500}),
        json!({"first": 1, "status": 502, "body": "Bad Gateway"}),
        json!({"first": 1, "status": 503}),
        json!({"first": 1, "status": 504}),
        json!({"first": 1, "status": 408}),
        json!({"first": 1, "status": 529}),
        json!({"first": 1, "reset": "before"}),
        json!({"first": 1, "reset": "mid"}),
        json!({"first": 1, "truncate": 20}),
    ] {
        let (world, db) = call(fault.clone(), "{}");
        assert_eq!(db.embed("a").len(), 4, "{fault}");
        assert_eq!(world.requests(), 2, "{fault}");
    }
}

#[test]
fn the_server_is_given_the_time_that_it_asks_for() {
    for (header, value) in [("retry-after", json!(1)), ("retry-after-ms", json!(1000))] {
        let (world, db) = call(json!({"first": 1, "status": 429, "headers": {header: value}}), "{}");
        assert_eq!(db.embed("a").len(), 4);
        let at: Vec<_> = world.log().iter().map(|entry| entry["at_ms"].as_u64().unwrap()).collect();
        let waited = at[1] - at[0];
        assert!((1000..2500).contains(&waited), "{header}: {waited} ms");
    }
}

#[test]
fn a_failure_that_stays_is_told_with_the_number_of_attempts() {
    let (world, db) = call(json!({"status": 429, "headers": {"retry-after-ms": 1}}), "{}");
    let text = db.embed_error("a");
    assert!(text.contains("HTTP 429") && text.contains("5 attempts"), "{text}");
    assert_eq!(world.requests(), 5, "four retries are the default");
    let (world, db) = call(json!({"status": 500, "headers": {"retry-after-ms": 1}}), "{\"retries\":2}");
    assert!(db.embed_error("a").contains("3 attempts"));
    assert_eq!(world.requests(), 3);
}

#[test]
fn no_retries_means_one_request() {
    let (world, db) = call(json!({"status": 500}), "{\"retries\":0}");
    db.embed_error("a");
    assert_eq!(world.requests(), 1);
}

#[test]
fn a_failure_that_stays_for_good_is_not_tried_again() {
    let quota =
        json!({"error": {"message": QUOTA, "type": "insufficient_quota", "code": "insufficient_quota"}});
    for (fault, part) in [
        (json!({"status": 400}), "HTTP 400"),
        (json!({"status": 401}), "HTTP 401"),
        (json!({"status": 402}), "HTTP 402"),
        (json!({"status": 403}), "HTTP 403"),
        (json!({"status": 404}), "HTTP 404"),
        (json!({"status": 405}), "HTTP 405"),
        (json!({"status": 413}), "HTTP 413"),
        (json!({"status": 422}), "HTTP 422"),
        (json!({"status": 429, "body": quota}), QUOTA),
        (json!({"status": 503, "headers": {"x-should-retry": "false"}}), "HTTP 503"),
        (json!({"redirect": "http://127.0.0.1:9/"}), "HTTP 307"),
        (json!({"html": true}), "JSON"),
        (json!({"zero": true}), "zero"),
        (json!({"count": 1}), "2 embeddings"),
    ] {
        let (world, db) = call(fault.clone(), "{}");
        let text = db.embed_error("a");
        assert!(text.contains(part), "{fault}: {text}");
        assert_eq!(world.requests(), 1, "{fault}");
    }
}

#[test]
fn a_text_too_large_for_llama_is_not_tried_again_though_it_answers_500() {
    for path in ["/v1/embeddings", "/embedding"] {
        let world = world(json!({"width": 4, "flavor": "llama", "max_tokens_per_text": 10}));
        let options = json!({"format": "llamafile", "url": world.base() + path});
        let text = open_with(&world, &options.to_string()).embed_error(&"word ".repeat(50));
        assert!(text.contains("HTTP 500") && text.contains("too large to process"), "{text}");
        assert_eq!(world.requests(), 1);
    }
}

#[test]
fn a_call_ends_in_its_time_whatever_the_server_does() {
    for fault in [json!({"hang": true}), json!({"drip_ms": 300}), json!({"first": 1, "delay_ms": 5000})] {
        let (_world, db) = call(fault.clone(), "{\"timeout\":0.5}");
        let start = Instant::now();
        let text = db.embed_error("a");
        let took = start.elapsed();
        assert!(text.contains("client 'c' (openai)") && text.contains("timeout"), "{fault}: {text}");
        assert!(took >= Duration::from_millis(450) && took < Duration::from_secs(2), "{fault}: {took:?}");
    }
}

/// Whichever comes first, the end of the time or the bound of a body.
#[test]
fn a_body_without_end_is_given_up() {
    let (world, db) = call(json!({"endless": true}), "{\"timeout\":0.5}");
    let start = Instant::now();
    let text = db.embed_error("a");
    assert!(text.contains("timeout") || text.contains("larger than"), "{text}");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(world.requests(), 1);
}

#[test]
fn the_time_is_that_of_the_whole_call_with_its_retries() {
    let (world, db) = call(json!({"status": 500, "delay_ms": 200}), "{\"timeout\":0.9,\"retries\":50}");
    let start = Instant::now();
    let text = db.embed_error("a");
    let took = start.elapsed();
    assert!(text.contains("timeout"), "{text}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(world.requests() < 8);
}

#[test]
fn a_wait_that_does_not_fit_the_time_is_not_begun() {
    let (world, db) = call(json!({"status": 429, "headers": {"retry-after": 3600}}), "{\"timeout\":5}");
    let start = Instant::now();
    let text = db.embed_error("a");
    for part in ["HTTP 429", "Rate limit", "3600", "timeout"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(world.requests(), 1);
}
