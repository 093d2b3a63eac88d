//! What one call costs, and what it says: time, requests, and which texts get their vectors, against servers with habits.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlite_rembed::Session;
use sqlite_rembed::base::error::Result;
use sqlite_rembed::base::interrupt::Uninterrupted;
use sqlite_rembed::embed::cache::Vector;
use sqlite_rembed::embed::stream::Text;
use support::{Scenario, texts};

/// The client `c` at `server`, without the cache.
fn client(server: &Scenario, format: &str, path: &str, mut options: Value) -> Session {
    options["cache"] = "off".into();
    server.session(format, path, options)
}

/// The outcome of each text, as a query has it that reads `error`.
fn each(session: &Session, texts: &[String]) -> Vec<Result<Vector>> {
    let source = texts.iter().map(|text| Ok(((), Text::Text(text.as_str().into()))));
    let mut stream = session.stream("c", None, source, true, None).unwrap();
    let mut outcomes = Vec::new();
    while let Some(row) = stream.next_row().unwrap() {
        outcomes.push(row.value.map(Option::unwrap));
    }
    outcomes
}

fn failed(outcomes: &[Result<Vector>]) -> Vec<usize> {
    (0..outcomes.len()).filter(|i| outcomes[*i].is_err()).collect()
}

fn requests(server: &Scenario) -> usize {
    server.report()["requests"].as_u64().unwrap() as usize
}

#[test]
fn a_turn_that_was_booked_and_not_used_comes_back() {
    let server = Scenario::new("turns", json!({}));
    let session = client(&server, "openai", "/v1", json!({"batch_size": 1, "requests_per_minute": 120}));
    let all = texts(100);
    let source = all.iter().map(|text| Ok(((), Text::Text(text.as_str().into()))));
    let mut stream = session.stream("c", None, source, false, None).unwrap();
    stream.next_row().unwrap().unwrap().value.unwrap();
    drop(stream);
    let start = Instant::now();
    session.embed_one("c", "another", None).unwrap();
    // Eight requests of the statement would have booked four seconds.
    assert!(start.elapsed() < Duration::from_millis(2500), "{:?}", start.elapsed());
}

