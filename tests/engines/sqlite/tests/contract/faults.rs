//! What a provider does wrong becomes an error in words, never a wrong vector.

use serde_json::{Value, json};
use sqlite_host::*;

/// The error of one call without retries, checked for what every error must have.
fn error_of(fault: Value) -> String {
    let world = faulty(fault.clone());
    let text = open_with(&world, "{\"retries\":0,\"timeout\":10}").embed_error("a");
    assert!(text.starts_with("client 'c' (openai)"), "{fault}: {text}");
    assert!(text.chars().count() <= 700, "{} characters: {text:.900}", text.chars().count());
    // A kept connection that ends before the reply is replaced once: servers close those that are idle.
    let most = if fault.get("reset").is_some() || fault.get("close").is_some() { 2 } else { 1 };
    assert!((1..=most).contains(&world.requests()), "{} requests: {text}", world.requests());
    text
}

#[test]
fn a_refusal_tells_status_and_message() {
    for (fault, parts) in [
        (json!({"status": 400}), ["HTTP 400", "The request was refused"]),
        (json!({"status": 401}), ["HTTP 401", "Incorrect API key provided"]),
        (json!({"status": 403, "body": {"error": "no entry"}}), ["HTTP 403", "no entry"]),
        (json!({"status": 404, "body": {"detail": "no model"}}), ["HTTP 404", "no model"]),
        (json!({"status": 404, "body": ""}), ["HTTP 404", "url"]),
        (json!({"status": 418, "body": "I'm a teapot"}), ["HTTP 418", "I'm a teapot"]),
        (
            json!({"status": 422, "body": {"detail": [{"msg": "bad"}, {"msg": "worse"}]}}),
            ["HTTP 422", "bad; worse"],
        ),
        (json!({"status": 429}), ["HTTP 429", "Rate limit"]),
        (json!({"status": 500}), ["HTTP 500", "The server had an error"]),
        (json!({"status": 503, "body": "upstream\n\n  down"}), ["HTTP 503", "upstream down"]),
    ] {
        let text = error_of(fault);
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
}

#[test]
fn what_is_no_reply_of_embeddings_is_an_error() {
    for (fault, part) in [
        (json!({"html": true}), "JSON"),
        (json!({"bad_json": true}), "JSON"),
        (json!({"status": 200, "body": ""}), "JSON"),
        (json!({"status": 200, "body": {}}), "embedding"),
        (json!({"status": 200, "body": []}), "0 embeddings"),
        (json!({"status": 200, "body": {"data": null}}), "embeddings"),
        (json!({"status": 200, "body": {"data": "none"}}), "embeddings"),
        (json!({"status": 200, "body": {"data": [{"index": 0}]}}), "embedding"),
        (json!({"status": 200, "body": {"data": [{"embedding": [1, "a"], "index": 0}]}}), "embedding"),
        (json!({"status": 200, "body": {"data": [{"embedding": [[[1]]], "index": 0}]}}), "nested"),
        (json!({"status": 200, "body": {"data": [{"embedding": "!", "index": 0}]}}), "base64"),
        (json!({"status": 200, "body": {"data": [{"embedding": "AAA=", "index": 0}]}}), "f32"),
        (json!({"status": 200, "body": {"data": [{"embedding": [1], "index": 1}]}}), "index 1"),
        (json!({"status": 204, "body": ""}), "JSON"),
    ] {
        let text = error_of(fault.clone());
        assert!(text.contains(part), "{fault}: {text}");
    }
}

#[test]
fn a_vector_that_cannot_be_right_is_an_error() {
    for (fault, part) in [
        (json!({"count": 1}), "2 embeddings for 1"),
        (json!({"count": -1}), "0 embeddings for 1"),
        (json!({"empty": true}), "0 embeddings for 1"),
        (json!({"nan": true}), "not finite"),
        (json!({"inf": true}), "not finite"),
        (json!({"zero": true}), "zero"),
        (json!({"null": true}), "null"),
        (json!({"row_width": 0}), "empty embedding"),
    ] {
        let text = error_of(fault.clone());
        assert!(text.contains(part), "{fault}: {text}");
    }
}

/// JSON has neither; a server that writes them anyway is understood well enough to be refused.
#[test]
fn numbers_that_json_lacks_are_an_error_too() {
    for fault in ["nan", "inf"] {
        let world = world(json!({"width": 4, "float_only": true, "faults": [{fault: true}]}));
        let text = open_with(&world, "{\"retries\":0}").embed_error("a");
        assert!(text.contains("client 'c' (openai)") && text.contains("not finite"), "{fault}: {text}");
    }
}

#[test]
fn an_ollama_that_sends_nothing_for_a_text_is_an_error() {
    let world = world(json!({"width": 4}));
    let legacy = json!({"format": "ollama", "url": world.base() + "/api/embeddings"});
    let text = open_with(&world, &legacy.to_string()).embed_error("");
    assert!(text.contains("empty embedding"), "{text}");
}

#[test]
fn a_width_other_than_asked_is_an_error() {
    let world = world(json!({"width": 4, "faults": [{"width": 6}]}));
    let text = open_with(&world, "{\"dimensions\":4}").embed_error("a");
    assert!(text.contains("6 dimensions") && text.contains('4'), "{text}");
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = world(json!({"width": 4}));
    let text = error_of(json!({"redirect": elsewhere.url()}));
    assert!(text.contains("HTTP 307") && text.contains("redirect") && text.contains("url"), "{text}");
    assert_eq!(elsewhere.requests(), 0);
}

#[test]
fn a_connection_that_breaks_is_an_error() {
    for fault in
        [json!({"reset": "before"}), json!({"reset": "mid"}), json!({"truncate": 10}), json!({"truncate": 0})]
    {
        let text = error_of(fault.clone());
        assert!(text.contains("127.0.0.1"), "{fault}: {text}");
    }
}

#[test]
fn a_header_without_bounds_is_an_error() {
    error_of(json!({"huge_header": true}));
}

#[test]
fn the_message_of_a_provider_is_bounded() {
    for body in [json!("x".repeat(100_000)), json!({"error": {"message": "é\t".repeat(100_000)}})] {
        let text = error_of(json!({"status": 400, "body": body}));
        assert!(text.chars().count() > 400, "{text}");
    }
}

#[test]
fn a_reply_that_makes_no_sense_is_not_repeated_at_length() {
    let long = "x".repeat(100_000);
    for body in [
        json!({"data": long}),
        json!({"data": [{"embedding": [long], "index": 0}]}),
        json!({"embeddings": {"float": long}}),
    ] {
        error_of(json!({"status": 200, "body": body}));
    }
}

#[test]
fn a_reply_may_be_slow_or_compressed_or_end_the_connection() {
    for fault in [json!({"drip_ms": 1}), json!({"close": true}), json!({"delay_ms": 30})] {
        let db = open_with_client(&faulty(fault));
        assert_eq!((db.embed("a").len(), db.embed("b").len()), (4, 4));
    }
}

/// A fake of its own, since a connection that dies in the pool may strike any test of this process.
#[test]
fn a_server_may_close_a_connection_without_a_word() {
    let fake = Fake::start();
    let world = fake.world(json!({"width": 4, "faults": [{"close": "silent"}]}));
    let db = open_with_client(&world);
    for text in ["a", "b", "c"] {
        assert_eq!(db.embed(text).len(), 4);
    }
}

#[test]
fn the_host_goes_on_after_every_error() {
    let world = faulty(json!({"text": "bad", "bad_json": true}));
    let db = open_with(&world, "{\"retries\":0}");
    db.run("CREATE TABLE t(x)", ());
    db.run("INSERT INTO t VALUES ('one'), ('bad'), ('two')", ());
    assert!(db.try_run("SELECT rembed('c', x) FROM t", ()).is_err());
    assert_eq!(db.all::<Vec<u8>>("SELECT rembed('c', x) FROM t WHERE x <> 'bad'", ()).len(), 2);
}
