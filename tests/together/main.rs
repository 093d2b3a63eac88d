//! Single calls of many connections: at most so many requests in flight, and whoever waits travels together.

mod bound;
mod same;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlite_rembed::Session;
use sqlite_rembed::base::error::{Error, Result};
use sqlite_rembed::base::interrupt::{Interrupt, Uninterrupted};
use sqlite_rembed::embed::cache::Vector;
use sqlite_rembed::embed::stream::Text;
use support::{Scenario, texts};

fn server(name: &str, mut settings: Value) -> Scenario {
    settings["width"] = 16.into();
    Scenario::new(name, settings)
}

/// A connection of its own with the client `name`.
fn connection(server: &Scenario, name: &str, interrupt: Arc<dyn Interrupt>, options: Value) -> Session {
    let session = Session::new("test", interrupt, None);
    let Value::Object(mut all) = options else { panic!("options are an object") };
    all.extend([("format".into(), json!("openai")), ("model".into(), json!("m"))]);
    all.insert("url".into(), format!("{}/v1", server.url()).into());
    session.register(name, all).unwrap();
    session
}

fn never() -> Arc<dyn Interrupt> {
    Arc::new(Uninterrupted)
}

struct Flag(AtomicBool);

impl Interrupt for Flag {
    fn is_interrupted(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Embeds all of `texts` as a statement does.
fn statement(session: &Session, texts: &[String]) -> Result<Vec<Vector>> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    session.embed("c", &texts, None)
}

/// What a server without a bound answers to `texts`.
fn truth(name: &str, texts: &[String]) -> Vec<Vector> {
    let session =
        connection(&server(&format!("{name}-truth"), json!({})), "c", never(), json!({"cache": "off"}));
    statement(&session, texts).unwrap()
}

/// The texts of each request, in order of arrival.
fn requests(server: &Scenario) -> Vec<Vec<String>> {
    let report = server.report();
    let log = report["log"].as_array().unwrap();
    let texts = |entry: &Value| {
        entry["texts"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().into()).collect()
    };
    log.iter().map(texts).collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Time for a call that was just begun to be in the queue.
fn a_moment() {
    std::thread::sleep(Duration::from_millis(40));
}

/// Calls all of `texts` at once, each on a thread and a connection of its own.
fn at_once(server: &Scenario, texts: &[String], options: &Value) -> Vec<Result<Vector>> {
    let start = Barrier::new(texts.len());
    std::thread::scope(|scope| {
        let calls = texts.iter().map(|text| {
            let session = connection(server, "c", never(), options.clone());
            let start = &start;
            scope.spawn(move || {
                start.wait();
                session.embed_one("c", text, None)
            })
        });
        let calls: Vec<_> = calls.collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

/// Begins calls one after the other behind a request that takes the only place, and gives what they come to.
struct Line<'a> {
    server: &'a Scenario,
    first: Option<std::thread::JoinHandle<Result<Vector>>>,
}

impl Line<'_> {
    fn new<'a>(server: &'a Scenario, options: &Value) -> Line<'a> {
        let session = connection(server, "c", never(), options.clone());
        let first = std::thread::spawn(move || session.embed_one("c", "first", None));
        until("the first request is out", || !requests(server).is_empty());
        Line { server, first: Some(first) }
    }

    fn call(
        &self,
        client: &'static str,
        text: &'static str,
        interrupt: Arc<dyn Interrupt>,
        options: Value,
    ) -> std::thread::JoinHandle<(Result<Vector>, Value)> {
        let session = connection(self.server, client, interrupt, options);
        let call = std::thread::spawn(move || {
            let outcome = session.embed_one(client, text, None);
            (outcome, serde_json::from_str::<Value>(&session.stats().unwrap()).unwrap()[client].clone())
        });
        a_moment();
        call
    }

    fn end(&mut self) {
        self.first.take().unwrap().join().unwrap().unwrap();
    }
}

/// Time for all the others to come, on a machine with other work too.
const SLOW_MS: u64 = 2000;

fn slow_first() -> Value {
    json!({"faults": [{"text": "first", "delay_ms": SLOW_MS}]})
}

#[test]
fn who_comes_first_goes_first() {
    let server = server("order", slow_first());
    let options = json!({"connections": 1, "batch_size": 2});
    let mut line = Line::new(&server, &options);
    let calls = ["a", "b", "c", "d", "e"].map(|text| line.call("c", text, never(), options.clone()));
    line.end();
    assert!(calls.into_iter().all(|call| call.join().unwrap().0.is_ok()));
    assert_eq!(requests(&server), [vec!["first"], vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
}

#[test]
fn other_keys_headers_options_and_types_never_share_a_request() {
    let server = server("keys", slow_first());
    let plain = json!({"connections": 1, "key": "k1"});
    let with = |name: &str, value: Value| {
        let mut options = plain.clone();
        options[name] = value;
        options
    };
    let mut line = Line::new(&server, &plain);
    let same = [line.call("c", "a", never(), plain.clone()), line.call("d", "b", never(), plain.clone())];
    let others = [
        ("key", json!("k2")),
        ("headers", json!({"x-tenant": "2"})),
        ("retries", json!(1)),
        ("timeout", json!(50)),
        ("batch_size", json!(9)),
        ("body", json!({"user": "u"})),
        ("document_prefix", json!("d: ")),
    ];
    let texts = ["0", "1", "2", "3", "4", "5", "6"];
    let calls: Vec<_> = others
        .into_iter()
        .zip(texts)
        .map(|((name, value), text)| line.call("c", text, never(), with(name, value)))
        .collect();
    line.end();
    assert!(same.into_iter().chain(calls).all(|call| call.join().unwrap().0.is_ok()));
    let sent: BTreeSet<Vec<String>> = requests(&server).into_iter().collect();
    let alone = ["0", "1", "2", "3", "4", "5", "d: 6", "first"].map(|text| vec![text.to_owned()]);
    let expected: BTreeSet<Vec<String>> = alone.into_iter().chain([vec!["a".into(), "b".into()]]).collect();
    assert_eq!(sent, expected);
    // Each text went with the key of its own client.
    for entry in server.report()["log"].as_array().unwrap() {
        let key = if entry["texts"] == json!(["0"]) { "Bearer k2" } else { "Bearer k1" };
        assert!(entry["headers"].to_string().contains(key), "{entry}");
    }
}

#[test]
fn who_leaves_the_queue_takes_its_text_along() {
    let server = server("leaves", slow_first());
    let options = json!({"connections": 1});
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let mut line = Line::new(&server, &options);
    let stays = line.call("c", "a", never(), options.clone());
    let leaves = line.call("c", "b", flag.clone(), options.clone());
    let hasty = line.call("c", "c", never(), json!({"connections": 1, "timeout": 0.1}));
    let stays_too = line.call("c", "d", never(), options.clone());
    flag.0.store(true, Relaxed);
    let start = Instant::now();
    assert_eq!(leaves.join().unwrap().0, Err(Error::Interrupted));
    assert!(start.elapsed() < Duration::from_millis(SLOW_MS / 2), "{:?}", start.elapsed());
    let e = hasty.join().unwrap().0.unwrap_err().to_string();
    assert!(
        e.contains("client 'c' (openai)") && e.contains("waited 0.1 s") && e.contains("option connections"),
        "{e}"
    );
    line.end();
    assert!(stays.join().unwrap().0.is_ok() && stays_too.join().unwrap().0.is_ok());
    assert_eq!(requests(&server), [vec!["first"], vec!["a", "d"]]);
}

/// Whoever leaves while the request is out, be it the one who sends it: the others get their vectors.
#[test]
fn who_leaves_a_request_that_is_out_loses_nobody() {
    for leaver in 0..3 {
        let name = format!("out-{leaver}");
        let slow = json!([{"text": "first", "delay_ms": SLOW_MS}, {"text": "b", "delay_ms": 1000}]);
        let server = server(&name, json!({"faults": slow}));
        let options = json!({"connections": 1});
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let mut line = Line::new(&server, &options);
        let calls: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .enumerate()
            .map(|(n, text)| {
                let interrupt = if n == leaver { flag.clone() as Arc<dyn Interrupt> } else { never() };
                line.call("c", text, interrupt, options.clone())
            })
            .collect();
        line.end();
        until("the request is out", || requests(&server).len() == 2);
        flag.0.store(true, Relaxed);
        let texts = ["a", "b", "c"].map(str::to_owned);
        for (n, (call, truth)) in calls.into_iter().zip(truth(&name, &texts)).enumerate() {
            let outcome = call.join().unwrap().0;
            match n == leaver {
                true => assert_eq!(outcome, Err(Error::Interrupted)),
                false => assert_eq!(outcome, Ok(truth), "{leaver}"),
            }
        }
        // Only if the one who sends it leaves, the rest is sent again.
        let sent = requests(&server);
        assert!(sent.len() <= 4, "{sent:?}");
        assert_eq!(sent[1], ["a", "b", "c"]);
        assert!(sent[2..].iter().flatten().all(|text| *text != texts[leaver]), "{sent:?}");
    }
}

#[test]
fn a_bad_text_fails_alone_and_each_call_has_its_own_name_and_numbers() {
    let faults = json!([{"text": "first", "delay_ms": SLOW_MS}, {"text": "bad", "status": 400}]);
    let server = server("bad", json!({"faults": faults}));
    let options = json!({"connections": 1});
    let mut line = Line::new(&server, &options);
    let calls = [("one", "a"), ("two", "bad"), ("three", "b"), ("four", "c")]
        .map(|(client, text)| (client, line.call(client, text, never(), options.clone())));
    line.end();
    for (client, call) in calls {
        let (outcome, stats) = call.join().unwrap();
        match client {
            "two" => {
                let e = outcome.unwrap_err().to_string();
                assert!(e.contains("client 'two' (openai): HTTP 400"), "{e}");
                assert_eq!((&stats["texts"], &stats["errors"]), (&json!(0), &json!(1)));
            }
            _ => {
                outcome.unwrap();
                let counts = ["texts", "cache_hits", "errors"].map(|name| stats[name].as_u64().unwrap());
                assert_eq!(counts, [1, 0, 0], "{client}");
            }
        }
    }
    let sent = requests(&server);
    assert_eq!(sent[1], ["a", "bad", "b", "c"]);
    assert!(sent.len() <= 6, "{sent:?}");
}

/// Whatever a server answers to a bad text, the others hear what they would hear alone.
#[test]
fn a_text_whose_reply_is_wrong_fails_alone() {
    for (name, mut fault) in [
        (
            "denied",
            json!({"status": 403, "body": {"error": {"message": "access denied by the policy of contents"}}}),
        ),
        ("disliked", json!({"status": 406})),
        ("legal", json!({"status": 451})),
        ("slow", json!({"status": 504})),
        ("redirected", json!({"redirect": "http://127.0.0.1:1/"})),
        ("page", json!({"html": true})),
        ("cut", json!({"bad_json": true})),
        ("short", json!({"count": -1})),
    ] {
        fault["text"] = "poison".into();
        let faults = json!([{"text": "first", "delay_ms": 300}, fault]);
        let server = server(name, json!({"latency_ms": 30, "faults": faults}));
        let texts: Vec<String> = ["a", "poison", "b", "c", "d"].map(String::from).into();
        let outcomes = at_once(&server, &texts, &json!({"connections": 1, "retries": 0}));
        let good: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
        assert_eq!(good, [true, false, true, true, true], "{name}: {outcomes:?}");
    }
}

/// However many are bad, the good one among them is heard.
#[test]
fn a_good_text_among_bad_ones_is_answered() {
    let server = server("mostly-bad", json!({"latency_ms": 30, "faults": [{"text": "bad", "status": 400}]}));
    let mut texts: Vec<String> = (0..64).map(|i| format!("bad {i}")).collect();
    texts[40] = "good".into();
    let outcomes = at_once(&server, &texts, &json!({"connections": 1}));
    let good: Vec<_> = outcomes.iter().enumerate().filter(|(_, o)| o.is_ok()).map(|(i, _)| i).collect();
    assert_eq!(good, [40]);
    assert!(requests(&server).len() <= 128, "{}", requests(&server).len());
}

#[test]
fn a_storm_of_429_is_sat_out_together() {
    let fault = json!({"first": 12, "status": 429, "headers": {"retry-after-ms": "50"}});
    let server = server("storm", json!({"latency_ms": 20, "faults": [fault]}));
    let texts = texts(64);
    let outcomes = at_once(&server, &texts, &json!({"connections": 4}));
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let report = server.report();
    assert!(report["peak"].as_u64() <= Some(4), "{}", report["peak"]);
    assert!(report["requests"].as_u64() <= Some(40), "{} requests", report["requests"]);
}
