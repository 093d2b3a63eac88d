//! Single calls and statements that want the same texts at the same time: who waits for whom, and for how long.

use super::*;

/// A statement that has begun to send `texts` at one place, in requests of 4 that take 500 ms each, and how to end it.
struct Begun {
    end: Arc<Flag>,
    thread: std::thread::JoinHandle<Result<Vec<Vector>>>,
}

impl Begun {
    fn new(server: &Scenario, texts: &[String]) -> Begun {
        let (end, texts) = (Arc::new(Flag(AtomicBool::new(false))), texts.to_vec());
        let session = connection(server, "c", end.clone(), one_place(60.0));
        let thread = std::thread::spawn(move || statement(&session, &texts));
        until("the statement has sent", || !requests(server).is_empty());
        Begun { end, thread }
    }

    fn end(self) {
        self.end.0.store(true, Relaxed);
        let _ = self.thread.join().unwrap();
    }
}

/// One place for statements and one for single calls.
fn one_place(timeout: f64) -> Value {
    json!({"connections": 2, "batch_size": 4, "timeout": timeout})
}

#[test]
fn callers_of_one_bad_text_hear_the_same_refusal() {
    let faults = json!([{"text": "first", "delay_ms": SLOW_MS}, {"text": "bad", "status": 400}]);
    let server = server("same-bad", json!({"faults": faults}));
    let options = json!({"connections": 1});
    let mut line = Line::new(&server, &options);
    let calls = ["one", "two", "three", "four", "five"]
        .map(|name| (name, line.call(name, "bad", never(), options.clone())));
    line.end();
    for (name, call) in calls {
        let (outcome, stats) = call.join().unwrap();
        let e = outcome.unwrap_err().to_string();
        assert!(e.contains(&format!("client '{name}' (openai): HTTP 400")), "{e}");
        assert_eq!((&stats["texts"], &stats["errors"]), (&json!(0), &json!(1)), "{name}");
    }
    assert_eq!(requests(&server), [["first"], ["bad"]]);
}

/// Who tries less often, or asked before the request was sent, is no measure for who tries more.
#[test]
fn an_error_is_not_that_of_a_caller_who_tries_harder() {
    let fault = json!({"text": "text", "first": 1, "delay_ms": 500, "status": 503});
    let server = server("same-harder", json!({"faults": [fault]}));
    let hasty = connection(&server, "c", never(), json!({"retries": 0}));
    let firm = connection(&server, "c", never(), json!({"retries": 1}));
    let call = std::thread::spawn(move || hasty.embed_one("c", "text", None));
    until("the first has asked", || requests(&server).len() == 1);
    assert!(firm.embed_one("c", "text", None).is_ok());
    assert!(call.join().unwrap().is_err());
}

#[test]
fn who_has_waited_in_vain_has_what_is_left_of_its_time() {
    let faults = json!([
        {"text": "text", "requests": [0], "delay_ms": 1500, "status": 400},
        {"text": "text", "requests": [1], "hang": true},
    ]);
    let server = server("same-time", json!({"faults": faults}));
    let [first, second] =
        [10, 2].map(|timeout| connection(&server, "c", never(), json!({"timeout": timeout})));
    let call = std::thread::spawn(move || first.embed_one("c", "text", None));
    until("the first has asked", || requests(&server).len() == 1);
    let start = Instant::now();
    let e = second.embed_one("c", "text", None).unwrap_err().to_string();
    assert!(e.contains("within 2 s (option timeout)"), "{e}");
    assert!(start.elapsed() < Duration::from_millis(3200), "{:?}", start.elapsed());
    assert!(call.join().unwrap().is_err());
}

#[test]
fn a_text_that_waits_in_the_queue_of_a_statement_is_sent_by_the_call_that_has_no_more_time() {
    let server = server("same-single", json!({"latency_ms": 500}));
    let texts = texts(48);
    let begun = Begun::new(&server, &texts);
    let session = connection(&server, "c", never(), one_place(3.0));
    let text = &texts[40];
    assert_eq!(session.embed_one("c", text, None), Ok(truth("same-single", &texts).swap_remove(40)));
    begun.end();
}

#[test]
fn texts_that_wait_in_the_queue_of_a_statement_are_sent_by_the_one_that_has_no_more_time() {
    let server = server("same-statement", json!({"latency_ms": 500}));
    let texts = texts(48);
    let begun = Begun::new(&server, &texts);
    let session = connection(&server, "c", never(), one_place(1.2));
    let back: Vec<String> = texts[..40].iter().rev().cloned().collect();
    assert_eq!(statement(&session, &back), Ok(truth("same-statement", &back)));
    begun.end();
}

#[test]
fn a_vector_that_came_by_another_key_is_not_for_who_waits_with_the_old_one() {
    let path = std::env::temp_dir().join(format!("rembed-rotated-{}", std::process::id()));
    std::fs::write(&path, "key-old").unwrap();
    let fault = json!({"requests": [0], "status": 503, "headers": {"retry-after-ms": "1500"}});
    for (name, is_statement) in [("rotated", false), ("rotated-many", true)] {
        std::fs::write(&path, "key-old").unwrap();
        let server = server(name, json!({"faults": [fault]}));
        let from_file = connection(&server, "c", never(), json!({"key": format!("file:{}", path.display())}));
        let literal = connection(&server, "c", never(), json!({"key": "key-old"}));
        let rotates = std::thread::spawn(move || from_file.embed_one("c", "text", None));
        until("the first has asked", || requests(&server).len() == 1);
        let waits = std::thread::spawn(move || match is_statement {
            true => statement(&literal, &["text".into()]).map(|vectors| vectors[0].clone()),
            false => literal.embed_one("c", "text", None),
        });
        a_moment();
        std::fs::write(&path, "key-new").unwrap();
        assert!(rotates.join().unwrap().is_ok() && waits.join().unwrap().is_ok());
        let report = server.report();
        let keys: Vec<_> =
            report["log"].as_array().unwrap().iter().map(|e| &e["headers"]["authorization"]).collect();
        assert_eq!(keys, ["Bearer key-old", "Bearer key-new", "Bearer key-old"], "{name}");
    }
    std::fs::remove_file(&path).unwrap();
}
