//! What travels to another machine over plain http. A proxy of the test's own plays that machine.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::json;
use sqlite_host::*;

/// A proxy that repeats all that it is told as the message of an error: an error is what the process behind
/// it can read, with the key in it hidden but in its place.
fn proxy() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map(Result::unwrap) {
            let mut input = BufReader::new(&stream);
            let body = head(&mut input);
            let start =
                format!("HTTP/1.1 418 Teapot\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            (&stream).write_all((start + &body).as_bytes()).unwrap();
        }
    });
    address
}

fn head(input: &mut BufReader<&TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(input.read_line(&mut head).unwrap(), 0, "{head}");
    }
    head
}

/// What a client with these options sends to 192.0.2.1, an address that nobody has.
fn sent(options: serde_json::Value) -> String {
    let mut all = json!({"format": "openai", "url": "http://192.0.2.1", "retries": 0, "timeout": 10});
    all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let db = open();
    db.run("SELECT rembed_register('c', ?)", [all.to_string()]);
    let text = db.embed_error("a").to_ascii_lowercase();
    assert!(text.contains("http 418") && text.contains("post http://192.0.2.1/v1/embeddings"), "{text}");
    text
}

#[test]
fn a_key_travels_where_that_is_allowed() {
    child().env("ALL_PROXY", proxy()).env("OPENAI_API_KEY", "sk-inherited").run(|| {
        for options in [
            json!({"key": "sk-literal", "allow_http": true}),
            json!({"key": "env:OPENAI_API_KEY", "allow_http": true}),
        ] {
            let text = sent(options);
            assert!(text.contains("authorization: bearer ***"), "{text}");
        }
    });
}

#[test]
fn a_key_that_nobody_gave_to_this_client_stays_at_home() {
    child().env("ALL_PROXY", proxy()).env("OPENAI_API_KEY", "sk-inherited").run(|| {
        for options in [json!({}), json!({"key": ""}), json!({"allow_http": true})] {
            let text = sent(options);
            assert!(!text.contains("authorization") && !text.contains("sk-inherited"), "{text}");
        }
    });
}

#[test]
fn a_server_on_this_machine_is_asked_without_the_proxy() {
    let world = world(json!({"width": 4}));
    let nobody = "http://127.0.0.1:9";
    child().env("ALL_PROXY", nobody).env("HTTP_PROXY", nobody).env("http_proxy", nobody).run_in(
        &world,
        |world| {
            for host in ["127.0.0.1", "localhost"] {
                let options = json!({"url": world.url().replace("127.0.0.1", host)});
                assert_eq!(open_with(world, &options.to_string()).embed("a").len(), 4);
            }
        },
    );
}
