//! Many rows through one statement of the core: their order, what is in flight, what is sent again, what is cached.
//! The request log of the fake is the witness.

mod support;

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, LazyLock, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlite_rembed::Session;
use sqlite_rembed::base::error::{Error, Result};
use sqlite_rembed::base::interrupt::{Interrupt, Uninterrupted};
use sqlite_rembed::embed::cache::Vector;
use sqlite_rembed::embed::stream::{Outcome, Stream, Text};
use support::{Scenario, texts};

/// A scenario with narrow vectors.
fn server(name: &str, mut settings: Value) -> Scenario {
    settings["width"] = 16.into();
    Scenario::new(name, settings)
}

/// The rows of a source, each with its number.
fn source(texts: &[String]) -> impl Iterator<Item = Result<(usize, Text)>> {
    texts.iter().enumerate().map(|(i, text)| Ok((i, Text::Text(text.as_str().into()))))
}

/// All rows of a statement, which must come in the order of the source.
fn all(session: &Session, texts: &[String], isolate: bool) -> Result<Vec<Outcome>> {
    let mut stream = session.stream("c", None, source(texts), isolate, None)?.whole();
    let mut outcomes = Vec::new();
    while let Some(row) = stream.next_row()? {
        assert_eq!(row.key, outcomes.len());
        assert_eq!(row.text.as_deref(), Some(texts[row.key].as_str()));
        outcomes.push(row.value);
    }
    Ok(outcomes)
}

/// What the fake answers to each of `texts`, asked for without the code under test.
fn truth(texts: &[String]) -> Vec<Vector> {
    static TRUTH: LazyLock<Scenario> = LazyLock::new(|| server("truth", json!({"log": false})));
    let answer = |texts: &[String]| -> Vec<Vector> {
        let body = json!({"model": "m", "input": texts}).to_string();
        let mut reply = ureq::post(format!("{}/v1/embeddings", TRUTH.url())).send(body).unwrap();
        let reply: Value = serde_json::from_slice(&reply.body_mut().read_to_vec().unwrap()).unwrap();
        let rows = reply["data"].as_array().unwrap().iter();
        let numbers = |row: &Value| row["embedding"].as_array().unwrap().clone();
        rows.map(|row| numbers(row).iter().map(|n| n.as_f64().unwrap() as f32).collect()).collect()
    };
    texts.chunks(1000).flat_map(answer).collect()
}

fn assert_true(outcomes: &[Outcome], texts: &[String]) {
    assert_eq!(outcomes.len(), texts.len());
    for (i, (got, want)) in outcomes.iter().zip(truth(texts)).enumerate() {
        assert_eq!(got.as_ref(), Ok(&Some(want)), "text {i}");
    }
}

/// Every text that was sent, as often as it was.
fn sent(server: &Scenario) -> Vec<String> {
    let report = server.report();
    let log = report["log"].as_array().unwrap().iter();
    log.flat_map(|entry| serde_json::from_value::<Vec<String>>(entry["texts"].clone()).unwrap()).collect()
}

/// When each request arrived.
fn arrivals(server: &Scenario) -> Vec<u64> {
    let report = server.report();
    let mut at: Vec<_> =
        report["log"].as_array().unwrap().iter().map(|e| e["at_ms"].as_u64().unwrap()).collect();
    at.sort_unstable();
    at
}

fn sorted(mut batches: Vec<usize>) -> Vec<usize> {
    batches.sort_unstable();
    batches
}

