//! What comes in which order, how much is in flight, and how far is read ahead.

use super::*;

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
        let server = server(&format!("peak{concurrency}"), json!({"latency_ms": 300}));
        let session = server.session("openai", "/v1", json!({"batch_size": 2, "concurrency": concurrency}));
        let texts = texts(4 * concurrency);
        assert_true(&all(&session, &texts, false).unwrap(), &texts);
        assert_eq!(server.report()["peak"], concurrency);
    }
    // The default.
    let server = server("peak", json!({"latency_ms": 300}));
    all(&server.session("openai", "/v1", json!({"batch_size": 2})), &texts(32), false).unwrap();
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