#[test]
fn the_timeout_bounds_pace_pauses_and_retries_and_the_last_failure_is_told() {
    let start = Instant::now();
    let server = Scenario::new(
        "always-429",
        json!({"faults": [{"status": 429, "headers": {"retry-after-ms": "700"}, "body": {"error": {"message": "slow down"}}}]}),
    );
    let session = client(&server, "openai", "/v1", json!({"timeout": 2, "retries": 50}));
    std::thread::scope(|scope| {
        for i in 0..8 {
            let session = &session;
            scope.spawn(move || {
                let e = session.embed_one("c", &format!("text {i}"), None).unwrap_err().to_string();
                assert!(e.contains("HTTP 429: slow down"), "{e}");
            });
        }
    });
    assert!(start.elapsed() < Duration::from_millis(3500), "{:?}", start.elapsed());

    // A pace that is slower than the timeout is said at once, and books nothing.
    let server = Scenario::new("slow-pace", json!({}));
    let session = client(&server, "openai", "/v1", json!({"timeout": 2, "requests_per_minute": 2}));
    session.embed_one("c", "first", None).unwrap();
    let start = Instant::now();
    for _ in 0..3 {
        let e = session.embed_one("c", "second", None).unwrap_err().to_string();
        assert!(e.contains("requests_per_minute") && e.contains("leave in 30 s"), "{e}");
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn a_reply_that_never_comes_does_not_hide_what_the_server_said_before() {
    let faults = json!([
        {"requests": [0], "status": 503, "headers": {"retry-after-ms": "5"}, "body": {"error": {"message": "loading"}}},
        {"requests": [1], "hang": true}
    ]);
    let server = Scenario::new("said-before", json!({"faults": faults}));
    let session = client(&server, "openai", "/v1", json!({"timeout": 0.6}));
    let e = session.embed_one("c", "x", None).unwrap_err().to_string();
    assert!(e.contains("HTTP 503: loading (then no complete reply from"), "{e}");
}

#[test]
fn another_calls_pause_does_not_take_the_time_of_this_one() {
    let fault = json!({"requests": [0], "status": 429, "headers": {"retry-after": "30"}});
    let server = Scenario::new("long-pause", json!({"faults": [fault]}));
    let patient = client(&server, "openai", "/v1", json!({"timeout": 60}));
    let hasty = client(&server, "openai", "/v1", json!({"timeout": 2}));
    let first = std::thread::spawn(move || {
        let texts = ["first"];
        let source = texts.iter().map(|text| Ok(((), Text::Text((*text).into()))));
        drop(patient.stream("c", None, source, false, None).map(|mut stream| stream.next_row().map(drop)));
    });
    while requests(&server) == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    hasty.embed_one("c", "second", None).unwrap();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    // The first one waits its 30 seconds on a thread that nobody waits for.
    drop(first);
}

#[test]
fn who_waits_for_the_request_of_another_waits_for_its_own_timeout() {
    let server = Scenario::new("joined", json!({"faults": [{"hang": true}]}));
    let options = |timeout: f64| json!({"timeout": timeout});
    let slow = server.session("openai", "/v1", options(4.0));
    let quick = server.session("openai", "/v1", options(0.5));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| slow.embed_one("c", "the same", None).unwrap_err().to_string());
        while requests(&server) == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let start = Instant::now();
        let e = quick.embed_one("c", "the same", None).unwrap_err().to_string();
        assert!(e.contains("another statement has sent the same text") && e.contains("0.5 s"), "{e}");
        let more = ["the same".to_owned(), "the same".to_owned()];
        let all = each(&quick, &more);
        assert!(all.iter().all(|o| o.as_ref().unwrap_err().to_string().contains("another statement")));
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        drop(Scenario::new("joined", json!({})));
        let _ = slow;
    });
}

/// A port of this machine that nobody listens on.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_dead_server_is_not_paid_for_row_by_row() {
    // No name has a part of 64 letters: nobody is asked for it.
    let unknown = || format!("http://{}", "a".repeat(64));
    for (format, retries, url, why) in [
        ("openai", 1, nobody(), "connection refused"),
        ("llamafile", 1, nobody(), "connection refused"),
        ("openai", 1, unknown(), "was not found"),
        ("llamafile", 1, unknown(), "was not found"),
    ] {
        let session = Session::new("test", Arc::new(Uninterrupted), None);
        let options = json!({"format": format, "model": "m", "url": url, "cache": "off", "retries": retries});
        session.register("c", options.as_object().unwrap().clone()).unwrap();
        let start = Instant::now();
        let outcomes = each(&session, &texts(800));
        assert!(
            outcomes.iter().all(|o| o.as_ref().unwrap_err().to_string().contains(why)),
            "{format}: {why}"
        );
        assert!(start.elapsed() < Duration::from_secs(5), "{format}: {:?}", start.elapsed());
        let stats: Value = serde_json::from_str(&session.stats().unwrap()).unwrap();
        assert!(stats["c"]["requests"].as_u64().unwrap() <= 40, "{format}: {stats}");
    }
}

#[test]
fn the_same_answer_to_everything_is_not_paid_for_row_by_row() {
    for (name, format, path, status, message, most) in [
        ("wrong-model", "openai", "/v1", 404, "no such model", 12),
        ("wrong-model-400", "openai", "/v1", 400, "no such model", 60),
        ("wrong-key", "llamafile", "/embedding", 401, "bad key", 16),
        ("refused-lone", "llamafile", "/embedding", 400, "no such model", 60),
        ("broken", "openai", "/v1", 500, "out of memory", 70),
        ("broken-lone", "llamafile", "/embedding", 500, "out of memory", 60),
        ("wrong-option", "openai", "/v1", 400, "dimensions must be <= 1024", 60),
        ("refused-413", "openai", "/v1", 413, "no", 60),
    ] {
        let body = json!({"error": {"message": message}});
        let fault = json!({"status": status, "body": body, "headers": {"retry-after-ms": "1"}});
        let server = Scenario::new(name, json!({"faults": [fault]}));
        let session = client(&server, format, path, json!({}));
        let outcomes = each(&session, &texts(800));
        assert!(outcomes.iter().all(|o| o.as_ref().unwrap_err().to_string().contains(message)), "{name}");
        let requests = requests(&server);
        assert!(requests <= most, "{name}: {requests} requests");
    }
}