/// A session with the client `c` of exactly these options.
fn client(interrupt: Arc<dyn Interrupt>, options: Value) -> Session {
    let session = Session::new("test", interrupt, None);
    let Value::Object(options) = options else { panic!("options are an object") };
    session.register("c", options).unwrap();
    session
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

struct Flag(AtomicBool);

impl Interrupt for Flag {
    fn is_interrupted(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Runs the test `name` in a process of its own, since threads are counted by process; true in that process.
fn alone(name: &str) -> bool {
    if std::env::var_os("REMBED_TEST_ALONE").is_some() {
        return true;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let run = command.args(["--exact", name]).env("REMBED_TEST_ALONE", "1").output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
    false
}

/// The threads that the core has started and that still run.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // A thread that ends between the two reads has no name any more.
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("rembed")).collect()
}

fn assert_no_threads() {
    // The kernel may list a thread for a moment after it was joined.
    let start = Instant::now();
    while !threads().is_empty() {
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", threads());
        std::thread::sleep(Duration::from_millis(10));
    }
}

// Order, concurrency, memory.

#[test]
fn rows_come_in_order_while_later_requests_are_in_flight() {
    let server = server("early", json!({"latency_ms": 60}));
    let session = server.session("openai", "/v1", json!({"batch_size": 4, "concurrency": 2}));
    let texts = texts(80);
    let mut stream = session.stream("c", None, source(&texts), false, None).unwrap();
    let first = stream.next_row().unwrap().unwrap();
    let sent = server.batches().len();
    assert!(sent < 20, "{sent} requests were sent before the first row came");
    let mut outcomes = vec![first.value];
    while let Some(row) = stream.next_row().unwrap() {
        assert_eq!(row.key, outcomes.len());
        outcomes.push(row.value);
    }
    assert_true(&outcomes, &texts);
    assert_eq!(server.batches(), [4; 20]);
    assert!(stream.next_row().unwrap().is_none(), "the end stays the end");
}

#[test]
fn what_is_sent_travels_while_its_statement_does_something_else() {
    let server = server("fed", json!({"latency_ms": 30}));
    let session = client(
        Arc::new(Uninterrupted),
        json!({"format": "openai", "url": server.url(), "model": "m",
        "batch_size": 4, "concurrency": 2, "cache": "off"}),
    );
    let call = session.call("c", None).unwrap();
    let texts = texts(18);
    let mut stream = Stream::fed(call, true, Arc::new(Uninterrupted));
    let mut outcomes = Vec::new();
    for (i, some) in texts.chunks(9).enumerate() {
        for text in some {
            stream.push(i, Text::Text(text.as_str().into())).unwrap();
        }
        let left = 9 * (i + 1) - outcomes.len();
        assert!(!stream.have_come(left), "the last is not sent yet");
        stream.send().unwrap();
        // Nobody asks for an answer.
        eventually("all were answered", || {
            server.report()["texts"] == 9 * (i as u64 + 1) && stream.in_flight() == 0
        });
        assert!(stream.have_come(left) && !stream.have_come(left + 1));
        while outcomes.len() < 9 * i + 5 {
            let row = stream.next_row().unwrap().unwrap();
            assert_eq!(row.key, outcomes.len() / 9);
            outcomes.push(row.value);
        }
    }
    while let Some(row) = stream.next_row().unwrap() {
        outcomes.push(row.value);
    }
    assert_true(&outcomes, &texts);
    assert_eq!(sent(&server).len(), 18);
}

#[test]
fn a_slow_first_request_does_not_disturb_the_order() {
    let server = server("slow-first", json!({"faults": [{"requests": [0], "delay_ms": 400}]}));
    let session = server.session("openai", "/v1", json!({"batch_size": 5, "concurrency": 4}));
    let texts = texts(100);
    assert_true(&all(&session, &texts, false).unwrap(), &texts);
}

#[test]
fn as_many_requests_as_allowed_are_in_flight_and_never_more() {
    for concurrency in [1, 3, 8] {
        let server = server(&format!("peak{concurrency}"), json!({"latency_ms": 80}));
        let session = server.session("openai", "/v1", json!({"batch_size": 2, "concurrency": concurrency}));
        let texts = texts(8 * concurrency);
        assert_true(&all(&session, &texts, false).unwrap(), &texts);
        assert_eq!(server.report()["peak"], concurrency);
    }
    // The default.
    let server = server("peak", json!({"latency_ms": 80}));
    all(&server.session("openai", "/v1", json!({"batch_size": 2})), &texts(40), false).unwrap();
    assert_eq!(server.report()["peak"], 8);
}

#[test]
fn ten_thousand_texts_take_forty_requests() {
    let server = server("ten-thousand", json!({}));
    let session = server.session("openai", "/v1", json!({"batch_size": 256, "concurrency": 8}));
    let texts = texts(10_000);
    assert_true(&all(&session, &texts, false).unwrap(), &texts);
    let batches = sorted(server.batches());
    assert_eq!((batches[0], &batches[1..]), (10_000 - 39 * 256, &[256; 39][..]));
}

#[test]
fn the_source_is_read_no_further_ahead_than_two_rounds_of_requests() {
    for (batch, concurrency) in [(1, 1), (5, 1), (4, 3), (10, 8)] {
        let server = server(&format!("ahead{batch}-{concurrency}"), json!({}));
        let session = server.session(
            "openai",
            "/v1",
            json!({"batch_size": batch, "concurrency": concurrency, "batch_tokens": 40}),
        );
        let read = AtomicUsize::new(0);
        let texts = texts(6 * batch * concurrency + 7);
        let counted = source(&texts).inspect(|_| {
            read.fetch_add(1, Relaxed);
        });
        let mut stream = session.stream("c", None, counted, false, None).unwrap();
        assert_eq!(read.load(Relaxed), 0, "the source is read before the first row is asked for");
        let mut left = 0;
        while let Some(row) = stream.next_row().unwrap() {
            let ahead = read.load(Relaxed) - left;
            assert!(ahead <= 2 * batch * concurrency, "{ahead} rows ahead of row {left}");
            row.value.unwrap();
            left += 1;
        }
        assert_eq!(left, texts.len());
    }
}

#[test]
fn a_query_that_takes_one_row_pays_for_little() {
    let server = server("limit", json!({}));
    let session = server.session("openai", "/v1", json!({}));
    let many = texts(20_000);
    let mut stream = session.stream("c", None, source(&many), false, None).unwrap();
    stream.next_row().unwrap().unwrap().value.unwrap();
    drop(stream);
    assert_eq!(server.batches(), [32]);

    // A table is read at full speed from the second request on.
    let server = self::server("no-limit", json!({}));
    let session = server.session("openai", "/v1", json!({"batch_size": 256}));
    let mut stream = session.stream("c", None, source(&many[..10_000]), false, None).unwrap();
    while stream.next_row().unwrap().is_some() {}
    let batches = server.batches();
    assert_eq!(batches[0], 32);
    assert!(batches.len() <= 42, "{batches:?}");
}

#[test]
fn long_texts_are_not_read_ahead_without_bound() {
    let server = server("long-texts", json!({"log": false}));
    let session = server.session("openai", "/v1", json!({"cache": "off"}));
    let texts: Vec<_> = (0..1000).map(|i| format!("{i} {}", "x".repeat(100_000))).collect();
    let read = AtomicUsize::new(0);
    let counted = source(&texts).inspect(|_| {
        read.fetch_add(1, Relaxed);
    });
    let mut stream = session.stream("c", None, counted, false, None).unwrap().whole();
    for taken in 0..300 {
        stream.next_row().unwrap().unwrap().value.unwrap();
        let ahead = read.load(Relaxed) - taken;
        assert!(ahead <= (16 << 20) / 100_000 + 2, "{ahead} rows ahead of row {taken}");
    }
}

#[test]
fn an_empty_source_sends_nothing() {
    let server = server("empty-source", json!({}));
    let session = server.session("openai", "/v1", json!({}));
    assert_eq!(all(&session, &[], true), Ok(vec![]));
    assert_eq!(session.embed("c", &[], None), Ok(vec![]));
    assert_eq!(server.report()["connections"], 0);
}

#[test]
fn null_and_bad_texts_stand_in_their_places_and_are_not_sent() {
    let server = server("null", json!({}));
    let session = server.session("openai", "/v1", json!({"batch_size": 4, "concurrency": 2}));
    let texts = texts(60);
    let rows = texts.iter().enumerate().map(|(i, text)| {
        let text = match i % 4 {
            0 => Text::Null,
            1 => Text::Bad("the text is a BLOB".into()),
            _ => Text::Text(text.as_str().into()),
        };
        Ok((i, text))
    });
    let good: Vec<_> = (0..60).filter(|i| i % 4 > 1).map(|i| texts[i].clone()).collect();
    let mut truth = truth(&good).into_iter();
    let mut stream = session.stream("c", None, rows, false, None).unwrap();
    for i in 0..60 {
        let row = stream.next_row().unwrap().unwrap();
        assert_eq!(row.key, i);
        match i % 4 {
            0 => assert_eq!(row.value, Ok(None)),
            1 => {
                let e = row.value.unwrap_err().to_string();
                assert_eq!(e, "client 'c' (openai): the text is a BLOB");
            }
            _ => assert_eq!(row.value, Ok(truth.next())),
        }
        assert_eq!(row.text.is_some(), i % 4 > 1);
    }
    assert!(stream.next_row().unwrap().is_none());
    assert_eq!(sorted(server.batches()), [2, 4, 4, 4, 4, 4, 4, 4]);
    assert_eq!(HashSet::from_iter(sent(&server)), HashSet::<String>::from_iter(good));
}

#[test]
fn a_source_that_fails_ends_the_statement() {
    let server = server("source-fails", json!({}));
    let session = server.session("openai", "/v1", json!({"batch_size": 2, "concurrency": 1}));
    let texts = texts(20);
    let rows =
        source(&texts).map(|row| if row.as_ref().unwrap().0 == 10 { Err(Error::Interrupted) } else { row });
    let mut stream = session.stream("c", None, rows, true, None).unwrap();
    let mut came = 0;
    let end = loop {
        match stream.next_row() {
            Ok(Some(row)) => came += row.value.map(|_| 1).unwrap(),
            Ok(None) => panic!("the error of the source is lost"),
            Err(e) => break e,
        }
    };
    assert_eq!(end, Error::Interrupted);
    assert!(came <= 10);
}

// Servers that misbehave.

#[test]
fn a_storm_of_429_is_sat_out() {
    let after = json!({"retry-after-ms": "60"});
    for (name, least, settings) in [
        ("storm-asked", 12, json!({"faults": [{"first": 12, "status": 429, "headers": after}]})),
        ("storm-silent", 6, json!({"faults": [{"first": 6, "status": 429}]})),
        ("storm-window", 1, json!({"rpm": 10, "rpm_window_ms": 250})),
    ] {
        let server = server(name, settings);
        let session = server.session("openai", "/v1", json!({"batch_size": 5, "concurrency": 8}));
        let texts = texts(150);
        assert_true(&all(&session, &texts, false).unwrap(), &texts);
        let refused = server.batches().len() - 30;
        let stats: Value = serde_json::from_str(&session.stats().unwrap()).unwrap();
        assert_eq!(stats["c"]["retries"], refused, "{name}");
        assert_eq!((&stats["c"]["errors"], &stats["c"]["texts"]), (&json!(0), &json!(150)), "{name}");
        assert!(refused >= least, "{name}: {refused}");
    }
}

#[test]
fn a_pause_that_one_reply_announces_holds_the_others_back() {
    let fault =
        json!({"requests": [0], "delay_ms": 100, "status": 429, "headers": {"retry-after-ms": "1500"}});
    let server = server("pause", json!({"latency_ms": 30, "faults": [fault]}));
    let options = json!({"batch_size": 1, "concurrency": 4});
    let texts = texts(60);
    // Two connections with the same client, which the provider counts as one.
    let sessions = [(); 2].map(|()| server.session("openai", "/v1", options.clone()));
    std::thread::scope(|scope| {
        for (session, texts) in sessions.iter().zip(texts.chunks(30)) {
            scope.spawn(move || assert_true(&all(session, texts, false).unwrap(), texts));
        }
    });
    let at = arrivals(&server);
    // From when the reply has surely arrived, and what left before it, also on a busy machine, until the announced time is over.
    let pause = at[0] + 100 + 30 + 400..at[0] + 100 + 1500;
    let within: Vec<_> = at.iter().filter(|at| pause.contains(at)).collect();
    assert!(within.is_empty(), "in the pause {pause:?}: {within:?}");
    assert!(at.iter().filter(|at| **at < pause.start).count() >= 8, "{at:?}");
    assert!(at.iter().filter(|at| **at >= pause.end).count() >= 10, "{at:?}");
}

#[test]
fn failures_of_the_server_are_retried_and_nothing_is_lost() {
    let headers = json!({"retry-after-ms": "5"});
    let mut faults: Vec<_> = [500, 502, 503, 504, 529]
        .iter()
        .map(|status| json!({"first": 3, "status": status, "headers": headers}))
        .collect();
    faults.push(json!({"first": 4, "reset": "mid"}));
    faults.push(json!({"first": 4, "reset": "before"}));
    for (i, fault) in faults.into_iter().enumerate() {
        let server = server(&format!("again{i}"), json!({"faults": [fault]}));
        let session = server.session("openai", "/v1", json!({"batch_size": 5, "concurrency": 4}));
        let texts = texts(100);
        assert_true(&all(&session, &texts, false).unwrap_or_else(|e| panic!("{fault}: {e}")), &texts);
    }
}

#[test]
fn rows_of_a_request_that_hangs_fail_by_the_timeout_and_the_others_come() {
    let server = server("hang", json!({"faults": [{"text": "number 11", "hang": true}]}));
    let options = json!({"batch_size": 5, "concurrency": 4, "timeout": 0.5});
    let session = server.session("openai", "/v1", options);
    let texts = texts(50);
    let start = Instant::now();
    let outcomes = all(&session, &texts, true).unwrap();
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    for (i, (outcome, want)) in outcomes.iter().zip(truth(&texts)).enumerate() {
        match outcome {
            Err(e) if (10..15).contains(&i) => {
                assert!(e.to_string().contains("within 0.5 s (option timeout)"), "{e}");
            }
            outcome => assert_eq!(outcome, &Ok(Some(want)), "text {i}"),
        }
    }
    assert_eq!(server.batches().len(), 10, "a request that hung was sent again");
}

#[test]
fn an_interrupt_ends_eight_hanging_requests_and_leaves_no_thread() {
    if !alone("an_interrupt_ends_eight_hanging_requests_and_leaves_no_thread") {
        return;
    }
    let server = server("interrupt", json!({"faults": [{"hang": true}]}));
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let options = json!({"format": "openai", "url": format!("{}/v1", server.url()), "batch_size": 3});
    let session = client(flag.clone(), options);
    let waiting = std::thread::spawn(move || all(&session, &texts(100), true).map(|rows| rows.len()));
    eventually("8 requests hang", || server.batches().len() == 8);
    assert_eq!(threads().iter().filter(|name| name.trim() == "rembed").count(), 8);
    let start = Instant::now();
    flag.0.store(true, Relaxed);
    assert_eq!(waiting.join().unwrap(), Err(Error::Interrupted));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_no_threads();
    assert_eq!(server.batches().len(), 8);
}

#[test]
fn a_statement_that_is_dropped_early_ends_its_requests_and_threads() {
    if !alone("a_statement_that_is_dropped_early_ends_its_requests_and_threads") {
        return;
    }
    // The first request is answered, all others hang.
    let server = server("dropped", json!({"faults": [{"text": "later", "hang": true}]}));
    let session = server.session("openai", "/v1", json!({"batch_size": 2, "concurrency": 4}));
    let texts: Vec<_> =
        (0..100).map(|i| format!("{} text {i}", if i < 2 { "early" } else { "later" })).collect();
    let mut stream = session.stream("c", None, source(&texts), false, None).unwrap().whole();
    assert_eq!(stream.next_row().unwrap().unwrap().key, 0);
    eventually("4 requests hang", || server.batches().len() == 5);
    let start = Instant::now();
    drop(stream);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_no_threads();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(server.batches().len(), 5, "requests were sent for a statement that had ended");
    // What was in flight can be asked for again.
    drop(self::server("dropped", json!({})));
    assert_true(&all(&session, &texts, false).unwrap(), &texts);
    // A stream that is dropped before its first row has not begun.
    drop(session.stream("c", None, source(&texts), false, None).unwrap());
    assert_no_threads();
}

/// Embeds 2,048 texts of which those in `poisoned` are refused. Only their own rows may fail.
fn assert_isolated(name: &str, poisoned: &BTreeSet<usize>, most: usize) {
    let body = json!({"error": {"message": "this text is poison"}});
    let server =
        server(name, json!({"latency_ms": 0, "faults": [{"text": "poison", "status": 400, "body": body}]}));
    let session = server.session("openai", "/v1", json!({"batch_size": 256, "concurrency": 8}));
    let mut texts = texts(2048);
    for i in poisoned {
        texts[*i].push_str(" poison");
    }
    let outcomes = all(&session, &texts, true).unwrap();
    let truth = truth(&texts);
    let wrong: Vec<_> = (0..texts.len())
        .filter(|i| match &outcomes[*i] {
            Err(e) => {
                assert_eq!(e.to_string(), "client 'c' (openai): HTTP 400: this text is poison");
                !poisoned.contains(i)
            }
            Ok(vector) => vector.as_ref() != Some(&truth[*i]) || poisoned.contains(i),
        })
        .collect();
    assert!(wrong.is_empty(), "{name}: wrong rows {wrong:?}");
    let requests = server.batches().len();
    assert!(requests <= most, "{name}: {requests} requests");
}

#[test]
fn a_poisoned_row_fails_alone() {
    // A row is found in 8 steps, each of which asks for two halves.
    for (name, rows) in [
        ("first", vec![0]),
        ("middle", vec![1024]),
        ("last", vec![2047]),
        ("odd", vec![777]),
        ("two-apart", vec![0, 2047]),
        ("two-together", vec![300, 301]),
        ("two-across", vec![255, 256]),
        ("one-in-each", (0..8).map(|i| i * 256 + 31 * i).collect()),
    ] {
        let most = 8 + 16 * rows.len();
        assert_isolated(&format!("poison-{name}"), &BTreeSet::from_iter(rows), most);
    }
}

#[test]
fn poisoned_rows_in_plenty_fail_alone() {
    // The whole request is refused, and little is asked of it.
    assert_isolated("poison-request", &(512..768).collect(), 8 + 72);
    // Every other row: no more than a request for each, and for each pair, and so on.
    assert_isolated("poison-every-other", &(256..512).step_by(2).collect(), 8 + 2 * 256);
    // One in each part that a request is cut into.
    assert_isolated("poison-spread", &(0..256).step_by(16).collect(), 8 + 2 * 256);
}

#[test]
fn as_many_poisoned_rows_as_a_request_holds_fail_alone_where_they_stand_across_two() {
    let rows: Range<usize> = 600..856;
    assert_isolated("poison-across", &rows.collect(), 8 + 2 * 256 + 2 * 8);
}

#[test]
fn when_everything_is_refused_little_is_sent() {
    let server = server("all-refused", json!({"faults": [{"status": 400}]}));
    let session = server.session("openai", "/v1", json!({"batch_size": 256}));
    let outcomes = all(&session, &texts(2048), true).unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap_err().to_string().contains("HTTP 400")));
    // All is given up after 24 refusals and 4 texts alone, and what has left by then.
    let requests = server.batches().len();
    assert!(requests <= 24 + 8 * 12, "{requests} requests");

    // A wrong key is not a text's fault.
    let server = self::server("all-forbidden", json!({"key": "another"}));
    let session = server.session("openai", "/v1", json!({"batch_size": 256, "key": "wrong"}));
    let outcomes = all(&session, &texts(2048), true).unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap_err().to_string().contains("HTTP 401")));
    // After the fourth the rest gets the same answer; as many as eight have left by then.
    assert!(matches!(server.batches()[..], [256, 256, 256, 256, ..]), "{:?}", server.batches());
    assert!(server.batches().iter().all(|n| *n == 256) && server.batches().len() <= 8);
}

