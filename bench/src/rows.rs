//! Many rows: what a hit of the memory cache costs, and what memory a million rows take.

use std::time::Instant;

use serde_json::json;

use crate::batch::{docs, register, slow_server};
use crate::single::load;
use crate::{Bar, Result, Setup, median};

pub fn run(setup: &Setup, bars: &mut Vec<Bar>) -> Result<()> {
    cache_hits(setup, bars)?;
    million(setup, bars)
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
        1.5,
    ));
    Ok(())
}

fn million(setup: &Setup, bars: &mut Vec<Bar>) -> Result<()> {
    let n = setup.scale(1_000_000);
    let url = slow_server(&setup.url, "narrow", json!({"width": 64}))?;
    let db = load(&setup.library)?;
    register(
        db,
        "c",
        &json!({"format": "openai", "model": "m", "url": format!("{url}/v1"), "cache": "off"}),
    )?;
    let select = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n}) SELECT i, ''text '' || i FROM n"
    );
    let mut statement = db.prepare(&format!("SELECT embedding FROM rembed_rows('c', '{select}')"))?;
    let before = rss()?;
    let (mut most, mut seen) = (before, 0);
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {
        seen += 1;
        if seen % 5000 == 0 {
            most = most.max(rss()?);
        }
    }
    assert_eq!(seen, n);
    let grown = (most - before) as f64 / f64::from(1 << 20);
    bars.push(Bar::at_most(
        format!("rembed_rows over {n} short texts, cache off: MiB more"),
        "RSS before",
        grown,
        64.0,
    ));
    Ok(())
}

/// Resident bytes of this process.
fn rss() -> Result<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize = statm.split(' ').nth(1).ok_or("statm")?.parse()?;
    Ok(pages * 4096)
}
