//! Many rows: what a hit of the memory cache costs, what memory many or long texts take, and what wide vectors cost.

use std::time::Instant;

use rusqlite::{Connection, ToSql};
use serde_json::json;

use crate::batch::{docs, register, slow_server};
use crate::single::{load, text};
use crate::{Bar, Result, Setup, median};

pub fn run(setup: &Setup, bars: &mut Vec<Bar>) -> Result<()> {
    cache_hits(setup, bars)?;
    memory(setup, bars)?;
    wide(setup, bars)
}

fn cache_hits(setup: &Setup, bars: &mut Vec<Bar>) -> Result<()> {
    let db = load(&setup.library)?;
    docs(db, 1000)?;
    let n = setup.scale(100_000);
    register(db, "c", &json!({"format": "openai", "model": "hits", "url": setup.url}))?;
    db.query_row("SELECT rembed_prefetch('c', json_group_array(body)) FROM docs", [], |_| Ok(()))?;
    db.execute_batch(&format!(
        "CREATE TABLE many AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {n})
         SELECT body FROM n JOIN docs ON docs.id = 1 + i % 1000"
    ))?;
    let time = |sql: &str| -> Result<f64> {
        let mut times = Vec::new();
        for _ in 0..setup.scale(100) {
            let start = Instant::now();
            db.query_row(sql, [], |_| Ok(()))?;
            times.push(start.elapsed());
        }
        Ok(median(times))
    };
    let hits = time("SELECT sum(length(rembed('c', body))) FROM many")?;
    let plain = time("SELECT sum(length(body)) FROM many")?;
    let micros = (hits - plain) / n as f64 * 1e6;
    bars.push(Bar::at_most(
        "a memory-cache hit in SELECT rembed(…), 768 wide: µs a row more",
        "SELECT length(text)",
        micros,
        0.5,
    ));
    Ok(())
}

/// What memory statements over many or long texts take.
fn memory(setup: &Setup, bars: &mut Vec<Bar>) -> Result<()> {
    let url = slow_server(&setup.url, "narrow", json!({"width": 64}))?;
    let db = load(&setup.library)?;
    let options = json!({"format": "openai", "model": "m", "url": format!("{url}/v1"), "cache": "off"});
    register(db, "c", &options)?;
    for (n, what, text) in [
        (setup.scale(1_000_000), "short texts", "''text '' || i"),
        (
            if setup.short { 500 } else { 100_000 },
            "texts of 100 kB",
            "i || replace(hex(zeroblob(10000)), ''00'', '' word word'')",
        ),
    ] {
        let select = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n}) SELECT i, {text} FROM n"
        );
        let grown = grown(db, &format!("SELECT embedding FROM rembed_rows('c', '{select}')"), &[], n)?;
        let work = format!("rembed_rows over {n} {what}, cache off: MiB more");
        bars.push(Bar::at_most(work, "RSS before", grown / f64::from(1 << 20), 64.0));
    }
    let n = setup.scale(1_000_000);
    let texts: Vec<String> = (0..n).map(|i| format!("{} {i}", text(i))).collect();
    let list = serde_json::to_string(&texts)?;
    drop(texts);
    let grown = grown(db, "SELECT embedding FROM rembed_batch('c', ?)", &[&list], n)?;
    let work =
        format!("rembed_batch of {n} texts ({} MB of JSON), cache off: bytes more", list.len() / 1_000_000);
    bars.push(Bar::at_most(work, "the JSON", grown / list.len() as f64, 2.0));
    Ok(())
}

/// By how many bytes the process grows while a statement's `n` rows are read.
fn grown(db: &Connection, sql: &str, arguments: &[&dyn ToSql], n: usize) -> Result<f64> {
    let mut statement = db.prepare(sql)?;
    let before = rss()?;
    let (mut most, mut seen) = (before, 0);
    let mut rows = statement.query(arguments)?;
    while rows.next()?.is_some() {
        seen += 1;
        if seen % 100 == 0 {
            most = most.max(rss()?);
        }
    }
    assert_eq!(seen, n);
    Ok((most - before) as f64)
}

/// What a number costs the processor in wide vectors that come many at once, beside few at once.
fn wide(setup: &Setup, bars: &mut Vec<Bar>) -> Result<()> {
    const WIDTH: usize = 8192;
    let url = slow_server(&setup.url, "wide", json!({"width": WIDTH}))?;
    let db = load(&setup.library)?;
    let n = if setup.short { 512 } else { 8192 };
    docs(db, n)?;
    let costs = [256, 2048].map(|batch| -> Result<f64> {
        let options = json!({"format": "openai", "model": "m", "url": format!("{url}/v1"), "cache": "off",
                             "batch_size": batch, "batch_tokens": 1_000_000});
        register(db, "c", &options)?;
        let embed = || -> Result<()> {
            let sql = "SELECT sum(length(embedding)) FROM rembed_rows('c', 'SELECT id, body FROM docs')";
            let bytes: i64 = db.query_row(sql, [], |row| row.get(0))?;
            assert_eq!(bytes as usize, n * WIDTH * 4);
            Ok(())
        };
        embed()?;
        let before = processor_time()?;
        (0..3).try_for_each(|_| embed())?;
        Ok(processor_time()? - before)
    });
    let [few, many] = costs;
    let work = "8,192 wide, batch_size 2,048: processor time a number";
    bars.push(Bar::at_most(work, "batch_size 256", many? / few?, 1.2));
    Ok(())
}

/// Seconds that this process has computed.
fn processor_time() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(ticks as f64 / 100.0)
}

/// Resident bytes of this process.
fn rss() -> Result<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize = statm.split(' ').nth(1).ok_or("statm")?.parse()?;
    Ok(pages * 4096)
}
