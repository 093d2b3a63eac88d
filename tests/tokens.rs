//! A key that is exchanged for a token: who gets the one, who the other, how often, and what a bad answer does.

mod support;

use serde_json::{Value, json};
use sqlite_rembed::Session;
use support::{Scenario, texts};

const KEY: &str = "api-key-of-mine-1";
const TOKEN: &str = "tok-9f8e7d6c5b4a";

/// A scenario that gives `TOKEN` for `KEY`.
fn service(name: &str, mut settings: Value) -> Scenario {
    settings["key"] = TOKEN.into();
    settings["api_key"] = KEY.into();
    Scenario::new(name, settings)
}

/// The client `c` of it.
fn session(server: &Scenario, mut options: Value) -> Session {
    for (name, value) in
        [("key", KEY), ("token_url", &format!("{}/identity/token", server.url())), ("cache", "off")]
    {
        if options.get(name).is_none() {
            options[name] = value.into();
        }
    }
    server.session("watsonx", "/ml/v1", options)
}

fn embed(session: &Session, texts: &[String]) -> Result<usize, String> {
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    session.embed("c", &texts, None).map(|vectors| vectors.len()).map_err(|e| e.to_string())
}

/// What was asked, in order: `token`, or `texts` with the status where it is no 200.
fn asked(server: &Scenario) -> Vec<String> {
    let report = server.report();
    let log = report["log"].as_array().unwrap().clone();
    let name = |entry: &Value| match entry["path"].as_str().unwrap() {
        "/identity/token" => "token",
        _ => "texts",
    };
    log.iter()
        .map(|entry| match entry["status"].as_u64().unwrap() {
            200 => name(entry).to_owned(),
            status => format!("{} {status}", name(entry)),
        })
        .collect()
}

#[test]
fn many_requests_share_one_exchange_and_each_server_gets_its_own() {
    let server = service("shared", json!({"latency_ms": 20}));
    let connect = || session(&server, json!({"batch_size": 1, "concurrency": 8}));
    let (one, other) = (connect(), connect());
    assert_eq!(embed(&one, &texts(40)), Ok(40));
    assert_eq!(embed(&other, &texts(3)), Ok(3));
    let report = server.report();
    let (exchanges, requests): (Vec<_>, Vec<_>) =
        report["log"].as_array().unwrap().iter().partition(|entry| entry["path"] == "/identity/token");
    assert_eq!((exchanges.len(), requests.len()), (1, 43));
    let form = "grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey=api-key-of-mine-1";
    assert_eq!(exchanges[0]["sent"], form);
    assert_eq!(exchanges[0]["headers"]["content-type"], "application/x-www-form-urlencoded");
    assert!(exchanges[0]["headers"].get("authorization").is_none());
    for request in requests {
        assert_eq!(request["headers"]["authorization"], format!("Bearer {TOKEN}"));
        assert!(!request.to_string().contains(KEY));
    }
}

#[test]
fn a_token_is_used_until_it_expires_or_is_refused() {
    let server = service("expired", json!({"token_life": 0}));
    let c = session(&server, json!({}));
    assert_eq!((embed(&c, &texts(1)), embed(&c, &texts(1))), (Ok(1), Ok(1)));
    assert_eq!(asked(&server), ["token", "texts", "token", "texts"]);

    let server = service("refused", json!({"faults": [{"requests": [2], "status": 401}]}));
    let c = session(&server, json!({}));
    assert_eq!((embed(&c, &texts(1)), embed(&c, &texts(1))), (Ok(1), Ok(1)));
    assert_eq!(asked(&server), ["token", "texts", "texts 401", "token", "texts"]);

    // Once: what is refused with a fresh token stays refused.
    let server = service("refused-twice", json!({"faults": [{"requests": [2, 4], "status": 401}]}));
    let c = session(&server, json!({}));
    assert_eq!(embed(&c, &texts(1)), Ok(1));
    let e = embed(&c, &texts(1)).unwrap_err();
    assert!(e.contains("HTTP 401") && !e.contains(TOKEN), "{e}");
    assert_eq!(asked(&server), ["token", "texts", "texts 401", "token", "texts 401"]);
    let server = service("refused-fresh", json!({"faults": [{"requests": [1], "status": 401}]}));
    assert!(embed(&session(&server, json!({})), &texts(1)).is_err());
    assert_eq!(asked(&server), ["token", "texts 401"]);
}

