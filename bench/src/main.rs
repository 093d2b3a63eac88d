//! Calls a second of `SELECT rembed(…)` on distinct texts, beside a bare ureq keep-alive loop that sends the
//! same requests and reads them into f32, and beside the old extension. All against one fake provider, in
//! rounds that take turns, so that a noisy machine is noisy for all.
//!
//! `rembed-bench URL LIBRARY [OLD_LIBRARY] [--calls N] [--rounds N]` prints a Markdown table.

use std::error::Error;
use std::time::{Duration, Instant};

use base64::Engine;
use rusqlite::Connection;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Contender {
    name: &'static str,
    calls: usize,
    run: Box<dyn FnMut(usize) -> Result<()>>,
    times: Vec<Duration>,
}

fn main() -> Result<()> {
    let (mut words, mut calls, mut rounds) = (Vec::new(), 2000, 7);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--calls" => calls = args.next().ok_or("--calls N")?.parse()?,
            "--rounds" => rounds = args.next().ok_or("--rounds N")?.parse()?,
            _ => words.push(arg),
        }
    }
    let [url, library, old @ ..] = words.as_slice() else {
        return Err("usage: rembed-bench URL LIBRARY [OLD_LIBRARY] [--calls N] [--rounds N]".into());
    };
    let mut contenders = vec![
        contender("bare ureq loop, base64", calls, bare(url, "base64")),
        contender("rembed()", calls, sql(library, url, "")?),
        contender("bare ureq loop, JSON floats", calls, bare(url, "float")),
        contender(
            "rembed(), JSON floats",
            calls,
            sql(library, url, r#""body":{"encoding_format":"float"},"#)?,
        ),
    ];
    if let [old, ..] = old {
        contenders.push(contender("sqlite-rembed 0.0.1a9", calls.min(500), old_sql(old, url)?));
    }
    let mut next = 0;
    for round in 0..=rounds {
        for c in &mut contenders {
            let start = Instant::now();
            for _ in 0..c.calls {
                (c.run)(next)?;
                next += 1;
            }
            // The first round opens connections and warms up.
            if round > 0 {
                c.times.push(start.elapsed());
            }
        }
    }
    println!("| contender | calls/s (median of {rounds}) | µs a call | time against the bare loop |");
    println!("| --- | ---: | ---: | ---: |");
    let bare = [contenders[0].per_call(), contenders[2].per_call()];
    for (i, c) in contenders.iter().enumerate() {
        let per_call = c.per_call();
        let against = per_call / bare[usize::from(i >= 2)];
        println!("| {} | {:.0} | {:.1} | {against:.2} |", c.name, 1.0 / per_call, per_call * 1e6);
    }
    Ok(())
}

fn contender(name: &'static str, calls: usize, run: impl FnMut(usize) -> Result<()> + 'static) -> Contender {
    Contender { name, calls, run: Box::new(run), times: Vec::new() }
}

impl Contender {
    /// Seconds of a call in the median round.
    fn per_call(&self) -> f64 {
        let mut times = self.times.clone();
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() / self.calls as f64
    }
}

fn text(n: usize) -> String {
    format!("text number {n} of the benchmark, about as long as a headline")
}

/// What somebody would write by hand for this one task.
fn bare(url: &str, encoding: &'static str) -> impl FnMut(usize) -> Result<()> + 'static {
    let agent = ureq::Agent::new_with_defaults();
    let url = format!("{url}/v1/embeddings");
    move |n| {
        let body = format!(r#"{{"model":"m","encoding_format":"{encoding}","input":["{}"]}}"#, text(n));
        let mut reply = agent.post(&url).header("Content-Type", "application/json").send(&body)?;
        let reply = reply.body_mut().read_to_vec()?;
        let json: serde_json::Value = serde_json::from_slice(&reply)?;
        let embedding = &json["data"][0]["embedding"];
        let vector: Vec<f32> = match embedding.as_str() {
            Some(text) => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(text)?;
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
            }
            None => {
                let numbers = embedding.as_array().ok_or("no embedding")?;
                numbers.iter().filter_map(|n| Some(n.as_f64()? as f32)).collect()
            }
        };
        check(vector.len() * 4)
    }
}

fn load(library: &str) -> Result<&'static Connection> {
    let db = Connection::open_in_memory()?;
    // SAFETY: the library is an SQLite extension.
    unsafe {
        db.load_extension_enable()?;
        db.load_extension(library, Some("sqlite3_rembed_init"))?;
    }
    Ok(Box::leak(Box::new(db)))
}

fn select(db: &'static Connection) -> Result<impl FnMut(usize) -> Result<()> + 'static> {
    let mut statement = db.prepare("SELECT length(rembed('c', ?))")?;
    Ok(move |n| check(statement.query_row([text(n)], |row| row.get(0))?))
}

fn sql(library: &str, url: &str, extra: &str) -> Result<impl FnMut(usize) -> Result<()> + 'static> {
    let db = load(library)?;
    let options = format!(r#"{{"format":"openai","model":"m",{extra}"url":"{url}","cache":"off"}}"#);
    db.execute("INSERT INTO temp.rembed_clients(name, options) VALUES ('c', ?)", [options])?;
    select(db)
}

fn old_sql(library: &str, url: &str) -> Result<impl FnMut(usize) -> Result<()> + 'static> {
    let db = load(library)?;
    let url = format!("{url}/v1/embeddings");
    db.execute(
        "INSERT INTO temp.rembed_clients(name, options)
         VALUES ('c', rembed_client_options('format', 'openai', 'model', 'm', 'key', 'k', 'url', ?))",
        [url],
    )?;
    select(db)
}

fn check(bytes: usize) -> Result<()> {
    match bytes == 768 * 4 {
        true => Ok(()),
        false => Err(format!("a vector of {bytes} bytes").into()),
    }
}
