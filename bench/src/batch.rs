//! 10,000 texts against a server that takes 50 ms a reply: beside the ideal schedule, and beside the old extension.

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

    let sum = |sql: &str| -> Result<f64> {
        let start = Instant::now();
        let bytes: i64 = db.query_row(sql, [], |row| row.get(0))?;
        assert_eq!(bytes as usize, n * 768 * 4, "{sql}");
        Ok(start.elapsed().as_secs_f64())
    };
    let list = "(SELECT json_group_array(json_object('id', id, 'text', body)) FROM docs)";
    for (name, bar, sql) in [
        ("rembed_batch", 1.15, format!("SELECT sum(length(embedding)) FROM rembed_batch('off', {list})")),
        (
            "rembed_rows",
            1.15,
            "SELECT sum(length(embedding)) FROM rembed_rows('off', 'SELECT id, body FROM docs')".into(),
        ),
        (
            "rembed_prefetch + rembed",
            1.20,
            "SELECT (SELECT rembed_prefetch('on', json_group_array(body)) FROM docs) * 0
                    + (SELECT sum(length(rembed('on', body))) FROM docs)"
                .into(),
        ),
    ] {
        sum(&sql)?; // opens connections
        db.query_row("SELECT rembed_cache_clear()", [], |_| Ok(()))?;
        let ours = sum(&sql)?;
        let work =
            format!("{n} texts, 50 ms a reply, {BATCH} a request, {CONCURRENCY} in flight, by {name}: time");
        bars.push(Bar::at_most(&work, "the ideal schedule", ours / ideal, bar));
        bars.push(Bar::at_least("the same: texts/s", "sqlite-rembed 0.0.1a9", old / ours, 500.0));
    }
    Ok(())
}
