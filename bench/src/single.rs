//! `SELECT rembed(…)` on distinct texts, beside a bare ureq keep-alive loop that sends the same requests and reads
//! them into f32, and beside the old extension; in rounds that take turns.

use std::time::{Duration, Instant};

use base64::Engine;
use rusqlite::Connection;

use crate::{Bar, Result, Setup, median};

struct Contender {
    name: &'static str,
    calls: usize,
    run: Box<dyn FnMut(usize) -> Result<()>>,
    times: Vec<Duration>,
}

impl Contender {
    fn new(name: &'static str, calls: usize, run: impl FnMut(usize) -> Result<()> + 'static) -> Contender {
        Contender { name, calls, run: Box::new(run), times: Vec::new() }
    }

    /// Seconds of a call in the median round.
    fn per_call(&self) -> f64 {
        median(self.times.clone()) / self.calls as f64
    }
}

pub fn run(setup: &Setup, bars: &mut Vec<Bar>) -> Result<String> {
    let Setup { url, library, old, .. } = setup;
    let calls = setup.scale(2000);
    let floats = r#""body":{"encoding_format":"float"},"#;
    let mut contenders = [
        Contender::new("bare ureq loop, base64", calls, bare(url, "base64")),
        Contender::new("rembed()", calls, sql(library, url, "")?),
        Contender::new("bare ureq loop, JSON floats", calls, bare(url, "float")),
        Contender::new("rembed(), JSON floats", calls, sql(library, url, floats)?),
        Contender::new("sqlite-rembed 0.0.1a9", calls / 4, old_sql(old, url)?),
    ];
    let mut next = 0;
    for round in 0..=setup.scale(15) {
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
    let [bare, ours, bare_floats, ours_floats, old] = contenders.each_ref().map(Contender::per_call);
    let work = "single rembed(), distinct texts, 768 wide: time";
    bars.push(Bar::at_most(work, "bare ureq loop", ours / bare, 1.05));
    bars.push(Bar::at_most(format!("{work}, JSON floats"), "bare ureq loop", ours_floats / bare_floats, 1.1));
    bars.push(Bar::at_least("the same: calls/s", "sqlite-rembed 0.0.1a9", old / ours, 3.0));
    let mut table = String::from("| contender | calls/s | µs a call |\n| --- | ---: | ---: |\n");
    for c in &contenders {
        let per_call = c.per_call();
        table += &format!("| {} | {:.0} | {:.1} |\n", c.name, 1.0 / per_call, per_call * 1e6);
    }
    Ok(table)
}

pub fn text(n: usize) -> String {
    format!("text number {n} of the benchmark, about as long as a headline")
}

/// What somebody would write by hand for this one task.
fn bare(url: &str, encoding: &'static str) -> impl FnMut(usize) -> Result<()> + 'static {
    bare_by(ureq::Agent::new_with_defaults(), url, encoding)
}

/// The same by this agent.
pub fn bare_by(
    agent: ureq::Agent,
    url: &str,
    encoding: &'static str,
) -> impl FnMut(usize) -> Result<()> + 'static {
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

/// A connection with the library loaded, for the life of the process.
pub fn load(library: &str) -> Result<&'static Connection> {
    Ok(Box::leak(Box::new(open(library, Some("sqlite3_rembed_init"))?)))
}

/// A connection with an extension loaded.
pub fn open(library: &str, entry: Option<&str>) -> Result<Connection> {
    let db = Connection::open_in_memory()?;
    // SAFETY: the library is an SQLite extension.
    unsafe {
        db.load_extension_enable()?;
        db.load_extension(library, entry)?;
    }
    Ok(db)
}

fn select(db: &'static Connection) -> Result<impl FnMut(usize) -> Result<()> + 'static> {
    let mut statement = db.prepare("SELECT length(rembed('c', ?))")?;
    Ok(move |n| check(statement.query_row([text(n)], |row| row.get(0))?))
}

pub fn sql(library: &str, url: &str, extra: &str) -> Result<impl FnMut(usize) -> Result<()> + 'static> {
    let db = load(library)?;
    let options = format!(r#"{{"format":"openai","model":"m",{extra}"url":"{url}","cache":"off"}}"#);
    db.execute("INSERT INTO temp.rembed_clients(name, options) VALUES ('c', ?)", [options])?;
    select(db)
}

/// The old extension, with its client at `url`.
pub fn old_client(library: &str, url: &str) -> Result<&'static Connection> {
    let db = load(library)?;
    let url = format!("{url}/v1/embeddings");
    db.execute(
        "INSERT INTO temp.rembed_clients(name, options)
         VALUES ('c', rembed_client_options('format', 'openai', 'model', 'm', 'key', 'k', 'url', ?))",
        [url],
    )?;
    Ok(db)
}

fn old_sql(library: &str, url: &str) -> Result<impl FnMut(usize) -> Result<()> + 'static> {
    select(old_client(library, url)?)
}

fn check(bytes: usize) -> Result<()> {
    match bytes == 768 * 4 {
        true => Ok(()),
        false => Err(format!("a vector of {bytes} bytes").into()),
    }
}
