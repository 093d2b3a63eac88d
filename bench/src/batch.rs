//! 10,000 texts against a server that takes 50 ms a reply: beside the ideal schedule, a bare loop, and the old extension.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use rusqlite::Connection;
use serde_json::json;

use crate::single::{load, old_client, text};
use crate::{Bar, Result, Setup};

pub const LATENCY_MS: u64 = 50;
const BATCH: usize = 256;
const CONCURRENCY: usize = 8;

/// A scenario of the fake that takes its time. Returns its base URL.
pub fn slow_server(url: &str, name: &str, settings: serde_json::Value) -> Result<String> {
    let mut settings = settings;
    settings["log"] = false.into();
    ureq::put(format!("{url}/_/{name}")).send(settings.to_string())?;
    Ok(format!("{url}/s/{name}"))
}

/// Registers the client `name` with these options.
pub fn register(db: &Connection, name: &str, options: &serde_json::Value) -> Result<()> {
    db.query_row("SELECT rembed_register(?, ?)", [name, &options.to_string()], |_| Ok(()))?;
    Ok(())
}

/// A table `docs` of `n` texts.
pub fn docs(db: &Connection, n: usize) -> Result<()> {
    db.execute_batch(
        "DROP TABLE IF EXISTS docs; CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT); BEGIN",
    )?;
    let mut insert = db.prepare("INSERT INTO docs(body) VALUES (?)")?;
    for i in 0..n {
        insert.execute([text(i)])?;
    }
    db.execute_batch("COMMIT")?;
    Ok(())
}

pub fn run(setup: &Setup, bars: &mut Vec<Bar>) -> Result<()> {
    let n = setup.scale(10_000);
    let url = slow_server(&setup.url, "slow", json!({"latency_ms": LATENCY_MS}))?;
    let db = load(&setup.library)?;
    docs(db, n)?;
    let options = |cache: &str| {
        json!({"format": "openai", "model": "m", "url": format!("{url}/v1"), "cache": cache, "batch_size": BATCH,
               "concurrency": CONCURRENCY})
    };
    register(db, "off", &options("off"))?;
    register(db, "on", &options("memory"))?;
    let ideal = n.div_ceil(BATCH).div_ceil(CONCURRENCY) as f64 * LATENCY_MS as f64 / 1000.0;

    // The old one embeds a text a request; its time for all is that for a few, times their number.
    let old = old_client(&setup.old, &url)?;
    let few = setup.scale(100);
    let start = Instant::now();
    let mut statement = old.prepare("SELECT length(rembed('c', ?))")?;
    for i in 0..few {
        statement.query_row([text(i)], |_| Ok(()))?;
    }
    let old = start.elapsed().as_secs_f64() / few as f64 * n as f64;

    db.execute_batch("CREATE TEMP TABLE vectors(key, embedding)")?;
    let time = |sql: &str| -> Result<f64> {
        db.query_row("SELECT rembed_cache_clear()", [], |_| Ok(()))?;
        let start = Instant::now();
        let (bytes, seconds): (i64, f64) = if sql.starts_with("INSERT") {
            db.execute(sql, [])?;
            let seconds = start.elapsed().as_secs_f64();
            let bytes = db.query_row("SELECT sum(length(embedding)) FROM temp.vectors", [], |row| row.get(0));
            db.execute("DELETE FROM temp.vectors", [])?;
            (bytes?, seconds)
        } else {
            (db.query_row(sql, [], |row| row.get(0))?, start.elapsed().as_secs_f64())
        };
        assert_eq!(bytes as usize, n * 768 * 4, "{sql}");
        Ok(seconds)
    };
    let list = "(SELECT json_group_array(json_object('id', id, 'text', body)) FROM docs)";
    let batch = format!("FROM rembed_batch('off', {list})");
    let rows = "FROM rembed_rows('off', 'SELECT id, body FROM docs')";
    let (insert, sum) = ("INSERT INTO temp.vectors SELECT key, embedding", "SELECT sum(length(embedding))");
    let prefetch = "SELECT (SELECT rembed_prefetch('on', json_group_array(body)) FROM docs) * 0
                           + (SELECT sum(length(rembed('on', body))) FROM docs)";
    let contenders = [
        ("INSERT … FROM rembed_batch", 1.15, format!("{insert} {batch}")),
        ("INSERT … FROM rembed_rows", 1.15, format!("{insert} {rows}")),
        ("sum(…) FROM rembed_batch", 1.15, format!("{sum} {batch}")),
        ("sum(…) FROM rembed_rows", 1.15, format!("{sum} {rows}")),
        ("rembed_prefetch + rembed", 1.20, prefetch.into()),
    ];
    // The best of some runs each, in turns with the bare loop. The first ones open connections.
    let mut best = [f64::INFINITY; 5];
    let mut bare = f64::INFINITY;
    for _ in 0..6 {
        bare = bare.min(bare_loop(&url, n)?);
        for (best, (_, _, sql)) in best.iter_mut().zip(&contenders) {
            *best = best.min(time(sql)?);
        }
    }
    let what = format!("{n} texts, 50 ms a reply, {BATCH} a request, {CONCURRENCY} in flight, by");
    for ((name, bar, _), ours) in contenders.iter().zip(best) {
        bars.push(Bar::at_most(format!("{what} {name}: time"), "the ideal schedule", ours / ideal, *bar));
        bars.push(Bar::at_most("the same", "a bare ureq loop that reads no vector", ours / bare, 1.1));
        bars.push(Bar::at_least("the same: texts/s", "sqlite-rembed 0.0.1a9", old / ours, 500.0));
    }
    Ok(())
}

/// The seconds that the same requests take, as many at once, when nobody reads what is in the replies.
fn bare_loop(url: &str, n: usize) -> Result<f64> {
    let body = |first: usize| {
        let texts: Vec<String> = (first..n.min(first + BATCH)).map(text).collect();
        json!({"model": "m", "encoding_format": "base64", "input": texts}).to_string()
    };
    let bodies: Vec<String> = (0..n).step_by(BATCH).map(body).collect();
    let (agent, next) = (ureq::Agent::new_with_defaults(), AtomicUsize::new(0));
    let url = format!("{url}/v1/embeddings");
    let work = || -> std::result::Result<(), ureq::Error> {
        while let Some(body) = bodies.get(next.fetch_add(1, Relaxed)) {
            let mut reply = agent.post(&url).header("Content-Type", "application/json").send(body)?;
            reply.body_mut().with_config().limit(1 << 30).read_to_vec()?;
        }
        Ok(())
    };
    let start = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONCURRENCY).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("a thread ends"))
    })?;
    Ok(start.elapsed().as_secs_f64())
}