#[test]
fn without_isolation_a_refused_request_is_not_sent_again() {
    let server = server("no-isolation", json!({"faults": [{"text": "number 77", "status": 400}]}));
    let session = server.session("openai", "/v1", json!({"batch_size": 10, "concurrency": 4}));
    let texts = texts(200);
    let outcomes = all(&session, &texts, false).unwrap();
    for (i, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), (70..80).contains(&i), "text {i}");
    }
    assert_eq!(server.batches(), [10; 20]);
    assert!(session.embed("c", &["a", &texts[77]], None).is_err());
    assert_eq!(server.batches().len(), 21);
}

#[test]
fn a_request_too_large_is_halved_whatever_fits() {
    let texts = texts(64);
    for most in 1..=64 {
        let server = server(&format!("large{most}"), json!({"max_texts_too_large": most}));
        let options = json!({"batch_size": 32, "concurrency": 2});
        let outcomes = all(&server.session("openai", "/v1", options), &texts, most % 2 == 0).unwrap();
        assert_true(&outcomes, &texts);
        let (served, refused): (Vec<_>, Vec<_>) = server.batches().into_iter().partition(|n| *n <= most);
        assert_eq!(served.iter().sum::<usize>(), 64, "{most}");
        assert!(served.iter().all(|n| n * 2 > most.min(32)), "{most}: {served:?}");
        assert!(refused.len() < served.len(), "{most}: {refused:?}");
    }
}

