//! 32 connections that embed at once, as the sessions of a server do.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::batch::{LATENCY_MS, register, slow_server};
use crate::single::{load, text};
use crate::{Bar, Result, Setup};

const CONNECTIONS: usize = 32;

pub fn run(setup: &Setup, bars: &mut Vec<Bar>) -> Result<()> {
    let url = slow_server(&setup.url, "busy", json!({"latency_ms": LATENCY_MS}))?;
    let calls = setup.scale(40);
    // The first round opens the connections of the pool.
    embed(setup, &url, CONNECTIONS, 2)?;
    let (one, _) = embed(setup, &url, 1, calls)?;
    let (many, p99) = embed(setup, &url, CONNECTIONS, calls)?;
    bars.push(Bar::at_least(
        format!("{CONNECTIONS} connections at once, 50 ms a reply: calls/s"),
        "one connection",
        many / one,
        CONNECTIONS as f64 * 0.9,
    ));
    let latency = LATENCY_MS as f64 / 1000.0;
    bars.push(Bar::at_most(
        "the same: 99th percentile of a call",
        "the server's latency",
        p99 / latency,
        2.0,
    ));
    Ok(())
}

/// Calls a second of all, and the 99th percentile of a call's seconds.
fn embed(setup: &Setup, url: &str, connections: usize, calls: usize) -> Result<(f64, f64)> {
    let start = Instant::now();
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        let work = |connection: usize| {
            move || {
                let db = load(&setup.library).expect("the library loads");
                let options = json!({"format": "openai", "url": format!("{url}/v1"), "cache": "off"});
                register(db, "c", &options).expect("the client registers");
                let mut statement = db.prepare("SELECT length(rembed('c', ?))").expect("it prepares");
                let call = |i| {
                    let start = Instant::now();
                    let text = text(connection * 100_000 + i);
                    statement.query_row([text], |_| Ok(())).expect("it embeds");
                    start.elapsed()
                };
                (0..calls).map(call).collect::<Vec<_>>()
            }
        };
        let threads: Vec<_> = (0..connections).map(|c| scope.spawn(work(c))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread ends")).collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    times.sort_unstable();
    let p99 = times[(times.len() * 99 / 100).min(times.len() - 1)].as_secs_f64();
    Ok((times.len() as f64 / seconds, p99))
}
