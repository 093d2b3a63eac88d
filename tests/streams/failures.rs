//! Servers that misbehave.

use super::*;

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
    if !alone("failures::an_interrupt_ends_eight_hanging_requests_and_leaves_no_thread") {
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
    if !alone("failures::a_statement_that_is_dropped_early_ends_its_requests_and_threads") {
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
