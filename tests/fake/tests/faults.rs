//! Each fault, seen from the other end of the wire.

mod common;

use std::io::{ErrorKind, Read as _};
use std::time::{Duration, Instant};

use common::{Fake, Reply, floats, read_all, write_request};
use serde_json::{Value, json};

/// A scenario with one fault.
fn faulty(fake: &Fake, fault: Value) -> String {
    fake.scenario("f", json!({"width": 4, "faults": [fault]}))
}

/// What comes when one request is written by hand.
fn raw(fake: &Fake, fault: Value) -> (String, Option<ErrorKind>) {
    let base = faulty(fake, fault);
    let mut stream = fake.connect();
    write_request(&mut stream, &base);
    read_all(&mut stream)
}

fn reply(fake: &Fake, fault: Value) -> Reply {
    let base = faulty(fake, fault);
    fake.post(&format!("{base}/v1/embeddings"), json!({"input": ["a", "b", "c"]}))
}

#[test]
fn statuses() {
    let fake = Fake::start();
    let limited = reply(&fake, json!({"status": 429, "headers": {"Retry-After": 7}}));
    assert_eq!((limited.status, &limited.headers["retry-after"]), (429, &"7".parse().unwrap()));
    assert_eq!(limited.json()["error"]["code"], "rate_limit_exceeded");
    let own = reply(&fake, json!({"status": 529, "body": {"mine": 1}}));
    assert_eq!((own.status, own.json()), (529, json!({"mine": 1})));
    let plain = reply(&fake, json!({"status": 502, "body": "Bad Gateway"}));
    assert_eq!((plain.status, &*plain.text), (502, "Bad Gateway"));
    assert_eq!(reply(&fake, json!({"headers": {"x-a": "b"}})).headers["x-a"], "b");
    let page = reply(&fake, json!({"html": true}));
    assert_eq!((page.status, &page.headers["content-type"]), (200, &"text/html".parse().unwrap()));
    let away = reply(&fake, json!({"redirect": "http://127.0.0.1:1/"}));
    assert_eq!((away.status, &away.headers["location"]), (307, &"http://127.0.0.1:1/".parse().unwrap()));
}

#[test]
fn a_body_that_repeats_itself() {
    let fake = Fake::start();
    let fault = json!({"repeat": {"before": "[[", "unit": "1,", "times": 3, "after": "0]]"}});
    assert_eq!(reply(&fake, fault.clone()).text, "[[1,1,1,0]]");
    let base = fake.scenario("packed", json!({"gzip": true, "faults": [fault]}));
    let packed = fake.post(&format!("{base}/v1/embeddings"), json!({"input": "a"}));
    assert_eq!((packed.status, &*packed.text), (200, "[[1,1,1,0]]"));
}

#[test]
fn only_the_chosen_requests_fail() {
    let fake = Fake::start();
    let statuses = |selector: Value| {
        let mut fault = selector;
        fault["status"] = json!(500);
        let base = faulty(&fake, fault);
        let post = |text| fake.post(&format!("{base}/v1/embeddings"), json!({"input": text})).status;
        ["a", "bad", "c", "bad"].map(post)
    };
    assert_eq!(statuses(json!({"first": 2})), [500, 500, 200, 200]);
    assert_eq!(statuses(json!({"requests": [0, 3]})), [500, 200, 200, 500]);
    assert_eq!(statuses(json!({"every": 2})), [200, 500, 200, 500]);
    assert_eq!(statuses(json!({"text": "bad"})), [200, 500, 200, 500]);
    assert_eq!(statuses(json!({"text": "bad", "first": 1})), [200, 500, 200, 200]);
}

#[test]
fn resets() {
    let fake = Fake::start();
    assert_eq!(raw(&fake, json!({"reset": "before"})), (String::new(), Some(ErrorKind::ConnectionReset)));
    assert_eq!(fake.report("f")["log"][0]["status"], 0);
    let (text, error) = raw(&fake, json!({"reset": "mid"}));
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"embedding\":"), "{text}");
    assert_eq!(error, Some(ErrorKind::ConnectionReset));
}

#[test]
fn truncation_ends_in_order() {
    let fake = Fake::start();
    let (text, error) = raw(&fake, json!({"truncate": 20}));
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!((body.len(), error), (20, None));
    let length: usize =
        head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    assert!(length > 20);
}

#[test]
fn slow_replies() {
    let fake = Fake::start();
    let took = |settings: Value| {
        let base = fake.scenario("slow", settings);
        let start = Instant::now();
        fake.rows(&base, &["a"]);
        start.elapsed()
    };
    assert!(took(json!({"latency_ms": 100})) >= Duration::from_millis(100));
    assert!(took(json!({"faults": [{"delay_ms": 100}]})) >= Duration::from_millis(100));
    assert!(took(json!({"width": 4, "faults": [{"drip_ms": 5}]})) >= Duration::from_millis(100));
}