#[test]
fn one_bad_text_is_alone_in_its_failure_whatever_the_failure() {
    let says = |status: u16, message: &str| json!({"status": status, "body": {"error": {"message": message}}, "headers": {"retry-after-ms": "1"}});
    for (i, (fault, why)) in [
        (says(500, "failed to encode response: json: unsupported value: NaN"), "unsupported value"),
        (says(500, "do embedding request: Post \"http://127.0.0.1/embedding\": EOF"), "EOF"),
        (says(500, "the input length exceeds the context length"), "context length"),
        (says(403, "Request blocked by the content filter"), "content filter"),
        (says(424, "the batch could not be computed"), "could not be computed"),
        (says(422, "bad text"), "bad text"),
        (json!({"status": 200, "body": {"error": {"message": "no luck", "code": 502}}}), "no luck"),
        (json!({"nan": true}), "not finite"),
        (json!({"zero": true}), "all zeros"),
        (json!({"null": true}), "not finite"),
        (json!({"reset": "before"}), "connection"),
        (json!({"reset": "mid"}), ""),
    ]
    .into_iter()
    .enumerate()
    {
        let mut fault = fault;
        fault["text"] = "poison".into();
        let server = Scenario::new(&format!("one-bad{i}"), json!({"faults": [fault]}));
        let session = client(&server, "openai", "/v1", json!({"batch_size": 64, "retries": 1}));
        let mut texts = texts(100);
        texts[41] = "poison".into();
        let outcomes = each(&session, &texts);
        assert_eq!(failed(&outcomes), [41], "{fault}: {:?}", outcomes.iter().find(|o| o.is_err()));
        let e = outcomes[41].as_ref().unwrap_err().to_string();
        assert!(e.contains(why), "{fault}: {e}");
        let good = client(&server, "openai", "/v1", json!({})).embed("c", &[&texts[7]], None).unwrap();
        assert_eq!(outcomes[7].as_ref().unwrap(), &good[0], "{fault}");
    }
}

#[test]
fn a_text_after_one_that_breaks_the_server_has_all_its_attempts_at_a_busy_one() {
    let busy = json!({"text": "busy", "first": 3, "status": 503, "headers": {"retry-after-ms": "1"}});
    let broken = json!({"text": "poison", "status": 500, "headers": {"retry-after-ms": "1"}});
    let server = Scenario::new("busy-next", json!({"faults": [busy, broken]}));
    let session = client(&server, "llamafile", "/embedding", json!({"retries": 3}));
    let outcomes = each(&session, &["poison".to_owned(), "busy".to_owned(), "fine".to_owned()]);
    assert_eq!(failed(&outcomes), [0], "{:?}", outcomes[1]);
}

#[test]
fn the_size_that_went_is_remembered() {
    let server = Scenario::new("too-many", json!({"max_batch": 10}));
    let session = client(&server, "openai", "/v1", json!({"concurrency": 1}));
    assert_eq!(
        session.embed("c", &texts(64).iter().map(String::as_str).collect::<Vec<_>>(), None).unwrap().len(),
        64
    );
    let before = requests(&server);
    let refused = |server: &Scenario| {
        let report = server.report();
        report["log"].as_array().unwrap().iter().filter(|entry| entry["status"] != 200).count()
    };
    let first = refused(&server);
    assert!(first >= 1);
    let more: Vec<_> = (0..64).map(|i| format!("more {i}")).collect();
    session.embed("c", &more.iter().map(String::as_str).collect::<Vec<_>>(), None).unwrap();
    assert_eq!(refused(&server), first, "it was tried again");
    assert_eq!(requests(&server) - before, 8);
}