#[test]
fn a_request_too_large_with_a_poisoned_row_is_taken_apart() {
    let faults = json!([{"text": "number 20", "status": 422}]);
    let server = server("large-poison", json!({"max_texts_too_large": 10, "faults": faults}));
    let texts = texts(64);
    let outcomes = all(&server.session("openai", "/v1", json!({})), &texts, true).unwrap();
    for (i, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), i == 20, "text {i}");
    }
}

#[test]
fn rows_out_of_order_are_placed_by_index_in_every_request() {
    for order in ["reversed", "shuffled"] {
        let server = server(&format!("order-{order}"), json!({"faults": [{"order": order}]}));
        let session = server.session("openai", "/v1", json!({"batch_size": 7, "concurrency": 3}));
        let texts = texts(100);
        assert_true(&all(&session, &texts, false).unwrap(), &texts);
    }
}

/// A server that answers wrongly once is asked again for the halves; one whose vectors have another width is of another model.
#[test]
fn texts_whose_answer_cannot_be_believed_are_asked_for_in_parts() {
    for (i, (fault, why)) in [
        (json!({"count": -1}), None),
        (json!({"count": 1}), None),
        (json!({"empty": true}), None),
        (json!({"duplicate_index": true}), None),
        (json!({"html": true}), None),
        (json!({"width": 8}), Some("dimensions, an earlier one")),
    ]
    .into_iter()
    .enumerate()
    {
        let mut fault = fault.clone();
        fault["requests"] = json!([3]);
        let server = server(&format!("unbelievable{i}"), json!({"faults": [fault]}));
        let session = server.session("openai", "/v1", json!({"batch_size": 10, "concurrency": 1}));
        let texts = texts(60);
        let outcomes = all(&session, &texts, true).unwrap();
        for (row, (outcome, want)) in outcomes.iter().zip(truth(&texts)).enumerate() {
            match (why, outcome) {
                (Some(why), Err(e)) => {
                    assert!((30..40).contains(&row) && e.to_string().contains(why), "{row}: {e}")
                }
                (None, Err(e)) => panic!("{fault}, row {row}: {e}"),
                (_, Ok(vector)) => assert!(vector.as_ref() == Some(&want), "{fault}, row {row}"),
            }
        }
        let sent: &[usize] = if why.is_some() { &[10; 6] } else { &[10, 10, 10, 10, 5, 5, 10, 10] };
        assert_eq!(server.batches(), sent, "{fault}");
    }
}