#[test]
fn requests_beyond_the_slots_wait_for_one() {
    let fake = Fake::start();
    let base = fake.scenario("slots", json!({"latency_ms": 100, "slots": 2}));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| fake.rows(&base, &["a"]));
        }
    });
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    assert_eq!(fake.report("slots")["peak"], 4);
}

#[test]
fn a_hanging_request_is_logged_and_does_not_block() {
    let fake = Fake::start();
    let base = faulty(&fake, json!({"hang": true, "text": "a"}));
    let mut stream = fake.connect();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    write_request(&mut stream, &base);
    assert_eq!(read_all(&mut stream), (String::new(), Some(ErrorKind::WouldBlock)));
    fake.rows(&base, &["b"]);
    assert_eq!(fake.report("f")["log"][0]["status"], 0);
    assert_eq!(fake.report("f")["peak"], 2);
}

#[test]
fn an_endless_body() {
    let fake = Fake::start();
    let base = faulty(&fake, json!({"endless": true}));
    let mut stream = fake.connect();
    write_request(&mut stream, &base);
    let mut much = vec![0; 50_000_000];
    stream.read_exact(&mut much).unwrap();
}

#[test]
fn closed_connections() {
    let fake = Fake::start();
    let (text, error) = raw(&fake, json!({"close": true}));
    assert!(text.contains("connection: close") && text.ends_with('}') && error.is_none(), "{text}");
    let (text, error) = raw(&fake, json!({"close": "silent"}));
    assert!(!text.contains("connection: close") && text.ends_with('}') && error.is_none(), "{text}");

    let base = faulty(&fake, json!({"close": "silent"}));
    let mut stream = fake.connect();
    write_request(&mut stream, &base);
    let mut first = [0; 1];
    stream.read_exact(&mut first).unwrap();
    write_request(&mut stream, &base);
    let (rest, _) = read_all(&mut stream);
    assert!(!rest.contains("HTTP/1.1"), "{rest}");
    assert_eq!(fake.report("f")["requests"], 1);
}

#[test]
fn rows_in_disorder() {
    let fake = Fake::start();
    let indices = |fault: Value| -> Vec<u64> {
        let value = reply(&fake, fault).json();
        value["data"].as_array().unwrap().iter().map(|row| row["index"].as_u64().unwrap()).collect()
    };
    assert_eq!(indices(json!({"order": "reversed"})), [2, 1, 0]);
    assert_ne!(indices(json!({"order": "shuffled"})), [0, 1, 2]);
    assert_eq!(indices(json!({"duplicate_index": true})), [0, 0, 2]);
    assert_eq!(indices(json!({"count": -1})), [0, 1]);
    assert_eq!(indices(json!({"count": 1})), [0, 1, 2, 3]);
    assert_eq!(indices(json!({"empty": true})), [0; 0]);

    let straight = floats(&fake.rows(&fake.scenario("s", json!({"width": 4})), &["c"])[0]["embedding"]);
    let reversed = reply(&fake, json!({"order": "reversed"})).json();
    assert_eq!(floats(&reversed["data"][0]["embedding"]), straight);
}

#[test]
fn rows_with_odd_values() {
    let fake = Fake::start();
    let row = |fault: Value, place: usize| reply(&fake, fault).json()["data"][place]["embedding"].take();
    assert_eq!(floats(&row(json!({"row_width": 3}), 1)).len(), 3);
    assert_eq!(floats(&row(json!({"row_width": 3}), 0)).len(), 4);
    assert_eq!(floats(&row(json!({"row_width": 3, "text": "c"}), 2)).len(), 3);
    assert_eq!(floats(&row(json!({"width": 3}), 0)).len(), 3);
    assert_eq!(row(json!({"null": true}), 0), Value::Null);
    assert_eq!(floats(&row(json!({"zero": true}), 0)), [0.0; 4]);
    assert!(reply(&fake, json!({"nan": true})).text.contains(r#""embedding":[NaN,"#));
    assert!(reply(&fake, json!({"inf": true})).text.contains(r#""embedding":[1e999,"#));
    let base = faulty(&fake, json!({"nan": true}));
    let body = json!({"input": "a", "encoding_format": "base64"});
    let text = fake.post(&format!("{base}/v1/embeddings"), body).text;
    assert!(text.contains(r#""embedding":"AADAf"#), "{text}");
}

#[test]
fn other_bad_replies() {
    let fake = Fake::start();
    let half = reply(&fake, json!({"bad_json": true}));
    assert_eq!(half.status, 200);
    assert!(serde_json::from_str::<Value>(&half.text).is_err());
    let (text, _) = raw(&fake, json!({"huge_header": true, "close": true}));
    assert!(text.split_once("\r\n\r\n").unwrap().0.len() > 256 * 1024);
}