#[test]
fn a_token_is_sent_as_it_is() {
    let jwt = "eyJhbGciOi.eyJpYW1faWQ.c2lnbmF0dXJl";
    let server = Scenario::new("jwt", json!({"key": jwt}));
    assert_eq!(embed(&session(&server, json!({"key": jwt})), &texts(1)), Ok(1));
    assert_eq!(asked(&server), ["texts"]);
}

#[test]
fn an_exchange_that_fails_says_so_and_is_tried_again_where_that_helps() {
    let server = service("wrong-key", json!({}));
    let e = embed(&session(&server, json!({"key": "api-key-of-another"})), &texts(8)).unwrap_err();
    assert!(
        e.contains("HTTP 400: no token for the key from 127.0.0.1 (option token_url): Provided API key"),
        "{e}"
    );
    assert!(!e.contains("api-key-of-another"), "{e}");
    // The texts are not to blame: none of them was sent, and the request not taken apart.
    assert_eq!(asked(&server), ["token 400"]);

    let elsewhere = json!({"faults": [{"first": 1, "redirect": "https://api.example.com/token"}]});
    let server = service("moved", elsewhere);
    let e = embed(&session(&server, json!({})), &texts(1)).unwrap_err();
    assert!(e.contains("it redirects, and a key is not sent elsewhere: set 'token_url'"), "{e}");

    let server = service("busy", json!({"faults": [{"first": 1, "status": 503}]}));
    assert_eq!(embed(&session(&server, json!({})), &texts(1)), Ok(1));
    assert_eq!(asked(&server), ["token 503", "token", "texts"]);

    let nobody = json!({"token_url": "http://127.0.0.1:9/identity/token", "retries": 0});
    let e = embed(&session(&service("nobody", json!({})), nobody), &texts(1)).unwrap_err();
    assert!(e.contains("127.0.0.1:9"), "{e}");
}

#[test]
fn what_is_no_token_is_not_sent_and_not_shown() {
    for (n, body) in [
        json!({}),
        json!([]),
        json!({"access_token": 5}),
        json!({"access_token": null, "expires_in": 3600}),
        json!({"access_token": ""}),
        json!({"access_token": "secret-reply\r\nx-evil: 1"}),
        json!({"access_token": "secret-reply two"}),
        json!({"access_token": "s".repeat(20_000)}),
        json!({"access_token": "secret-reply", "expires_in": "soon"}),
        json!("<html>secret-reply"),
    ]
    .into_iter()
    .enumerate()
    {
        let server = service(&format!("no-token-{n}"), json!({"faults": [{"status": 200, "body": body}]}));
        let e = embed(&session(&server, json!({})), &texts(1)).unwrap_err();
        assert!(e.contains("access_token") && !e.contains("secret-reply"), "{body}: {e}");
        assert_eq!(asked(&server), ["token"], "{body}");
    }
    // A life that cannot be is none: the token is for one request.
    for (n, life) in [json!(-1), json!(0.5e-9), json!(null)].into_iter().enumerate() {
        let body = json!({"access_token": TOKEN, "expires_in": life});
        let settings = json!({"faults": [{"requests": [0, 2], "status": 200, "body": body}]});
        let server = service(&format!("no-life-{n}"), settings);
        let c = session(&server, json!({}));
        assert_eq!((embed(&c, &texts(1)), embed(&c, &texts(1))), (Ok(1), Ok(1)));
        assert_eq!(asked(&server), ["token", "texts", "token", "texts"], "{life}");
    }
    // The endpoint may repeat the token, the exchange the key.
    for (number, secret) in [(0, KEY), (1, TOKEN)] {
        let said = format!("no: Bearer {secret}");
        let fault = json!({"requests": [number], "status": 403, "body": {"message": said}});
        let server = service(&format!("repeats-{number}"), json!({"faults": [fault]}));
        let e = embed(&session(&server, json!({})), &texts(1)).unwrap_err();
        assert!(e.contains("***") && !e.contains(secret), "{e}");
    }
}