#[test]
fn a_server_that_goes_away_half_way_fails_the_rows_it_has_not_answered() {
    let mut fake = Some(support::start());
    let url = fake.as_ref().unwrap().url.clone();
    let settings = json!({"width": 16, "latency_ms": 40}).to_string();
    ureq::put(format!("{url}/_/gone")).send(settings).unwrap();
    let options = json!({
        "format": "openai", "url": format!("{url}/s/gone/v1"), "batch_size": 4, "concurrency": 4,
        "retries": 1, "timeout": 5
    });
    let session = client(Arc::new(Uninterrupted), options);
    let texts = texts(160);
    let want = truth(&texts);
    let mut stream = session.stream("c", None, source(&texts), true, None).unwrap();
    let (mut good, mut bad) = (0, 0);
    let start = Instant::now();
    while let Some(row) = stream.next_row().unwrap() {
        match row.value {
            Ok(vector) => {
                assert_eq!(vector.as_ref(), Some(&want[row.key]));
                good += 1;
            }
            Err(e) => {
                let e = e.to_string();
                assert!(e.contains("connection"), "{e}");
                bad += 1;
            }
        }
        if good + bad == 40 {
            drop(fake.take());
        }
    }
    assert_eq!(good + bad, 160);
    assert!(good >= 40 && bad >= 60, "{good} good, {bad} bad");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    drop(stream);
    // A statement that does not read its rows' errors ends by the first.
    let e = session.embed("c", &["another"], None).unwrap_err().to_string();
    assert!(e.contains("connection refused"), "{e}");
}

// The cache, and statements that meet.

