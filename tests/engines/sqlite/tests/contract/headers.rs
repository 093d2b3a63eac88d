//! Which headers are treated as keys are, and which are not.

use serde_json::json;
use sqlite_host::*;

const TITLE: &str = "error in my application";

#[test]
fn a_header_that_does_not_authenticate_leaves_the_formats_key_alone() {
    let world = world(json!({"width": 4}));
    child().env("OLLAMA_API_KEY", "sk-right").env("REMBED_TEST_TENANT", "tenant-0001").run_in(&world, |world| {
        let headers = json!({"X-Title": TITLE, "HTTP-Referer": "https://me.example", "x-tenant": "env:REMBED_TEST_TENANT",
                             "cookie": "session=1", "x-proxy-token": "t"});
        open_with(world, &json!({"key": "env:OLLAMA_API_KEY", "headers": headers}).to_string()).embed("a");
        let sent = world.only()["headers"].clone();
        assert_eq!(sent["authorization"], "Bearer sk-right");
        assert_eq!((&sent["x-title"], &sent["x-tenant"]), (&json!(TITLE), &json!("tenant-0001")));
        // Not named, the format's variable is read for its own server, and Ollama's is on this machine.
        open_with(world, &json!({"format": "ollama", "headers": headers}).to_string()).embed("b");
        assert_eq!(world.log()[1]["headers"]["authorization"], "Bearer sk-right");
    });
}

#[test]
fn a_header_that_holds_the_key_replaces_the_formats() {
    let world = world(json!({"width": 4}));
    child().env("OLLAMA_API_KEY", "sk-other").run_in(&world, |world| {
        for name in ["api-key", "X-Api-Key", "x-goog-api-key"] {
            open_with(world, &json!({"format": "ollama", "headers": {name: "sk-right"}}).to_string())
                .embed(name);
        }
        open_with(
            world,
            &json!({"format": "ollama", "headers": {"Authorization": "Token sk-right"}}).to_string(),
        )
        .embed("d");
        let log = world.log();
        assert_eq!(log.len(), 4);
        for entry in &log[..3] {
            assert_eq!(entry["headers"].get("authorization"), None, "{entry}");
        }
        assert_eq!(log[3]["headers"]["authorization"], "Token sk-right");
    });
}

#[test]
fn a_header_that_does_not_authenticate_goes_over_plain_http_and_into_messages() {
    let db = open();
    let register = |headers: serde_json::Value| {
        let options = json!({"format": "ollama", "url": "http://192.0.2.1", "headers": headers}).to_string();
        db.try_run("SELECT rembed_register('c', ?)", [options]).map_err(error)
    };
    register(json!({"X-Title": TITLE, "HTTP-Referer": "https://me.example", "x-tenant": "t"})).unwrap();
    for secret in
        [json!({"x-auth": "s"}), json!({"cookie": "s"}), json!({"x-tenant": "env:REMBED_TEST_TENANT"})]
    {
        let text = register(secret).unwrap_err();
        assert!(text.contains("allow_http"), "{text}");
    }
    let message = format!("{TITLE}: no such model");
    let world = faulty(json!({"status": 403, "body": {"message": message}}));
    let text = open_with(&world, &json!({"headers": {"X-Title": TITLE}}).to_string()).embed_error("a");
    assert!(text.contains(&message), "{text}");
}

#[test]
fn a_value_of_the_environment_is_kept_as_a_key_is_whatever_the_name() {
    let world = faulty(json!({"status": 403, "body": {"message": "who is hidden-value-17?"}}));
    child().env("REMBED_TEST_VALUE", "hidden-value-17").run_in(&world, |world| {
        let options = json!({"headers": {"x-tenant": "env:REMBED_TEST_VALUE"}});
        let text = open_with(world, &options.to_string()).embed_error("a");
        assert!(text.contains("who is ***?"), "{text}");
    });
}

#[test]
fn a_new_url_drops_the_headers_that_authenticate_and_no_others() {
    let (world, other) = (world(json!({"width": 4})), world(json!({"width": 4})));
    let headers = json!({"api-key": "sk-1", "cookie": "s=1", "X-Title": TITLE, "x-ref": "env:HOME"});
    let db = open_with(&world, &json!({"headers": headers}).to_string());
    db.run("UPDATE temp.rembed_clients SET url = ? WHERE name = 'c'", [other.url()]);
    db.embed("a");
    let sent = other.only()["headers"].clone();
    assert_eq!(sent["x-title"], TITLE);
    assert!(
        sent.get("x-ref").is_some() && sent.get("api-key").is_none() && sent.get("cookie").is_none(),
        "{sent}"
    );
}
