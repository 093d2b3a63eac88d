//! How many requests of a client are in flight at one time, and whose.

use super::*;

#[test]
fn sixty_four_threads_keep_the_bound_and_travel_together() {
    let server = server("bound", json!({"latency_ms": 100}));
    let texts = texts(64);
    let vectors: Vec<Vector> =
        at_once(&server, &texts, &json!({"connections": 4})).into_iter().map(|v| v.unwrap()).collect();
    assert_eq!(vectors, truth("bound", &texts));
    assert!(server.report()["peak"].as_u64() <= Some(4), "{}", server.report()["peak"]);
    let requests = requests(&server);
    assert!(requests.len() <= 16, "{} requests", requests.len());
    assert_eq!(requests.iter().map(Vec::len).sum::<usize>(), 64, "a text was sent twice");
}

#[test]
fn below_the_bound_each_call_goes_alone() {
    let server = server("below", json!({"latency_ms": 600}));
    // Without the option, the bound is one more than a statement has in flight.
    assert!(at_once(&server, &texts(9), &json!({})).iter().all(Result::is_ok));
    assert_eq!(server.batches(), [1; 9]);
    assert_eq!(server.report()["peak"], 9);
}

#[test]
fn the_ceilings_of_a_request_hold_for_those_who_travel_together() {
    let server = server("ceilings", json!({"latency_ms": 100}));
    let options = json!({"connections": 1, "batch_size": 5});
    assert!(at_once(&server, &texts(21), &options).iter().all(Result::is_ok));
    assert_eq!(server.batches(), [1, 5, 5, 5, 5]);
}

#[test]
fn a_statement_of_many_texts_leaves_a_place_to_single_calls() {
    let server = server("beside", json!({"latency_ms": 300}));
    let options = json!({"connections": 3, "batch_size": 1, "concurrency": 8});
    let (many, single) =
        (connection(&server, "c", never(), options.clone()), connection(&server, "c", never(), options));
    let texts = texts(24);
    std::thread::scope(|scope| {
        let statement = scope.spawn(|| {
            let source = texts.iter().map(|text| Ok(((), Text::Text(text.as_str().into()))));
            let mut stream = many.stream("c", None, source, false, None).unwrap();
            let mut rows = 0;
            while let Some(row) = stream.next_row().unwrap() {
                row.value.unwrap();
                rows += 1;
            }
            rows
        });
        until("the statement is under way", || requests(&server).len() > 4);
        for i in 0..6 {
            let start = Instant::now();
            single.embed_one("c", &format!("single {i}"), None).unwrap();
            assert!(start.elapsed() < Duration::from_millis(590), "{i}: {:?}", start.elapsed());
        }
        assert!(!statement.is_finished(), "the calls went beside the statement");
        assert_eq!(statement.join().unwrap(), 24);
    });
    assert_eq!(server.report()["peak"], 3);
}

/// Statements of many texts share the bound, and single calls do not keep them from a place for ever.
#[test]
fn statements_and_single_calls_of_one_place_take_turns() {
    let server = server("turns", json!({"latency_ms": 20}));
    let options = json!({"connections": 1, "batch_size": 4});
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let session = connection(&server, "c", never(), options.clone());
            let done = &done;
            scope.spawn(move || {
                for n in 0.. {
                    if done.load(Relaxed) {
                        break;
                    }
                    session.embed_one("c", &format!("thread {thread}, text {n}"), None).unwrap();
                }
            });
        }
        let statements: Vec<_> = (0..3)
            .map(|n| {
                let session = connection(&server, "c", never(), options.clone());
                let texts: Vec<String> = (0..20).map(|i| format!("statement {n}, text {i}")).collect();
                scope.spawn(move || statement(&session, &texts).unwrap().len())
            })
            .collect();
        for statement in statements {
            assert_eq!(statement.join().unwrap(), 20);
        }
        done.store(true, Relaxed);
    });
    assert_eq!(server.report()["peak"], 1);
}
