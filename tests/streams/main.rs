//! Many rows through one statement of the core: their order, what is in flight, what is sent again, what is cached.
//! The request log of the fake is the witness.

mod failures;
mod flow;
mod pace;
mod sharing;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, LazyLock, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlite_rembed::Session;
use sqlite_rembed::base::error::{Error, Result};
use sqlite_rembed::base::interrupt::{Interrupt, Uninterrupted};
use sqlite_rembed::embed::cache::Vector;
use sqlite_rembed::embed::stream::{Outcome, Stream, Text};
use support::{Scenario, texts};

/// A scenario with narrow vectors.
fn server(name: &str, mut settings: Value) -> Scenario {
    settings["width"] = 16.into();
    Scenario::new(name, settings)
}

/// The rows of a source, each with its number.
fn source(texts: &[String]) -> impl Iterator<Item = Result<(usize, Text)>> {
    texts.iter().enumerate().map(|(i, text)| Ok((i, Text::Text(text.as_str().into()))))
}

/// All rows of a statement, which must come in the order of the source.
fn all(session: &Session, texts: &[String], isolate: bool) -> Result<Vec<Outcome>> {
    let mut stream = session.stream("c", None, source(texts), isolate, None)?.whole();
    let mut outcomes = Vec::new();
    while let Some(row) = stream.next_row()? {
        assert_eq!(row.key, outcomes.len());
        assert_eq!(row.text.as_deref(), Some(texts[row.key].as_str()));
        outcomes.push(row.value);
    }
    Ok(outcomes)
}

/// What the fake answers to each of `texts`, asked for without the code under test.
fn truth(texts: &[String]) -> Vec<Vector> {
    static TRUTH: LazyLock<Scenario> = LazyLock::new(|| server("truth", json!({"log": false})));
    let answer = |texts: &[String]| -> Vec<Vector> {
        let body = json!({"model": "m", "input": texts}).to_string();
        let mut reply = ureq::post(format!("{}/v1/embeddings", TRUTH.url())).send(body).unwrap();
        let reply: Value = serde_json::from_slice(&reply.body_mut().read_to_vec().unwrap()).unwrap();
        let rows = reply["data"].as_array().unwrap().iter();
        let numbers = |row: &Value| row["embedding"].as_array().unwrap().clone();
        rows.map(|row| numbers(row).iter().map(|n| n.as_f64().unwrap() as f32).collect()).collect()
    };
    texts.chunks(1000).flat_map(answer).collect()
}

fn assert_true(outcomes: &[Outcome], texts: &[String]) {
    assert_eq!(outcomes.len(), texts.len());
    for (i, (got, want)) in outcomes.iter().zip(truth(texts)).enumerate() {
        assert_eq!(got.as_ref(), Ok(&Some(want)), "text {i}");
    }
}

/// Every text that was sent, as often as it was.
fn sent(server: &Scenario) -> Vec<String> {
    let report = server.report();
    let log = report["log"].as_array().unwrap().iter();
    log.flat_map(|entry| serde_json::from_value::<Vec<String>>(entry["texts"].clone()).unwrap()).collect()
}

/// When each request arrived.
fn arrivals(server: &Scenario) -> Vec<u64> {
    let report = server.report();
    let mut at: Vec<_> =
        report["log"].as_array().unwrap().iter().map(|e| e["at_ms"].as_u64().unwrap()).collect();
    at.sort_unstable();
    at
}

fn sorted(mut batches: Vec<usize>) -> Vec<usize> {
    batches.sort_unstable();
    batches
}

/// A session with the client `c` of exactly these options.
fn client(interrupt: Arc<dyn Interrupt>, options: Value) -> Session {
    let session = Session::new("test", interrupt, None);
    let Value::Object(options) = options else { panic!("options are an object") };
    session.register("c", options).unwrap();
    session
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

struct Flag(AtomicBool);

impl Interrupt for Flag {
    fn is_interrupted(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Runs the test `name` in a process of its own, since threads are counted by process; true in that process.
fn alone(name: &str) -> bool {
    if std::env::var_os("REMBED_TEST_ALONE").is_some() {
        return true;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let run = command.args(["--exact", name]).env("REMBED_TEST_ALONE", "1").output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
    false
}

/// The threads that the core has started and that still run.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // A thread that ends between the two reads has no name any more.
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("rembed")).collect()
}

fn assert_no_threads() {
    // The kernel may list a thread for a moment after it was joined.
    let start = Instant::now();
    while !threads().is_empty() {
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", threads());
        std::thread::sleep(Duration::from_millis(10));
    }
}
