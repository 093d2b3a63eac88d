//! The options that every format has.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlite_host::*;

const NAMES: [&str; 22] = [
    "format",
    "model",
    "url",
    "key",
    "dimensions",
    "input_type",
    "normalize",
    "truncate",
    "headers",
    "body",
    "timeout",
    "connect_timeout",
    "retries",
    "batch_size",
    "batch_tokens",
    "concurrency",
    "connections",
    "requests_per_minute",
    "tokens_per_minute",
    "cache",
    "scope",
    "allow_http",
];

#[test]
fn every_option_of_the_contract_is_accepted_in_every_form() {
    let all = json!({
        "format": "ollama", "model": "m", "url": "http://localhost:1", "key": "env:K", "dimensions": 256,
        "input_type": "query", "normalize": true, "truncate": true, "headers": {"x-a": "b"},
        "body": {"user": "u"}, "timeout": 1.5, "connect_timeout": 2, "retries": 0, "batch_size": 10,
        "batch_tokens": 1000, "concurrency": 4, "connections": 8, "requests_per_minute": 60, "tokens_per_minute": 1000,
        "cache": "off", "scope": "connection", "allow_http": true
    });
    assert_eq!(all.as_object().unwrap().len(), NAMES.len());
    let db = open();
    db.run("SELECT rembed_register('a', ?)", [all.to_string()]);
    db.run("INSERT INTO temp.rembed_clients(name, options) VALUES ('b', ?)", [all.to_string()]);
    for name in NAMES {
        // SQL has neither objects nor booleans: objects come as JSON text.
        let value = match &all[name] {
            Value::String(text) => format!("'{text}'"),
            Value::Bool(true) => "1".into(),
            Value::Object(object) => format!("'{}'", Value::Object(object.clone())),
            other => other.to_string(),
        };
        let format = if name == "format" { "" } else { "'format', 'ollama', " };
        db.run(&format!("SELECT rembed_register('c', {format}'{name}', {value})"), ());
        let text = db.get::<String>(&format!("SELECT rembed_client_options('{name}', {value})"), ());
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn an_unknown_option_is_named_and_the_known_ones_are_listed() {
    let db = open();
    for sql in [
        "SELECT rembed_register('c', 'format', 'openai', 'dimension', 256)",
        "SELECT rembed_register('c', '{\"format\":\"openai\",\"dimension\":256}')",
        "SELECT rembed_client_options('format', 'openai', 'dimension', 256)",
        "INSERT INTO temp.rembed_clients(name, options) VALUES ('c', '{\"format\":\"openai\",\"dimension\":1}')",
    ] {
        let text = error(db.fails(sql, ()));
        assert!(text.contains("'dimension'"), "{sql}: {text}");
        let missing: Vec<_> = NAMES.iter().filter(|name| !text.contains(**name)).collect();
        assert!(missing.is_empty(), "{sql}: {missing:?} are not in {text}");
    }
}

#[test]
fn a_width_that_the_server_ignores_is_an_error() {
    let world = world(json!({"width": 8, "flavor": "llama"}));
    let text = open_with(&world, "{\"dimensions\":4}").embed_error("a");
    for part in ["client 'c' (openai)", "8", "4", "dimensions"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(open_with(&world, "{\"dimensions\":8}").embed("a").len(), 8);
}

#[test]
fn vectors_are_scaled_to_length_one_when_asked() {
    let world = world(json!({"width": 64}));
    let url = world.base() + "/api/embeddings";
    let legacy =
        |normalize: bool| json!({"format": "ollama", "url": url, "normalize": normalize}).to_string();
    let plain = open_with(&world, &legacy(false)).embed("a");
    let normal = open_with(&world, &legacy(true)).embed("a");
    assert!((length(&plain) - 2.0).abs() < 1e-6, "{}", length(&plain));
    assert!((length(&normal) - 1.0).abs() < 1e-6, "{}", length(&normal));
    assert!(plain.iter().zip(&normal).all(|(p, n)| (p - 2.0 * n).abs() < 1e-6));
}

#[test]
fn extra_headers_arrive() {
    let directory = Directory::new("headers");
    let file = format!("file:{}", directory.file("team", "from-a-file\n"));
    let world = world(json!({"width": 4}));
    child().env("REMBED_TEST_TEAM", "from-the-environment").run(|| {
        let headers = json!({
            "X-Plain": "as it is", "X-Env": "env:REMBED_TEST_TEAM", "X-File": file, "api-key": "k",
            "User-Agent": "mine"
        });
        open_with(&world, &json!({"headers": headers}).to_string()).embed("a");
        let sent = &world.only()["headers"];
        for (name, value) in [
            ("x-plain", "as it is"),
            ("x-env", "from-the-environment"),
            ("x-file", "from-a-file"),
            ("api-key", "k"),
            ("user-agent", "mine"),
            ("content-type", "application/json"),
        ] {
            assert_eq!(sent[name], value, "{name}");
        }
        assert!(sent.get("authorization").is_none());
    });
}

#[test]
fn an_authorization_header_takes_the_place_of_the_key() {
    let world = world(json!({"width": 4}));
    let options = json!({"key": "sk-1", "headers": {"Authorization": "Basic abc"}});
    open_with(&world, &options.to_string()).embed("a");
    assert_eq!(world.only()["headers"]["authorization"], "Basic abc");
}

#[test]
fn extra_fields_of_the_body_arrive_and_win() {
    let world = world(json!({"width": 4}));
    let body =
        json!({"user": "ü", "nested": {"list": [1, null]}, "encoding_format": "float", "model": "mine"});
    open_with(&world, &json!({"body": body}).to_string()).embed("a");
    let sent = &world.only()["body"];
    for field in ["user", "nested", "encoding_format", "model"] {
        assert_eq!(sent[field], body[field], "{field}");
    }
    assert_eq!(sent["input"], json!(["a"]));
}

#[test]
fn a_field_of_the_body_may_not_replace_the_texts() {
    let world = world(json!({"width": 4}));
    let options = json!({"format": "openai", "url": world.url(), "body": {"input": "other"}});
    let text = error(open().fails("SELECT rembed_register('c', ?)", [options.to_string()]));
    assert!(text.contains("'input'"), "{text}");
}

#[test]
fn base64_and_numbers_give_the_same_bits() {
    let world = world(json!({"width": 1000}));
    let base64 = open_with(&world, "{}").get::<Vec<u8>>("SELECT rembed('c', 'a')", ());
    let float = open_with(&world, "{\"body\":{\"encoding_format\":\"float\"}}");
    let float = float.get::<Vec<u8>>("SELECT rembed('c', 'a')", ());
    assert!(base64 == float);
    let asked: Vec<_> = world.log().iter().map(|entry| entry["body"]["encoding_format"].clone()).collect();
    assert_eq!(asked, ["base64", "float"]);
}

#[test]
fn a_base_url_is_completed_and_a_whole_one_is_kept() {
    let world = world(json!({"width": 4}));
    let db = open();
    for (format, path, arrives) in [
        ("openai", "/v1", "/v1/embeddings"),
        ("openai", "/v1/", "/v1/embeddings"),
        ("openai", "/embeddings", "/embeddings"),
        ("openai", "/openai/v1", "/openai/v1/embeddings"),
        (
            "openai",
            "/openai/deployments/a%2Fb/embeddings?api-version=1",
            "/openai/deployments/a%2Fb/embeddings?api-version=1",
        ),
        ("ollama", "", "/api/embed"),
        ("ollama", "/", "/api/embed"),
        ("ollama", "/api", "/api/embed"),
        ("ollama", "/api/embeddings", "/api/embeddings"),
        ("cohere", "/v1", "/v1/embed"),
        ("cohere", "/v2/", "/v2/embed"),
        ("nomic", "/v1", "/v1/embedding/text"),
    ] {
        register(&db, "c", &world, &json!({"format": format, "url": world.base() + path}).to_string());
        db.embed("a");
        assert_eq!(world.log().last().unwrap()["path"], arrives, "{format} {path}");
    }
}

#[test]
fn a_url_that_cannot_work_is_refused() {
    let db = open();
    for url in ["localhost:8080", "ftp://h", "http://", "http://u:secret@h", "http://h/#x", "http://h /", ""]
    {
        let text = error(db.fails("SELECT rembed_register('c', 'format', 'openai', 'url', ?)", [url]));
        assert!(text.contains("url") && !text.contains("secret"), "{url}: {text}");
    }
}

#[test]
fn connecting_takes_no_longer_than_its_own_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts: once the queue is full, the kernel leaves new connections waiting.
    let mut queue = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queue.push(stream);
    }
    let db = open();
    let options = json!({
        "format": "openai", "url": format!("http://{address}"), "connect_timeout": 0.3, "retries": 0
    });
    db.run("SELECT rembed_register('c', ?)", [options.to_string()]);
    let start = Instant::now();
    let text = db.embed_error("a");
    let took = start.elapsed();
    assert!(text.contains("connect_timeout") && text.contains(&address.to_string()), "{text}");
    assert!(took >= Duration::from_millis(290) && took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let db = open();
    let options = json!({"format": "ollama", "url": format!("http://{address}"), "retries": 1});
    db.run("SELECT rembed_register('c', ?)", [options.to_string()]);
    let text = db.embed_error("a");
    for part in ["client 'c' (ollama)", &address.to_string(), "refused"] {
        assert!(text.contains(part), "{text}");
    }
    // Nobody comes to listen at a port of this machine within seconds: it is asked once.
    assert!(!text.contains("attempts"), "{text}");
}