#[test]
fn a_text_that_comes_again_in_another_request_is_sent_once() {
    let server = server("again", json!({"latency_ms": 20}));
    let session = server.session("openai", "/v1", json!({"batch_size": 10, "concurrency": 2}));
    // Again within what is in flight, and again long after.
    let texts: Vec<_> = (0..1000).map(|i| format!("text {}", (i % 15) + (i / 200) * 10)).collect();
    let unique: HashSet<_> = texts.iter().cloned().collect();
    assert_true(&all(&session, &texts, false).unwrap(), &texts);
    let sent = sent(&server);
    assert_eq!(sent.len(), unique.len());
    assert_eq!(HashSet::from_iter(sent), unique);
}

#[test]
fn only_what_the_cache_does_not_have_is_sent_and_still_in_batches() {
    let server = server("misses", json!({}));
    let session = server.session("openai", "/v1", json!({"batch_size": 25, "concurrency": 2}));
    let texts = texts(200);
    let even: Vec<_> = texts.iter().step_by(2).cloned().collect();
    assert_true(&all(&session, &even, false).unwrap(), &even);
    assert_eq!(server.batches(), [25; 4]);
    assert_true(&all(&session, &texts, false).unwrap(), &texts);
    assert_eq!(server.batches(), [25; 8]);
    let sent = sent(&server);
    assert_eq!(HashSet::<&String>::from_iter(&sent).len(), 200, "a text was sent twice");
    let stats: Value = serde_json::from_str(&session.stats().unwrap()).unwrap();
    assert_eq!(stats["c"]["cache_hits"], 100);
    assert_eq!(stats["c"]["texts"], 200);
    // Another connection has the same cache.
    let other = server.session("openai", "/v1", json!({}));
    assert_true(&all(&other, &texts, true).unwrap(), &texts);
    assert_eq!(server.batches().len(), 8);
}

#[test]
fn two_statements_that_ask_for_the_same_texts_send_each_once() {
    let server = server("meet", json!({"latency_ms": 100}));
    let sessions =
        [(); 2].map(|()| server.session("openai", "/v1", json!({"batch_size": 10, "concurrency": 4})));
    let texts = texts(200);
    let start = Barrier::new(2);
    std::thread::scope(|scope| {
        for (i, session) in sessions.iter().enumerate() {
            let (texts, start) = (&texts, &start);
            scope.spawn(move || {
                // One reads them backwards: each waits for what the other has sent.
                let mut mine = texts.clone();
                if i == 1 {
                    mine.reverse();
                }
                start.wait();
                assert_true(&all(session, &mine, false).unwrap(), &mine);
            });
        }
    });
    assert_eq!(sent(&server).len(), 200);
}

#[test]
fn whoever_waits_for_a_request_that_fails_asks_for_itself() {
    let fault = json!({"first": 1, "delay_ms": 300, "status": 400});
    let server = server("meet-failure", json!({"faults": [fault]}));
    let [first, second] = [(); 2].map(|()| server.session("openai", "/v1", json!({})));
    let texts = texts(20);
    std::thread::scope(|scope| {
        let one = scope.spawn(|| all(&first, &texts, false).unwrap());
        eventually("the first has asked", || server.batches().len() == 1);
        assert_true(&all(&second, &texts, false).unwrap(), &texts);
        assert!(one.join().unwrap().iter().all(Result::is_err));
    });
    // The same for single texts.
    let fault = json!({"first": 1, "delay_ms": 300, "status": 400});
    let server = self::server("meet-failure-single", json!({"faults": [fault]}));
    let [first, second] = [(); 2].map(|()| server.session("openai", "/v1", json!({})));
    std::thread::scope(|scope| {
        let one = scope.spawn(|| first.embed_one("c", "a", None));
        eventually("the first has asked", || server.batches().len() == 1);
        let vector = second.embed_one("c", "a", None).unwrap();
        assert_eq!(vector, truth(&["a".into()])[0]);
        assert!(one.join().unwrap().is_err());
    });
    assert_eq!(server.batches(), [1, 1]);
}

#[test]
fn what_another_statement_failed_to_get_is_asked_for_in_batches() {
    let fault = json!({"first": 2, "delay_ms": 300, "status": 400});
    let server = server("meet-batches", json!({"faults": [fault]}));
    let [first, second] =
        [(); 2].map(|()| server.session("openai", "/v1", json!({"batch_size": 100, "concurrency": 2})));
    let texts = texts(200);
    std::thread::scope(|scope| {
        scope.spawn(|| all(&first, &texts, false).unwrap());
        eventually("the first has asked", || server.batches().len() == 2);
        assert_true(&all(&second, &texts, false).unwrap(), &texts);
    });
    let requests = server.batches().len();
    assert!(requests <= 10, "{requests} requests for 200 texts, of which 2 failed");
}

#[test]
fn whoever_waits_for_a_statement_that_hangs_waits_once() {
    let server = server("meet-hang", json!({"faults": [{"delay_ms": 4000}]}));
    let session = |timeout: f64| {
        server.session("openai", "/v1", json!({"batch_size": 50, "concurrency": 4, "timeout": timeout}))
    };
    let (first, second) = (session(60.0), session(0.5));
    let texts = texts(200);
    std::thread::scope(|scope| {
        let one = scope.spawn(|| all(&first, &texts, true).unwrap());
        eventually("the first has asked", || server.batches().len() == 4);
        let mut stream = second.stream("c", None, source(&texts), true, None).unwrap();
        while let Some(row) = stream.next_row().unwrap() {
            // Eight waits for a text each are longer than the first statement's.
            let e = row.value.expect_err("the wait for a text ended before the first statement had it");
            assert!(e.to_string().contains("another statement has sent the same text"), "{e}");
        }
        assert_true(&one.join().unwrap(), &texts);
    });
    assert_eq!(server.batches(), [50; 4]);
}