#[test]
fn a_server_that_refuses_base64_is_asked_for_numbers_from_then_on() {
    for (status, refusal) in [
        (400, r#"{"error":{"message":"litellm.UnsupportedParamsError: encoding_format is not supported"}}"#),
        (400, r#"{"error":{"message":"invalid","param":"encoding_format"}}"#),
        (
            422,
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","encoding_format"],"msg":"Extra inputs are not permitted"}]}"#,
        ),
        (200, r#"{"error":{"message":"encoding_format is not supported","code":400}}"#),
    ] {
        let log: Arc<std::sync::Mutex<Vec<bool>>> = Arc::default();
        let seen = log.clone();
        let url = serve(move |body| {
            let body: Value = serde_json::from_slice(body).unwrap();
            let asks = body.get("encoding_format").is_some();
            seen.lock().unwrap().push(asks);
            match asks {
                true => reply(status, refusal),
                false => reply(200, r#"{"data":[{"embedding":[1,2],"index":0}]}"#),
            }
        });
        let session = Session::new("test", Arc::new(Uninterrupted), None);
        let options = json!({"format": "openai", "model": "m", "url": url});
        session.register("c", options.as_object().unwrap().clone()).unwrap();
        for text in ["a", "b", "c"] {
            assert_eq!(&*session.embed_one("c", text, None).unwrap(), [1.0, 2.0]);
        }
        assert_eq!(*log.lock().unwrap(), [true, false, false, false], "{refusal}");
    }
}

#[test]
fn a_reply_that_is_sent_early_is_read() {
    // A gateway that has had enough answers and closes before it has read the request.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head);
            let _ = stream
                .write_all(reply(413, r#"{"error":{"message":"request entity too large"}}"#).as_bytes());
        }
    });
    let session = Session::new("test", Arc::new(Uninterrupted), None);
    let options = json!({"format": "openai", "model": "m", "url": url, "retries": 0});
    session.register("c", options.as_object().unwrap().clone()).unwrap();
    let e = session.embed_one("c", &"long ".repeat(4 << 20), None).unwrap_err().to_string();
    assert!(e.contains("HTTP 413: request entity too large"), "{e}");
}

#[test]
fn a_kept_connection_that_has_died_is_replaced_and_not_counted() {
    let server = Scenario::new("silent", json!({"faults": [{"every": 1, "close": "silent"}]}));
    let session = client(&server, "openai", "/v1", json!({"retries": 0}));
    for text in texts(20) {
        session.embed_one("c", &text, None).unwrap();
        // A request that leaves in pieces.
        session.embed_one("c", &text.repeat(10_000), None).unwrap();
    }
    let stats: Value = serde_json::from_str(&session.stats().unwrap()).unwrap();
    assert_eq!((&stats["c"]["retries"], &stats["c"]["errors"]), (&json!(0), &json!(0)), "{stats}");
}

/// A server that answers every request by `answer`, which is given the body. Returns its base URL.
fn serve(answer: impl Fn(&[u8]) -> String + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            std::thread::spawn(move || {
                let mut request = Vec::new();
                let mut part = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut part) {
                    request.extend_from_slice(&part[..n]);
                    while let Some((body, end)) = body_of(&request) {
                        let text = answer(body);
                        request.drain(..end);
                        if stream.write_all(text.as_bytes()).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    url
}

/// The body of a request that has come whole, and where it ends.
fn body_of(request: &[u8]) -> Option<(&[u8], usize)> {
    let head = request.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap().trim();
    let end = head + length.parse::<usize>().unwrap();
    (request.len() >= end).then(|| (&request[head..end], end))
}

fn reply(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
