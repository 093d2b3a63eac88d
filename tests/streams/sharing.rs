//! The cache, and statements that meet.

use super::*;

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

/// A server that is down is asked by one of those who wait, and not by each after the other.
#[test]
fn statements_that_wait_for_a_server_that_is_down_hear_so_together() {
    let server = server("meet-down", json!({"faults": [{"delay_ms": 1500, "status": 503}]}));
    let texts = texts(20);
    let start = Barrier::new(6);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            let session = server.session("openai", "/v1", json!({"retries": 0}));
            let (start, texts) = (&start, &texts);
            scope.spawn(move || {
                // All have begun before the first asks: an error from before would be none of theirs.
                let mut stream = session.stream("c", None, source(texts), false, None).unwrap().whole();
                start.wait();
                let mut rows = 0;
                while let Some(row) = stream.next_row().unwrap() {
                    let e = row.value.unwrap_err().to_string();
                    assert!(e.contains("client 'c' (openai): HTTP 503"), "{e}");
                    rows += 1;
                }
                assert_eq!(rows, 20);
            });
        }
    });
    // Each text is sent once or twice, not once by each of the six.
    assert!(server.batches().iter().sum::<usize>() <= 60, "{:?}", server.batches());
}

/// What fails one text of a request is no error of the others, for whoever waits for them.
#[test]
fn who_waits_for_a_request_that_another_text_fails_asks_for_itself() {
    let fault = json!({"text": "bad", "delay_ms": 1000, "status": 400});
    let server = server("meet-other", json!({"faults": [fault]}));
    let good = texts(5);
    let mut with_bad = good.clone();
    with_bad.push("bad".into());
    let [first, second] = [(); 2].map(|()| server.session("openai", "/v1", json!({})));
    let mut waits = second.stream("c", None, source(&good), false, None).unwrap();
    std::thread::scope(|scope| {
        let one = scope.spawn(|| all(&first, &with_bad, false).unwrap());
        eventually("the first has asked", || server.batches().len() == 1);
        let mut outcomes = Vec::new();
        while let Some(row) = waits.next_row().unwrap() {
            outcomes.push(row.value);
        }
        assert_true(&outcomes, &good);
        assert!(one.join().unwrap().iter().all(Result::is_err));
    });
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
        // On a machine with other work, who fills a request may stand still for long enough to be overtaken.
        assert!(sent.len() <= texts.len() * 6 / 5, "{n}: {} texts were sent", sent.len());
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