#[test]
fn whoever_waits_for_a_statement_that_is_interrupted_asks_for_itself() {
    let server = server("meet-drop", json!({"faults": [{"first": 2, "hang": true}]}));
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let options = json!({
        "format": "openai", "model": "m", "url": format!("{}/v1", server.url()), "batch_size": 5,
        "concurrency": 2
    });
    let first = client(flag.clone(), options.clone());
    let second = client(Arc::new(Uninterrupted), options);
    let texts = texts(40);
    std::thread::scope(|scope| {
        let interrupted = scope.spawn(|| all(&first, &texts, false));
        eventually("the first has asked", || server.batches().len() == 2);
        let waiting = scope.spawn(|| assert_true(&all(&second, &texts, false).unwrap(), &texts));
        std::thread::sleep(Duration::from_millis(200));
        flag.0.store(true, Relaxed);
        assert_eq!(interrupted.join().unwrap(), Err(Error::Interrupted));
        waiting.join().unwrap();
    });
}

#[test]
fn a_statement_that_stands_still_keeps_nobody_waiting() {
    // As in: SELECT rembed('c', 'text number 3') FROM rembed_batch('c', …), or beside a cursor left open.
    let server = server("standing", json!({}));
    let [session, other] =
        [(); 2].map(|()| server.session("openai", "/v1", json!({"batch_size": 2, "concurrency": 1})));
    let texts = texts(20);
    let mut stream = session.stream("c", None, source(&texts), false, None).unwrap().whole();
    assert_eq!(stream.next_row().unwrap().unwrap().key, 0);
    let (answer, answered) = mpsc::channel();
    let all = texts.clone();
    std::thread::spawn(move || {
        for text in &all {
            answer.send(other.embed_one("c", text, None)).unwrap();
        }
    });
    for (i, want) in truth(&texts).into_iter().enumerate() {
        let got = answered.recv_timeout(Duration::from_secs(3));
        assert_eq!(got, Ok(Ok(want)), "text {i}, while a statement that holds it stands still");
    }
}

#[test]
fn the_cache_off_sends_again() {
    let server = server("cache-off", json!({}));
    let session = server.session("openai", "/v1", json!({"cache": "off", "batch_size": 10}));
    let texts = texts(30);
    for round in 1..=2 {
        assert_true(&all(&session, &texts, false).unwrap(), &texts);
        assert_eq!(server.batches(), vec![10; 3 * round]);
    }
    session.embed_one("c", &texts[0], None).unwrap();
    session.embed_one("c", &texts[0], None).unwrap();
    assert_eq!(server.batches().len(), 8);
    let e = session.prefetch("c", "[\"a\"]", None).unwrap_err().to_string();
    assert!(e.contains("needs the cache"), "{e}");
}

#[test]
fn errors_are_never_cached() {
    let server = server("errors", json!({"faults": [{"first": 2, "status": 400}]}));
    let session = server.session("openai", "/v1", json!({}));
    let texts = texts(3);
    assert!(session.embed_one("c", &texts[0], None).is_err());
    assert!(all(&session, &texts, false).unwrap().iter().all(Result::is_err));
    assert_true(&all(&session, &texts, false).unwrap(), &texts);
    assert_eq!(server.batches(), [1, 3, 3]);
}

#[test]
fn the_cache_tells_apart_what_can_change_a_vector_and_nothing_else() {
    let server = server("keys", json!({}));
    let base = json!({"format": "cohere", "model": "m", "url": format!("{}/v2", server.url())});
    let with = |name: &str, value: Value| {
        let mut options = base.clone();
        options[name] = value;
        client(Arc::new(Uninterrupted), options)
    };
    let ask = |session: &Session, input_type| {
        let before = server.batches().len();
        session.embed_one("c", "the text", input_type).unwrap();
        server.batches().len() - before
    };
    let plain = client(Arc::new(Uninterrupted), base.clone());
    assert_eq!(ask(&plain, None), 1);
    assert_eq!(ask(&plain, None), 0);
    for (name, value) in [
        ("dimensions", json!(256)),
        ("dimensions", json!(512)),
        ("normalize", json!(true)),
        ("truncate", json!(true)),
        ("truncate", json!(false)),
        ("model", json!("n")),
        ("body", json!({"priority": 1})),
        ("body", json!({"priority": 2})),
        ("headers", json!({"x-version": "1"})),
        ("headers", json!({"x-version": "2"})),
        ("url", json!(format!("{}/v1", server.url()))),
        ("input_type", json!("query")),
        ("key", json!("one account")),
        ("key", json!("another account")),
    ] {
        let session = with(name, value.clone());
        assert_eq!(ask(&session, None), 1, "{name} = {value}");
        assert_eq!(ask(&session, None), 0, "{name} = {value}");
    }
    // The type of an option and that of a call are the same, in our words and in the provider's.
    for word in ["query", "search_query"] {
        assert_eq!(ask(&plain, Some(word)), 0, "{word}");
    }
    assert_eq!(ask(&plain, Some("document")), 0);
    assert_eq!(ask(&plain, Some("classification")), 1);
    for (name, value) in [
        ("timeout", json!(5)),
        ("connect_timeout", json!(5)),
        ("retries", json!(1)),
        ("batch_size", json!(7)),
        ("batch_tokens", json!(700)),
        ("concurrency", json!(2)),
        ("requests_per_minute", json!(1000)),
        ("tokens_per_minute", json!(1000)),
        ("allow_http", json!(true)),
        ("cache", json!("disk")),
    ] {
        assert_eq!(ask(&with(name, value), None), 0, "{name}");
    }
    assert_eq!(plain.embed_one("c", "another text", None).map(drop), Ok(()));
}

#[test]
fn what_was_prefetched_is_not_sent_again() {
    let server = server("prefetch", json!({}));
    let session = server.session("openai", "/v1", json!({"batch_size": 10}));
    let texts = texts(35);
    let mut list = json!(texts);
    list.as_array_mut().unwrap().push(Value::Null);
    assert_eq!(session.prefetch("c", &list.to_string(), None), Ok(35));
    assert_eq!(sorted(server.batches()), [5, 10, 10, 10]);
    for (text, want) in texts.iter().zip(truth(&texts)) {
        assert_eq!(session.embed_one("c", text, None), Ok(want));
    }
    assert_eq!(session.prefetch("c", &json!(texts).to_string(), None), Ok(35));
    assert_eq!(session.prefetch("c", "[]", None), Ok(0));
    assert_eq!(server.batches().len(), 4);
}

