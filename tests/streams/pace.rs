//! The limits per minute.

use super::*;

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

/// Embeds the halves of `texts` at once, each by a connection of its own.
fn by_two_connections(server: &Scenario, options: &Value, texts: &[String]) {
    let sessions = [(); 2].map(|()| server.session("openai", "/v1", options.clone()));
    std::thread::scope(|scope| {
        for (session, texts) in sessions.iter().zip(texts.chunks(texts.len() / 2)) {
            scope.spawn(move || assert_true(&all(session, texts, false).unwrap(), texts));
        }
    });
}

#[test]
fn requests_per_minute_are_kept_across_connections() {
    let server = server("rpm", json!({}));
    let options = json!({"batch_size": 1, "requests_per_minute": 240});
    by_two_connections(&server, &options, &texts(12));
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
    let texts: Vec<_> = (0..6).map(|i| format!("{i}").repeat(200)).collect();
    by_two_connections(&server, &options, &texts);
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