// Pace.

/// Asserts that no more than `each` milliseconds apart, and one second ahead, was sent what costs `cost` units.
fn assert_pace(server: &Scenario, each: u64, costs: impl Fn(usize) -> u64) {
    let at = arrivals(server);
    let mut paid = 0;
    for (i, now) in at.iter().enumerate() {
        // A second ahead is allowed; 40 ms is what an arrival may be late, and so the next seem early.
        assert!(now - at[0] + 1000 + 40 >= paid, "request {i} came early: {at:?}");
        paid += each * costs(i);
    }
}

#[test]
fn requests_per_minute_are_kept_across_connections() {
    let server = server("rpm", json!({}));
    let options = json!({"batch_size": 1, "requests_per_minute": 240});
    let sessions = [(); 2].map(|()| server.session("openai", "/v1", options.clone()));
    let texts = texts(12);
    std::thread::scope(|scope| {
        for (session, texts) in sessions.iter().zip(texts.chunks(6)) {
            scope.spawn(move || assert_true(&all(session, texts, false).unwrap(), texts));
        }
    });
    assert_eq!(server.batches(), [1; 12]);
    // 4 a second, and 4 ahead: the twelfth comes after 2 s.
    assert_pace(&server, 250, |_| 1);
    let at = arrivals(&server);
    let took = at[11] - at[0];
    assert!((1900..3500).contains(&took), "{at:?}");
}

#[test]
fn tokens_per_minute_are_kept_across_connections() {
    let server = server("tpm", json!({}));
    // 100 tokens a second; each text has 50.
    let options = json!({"batch_size": 1, "tokens_per_minute": 6000});
    let sessions = [(); 2].map(|()| server.session("openai", "/v1", options.clone()));
    let texts: Vec<_> = (0..6).map(|i| format!("{i}").repeat(200)).collect();
    std::thread::scope(|scope| {
        for (session, texts) in sessions.iter().zip(texts.chunks(3)) {
            scope.spawn(move || assert_true(&all(session, texts, false).unwrap(), texts));
        }
    });
    assert_eq!(server.batches(), [1; 6]);
    assert_pace(&server, 500, |_| 1);
    let at = arrivals(&server);
    let took = at[5] - at[0];
    assert!((1400..3500).contains(&took), "{at:?}");
}

#[test]
fn a_wait_for_the_pace_can_be_interrupted() {
    let server = server("pace", json!({}));
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let options = json!({
        "format": "openai", "url": format!("{}/v1", server.url()), "batch_size": 1, "requests_per_minute": 60
    });
    let session = client(flag.clone(), options);
    let rows = all(&session, &texts(2), false).unwrap();
    assert!(rows.iter().all(Result::is_ok), "{rows:?}");
    let waiting = std::thread::spawn(move || all(&session, &texts(50)[10..], false));
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    flag.0.store(true, Relaxed);
    assert_eq!(waiting.join().unwrap(), Err(Error::Interrupted));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

/// Runs a statement over each of `lists`, all at once, each of a connection of its own.
fn at_once(server: &Scenario, lists: &[Vec<String>]) {
    let options = json!({"format": "openai", "model": "m", "url": format!("{}/v1", server.url())});
    let start = Barrier::new(lists.len());
    std::thread::scope(|scope| {
        for list in lists {
            let (start, options) = (&start, options.clone());
            scope.spawn(move || {
                let session = client(Arc::new(Uninterrupted), options);
                start.wait();
                let outcomes = all(&session, list, false).unwrap();
                assert_true(&outcomes, list);
            });
        }
    });
}

#[test]
fn statements_over_the_same_texts_send_together_what_one_sends() {
    for (n, requests) in [(2, 10), (7, 6), (64, 2)] {
        let server = server(&format!("together-{n}"), json!({"latency_ms": 20}));
        let texts = texts(256 * requests);
        at_once(&server, &vec![texts.clone(); n]);
        let mut sent = sent(&server);
        assert_eq!(sent.len(), texts.len(), "{n}: a text was sent twice");
        sent.sort();
        sent.dedup();
        assert_eq!(sent.len(), texts.len(), "{n}");
        let came = arrivals(&server).len();
        assert!(came <= requests * 6 / 5 + 1, "{n}: {came} requests");
    }
}

#[test]
fn statements_that_meet_at_each_others_texts_end() {
    let server = server("meeting", json!({"latency_ms": 5}));
    let forth = texts(2000);
    let back: Vec<String> = forth.iter().rev().cloned().collect();
    let (early, late) = (forth[..1500].to_vec(), forth[500..].to_vec());
    at_once(&server, &[forth, back.clone(), early, late, back]);
}

#[test]
fn a_statement_that_reads_no_further_holds_nobody_up() {
    let server = server("stopped", json!({}));
    let options = json!({"format": "openai", "model": "m", "url": format!("{}/v1", server.url())});
    let (stops, goes) =
        (client(Arc::new(Uninterrupted), options.clone()), client(Arc::new(Uninterrupted), options));
    let texts = texts(1000);
    let mut stopped = stops.stream("c", None, source(&texts), false, None).unwrap();
    stopped.next_row().unwrap().unwrap();
    let outcomes = all(&goes, &texts, false).unwrap();
    assert_true(&outcomes, &texts);
    assert!(arrivals(&server).len() <= 12, "{} requests", arrivals(&server).len());
    // What it has read it has, also where the other has sent it.
    let mut rest = 1;
    while let Some(row) = stopped.next_row().unwrap() {
        assert!(row.value.is_ok());
        rest += 1;
    }
    assert_eq!(rest, texts.len());
}
