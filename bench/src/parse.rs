//! Reading a reply: beside serde_json into `Value`, and beside a copy of the body.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use base64::Engine;
use serde::Deserialize;
use sqlite_rembed::provider;

use crate::{Bar, median};

const ROWS: usize = 2048;
const WIDTH: usize = 1536;

/// Counts what is allocated, for the peak.
pub struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(memory, layout) }
    }
}

fn number(i: usize) -> f32 {
    // Any spread of digits will do; this one has no period.
    ((i as f64 * 0.618_033_988_749).fract() as f32 - 0.5) * 0.1
}

fn body(row: impl Fn(usize) -> String) -> Vec<u8> {
    let rows: Vec<String> = (0..ROWS)
        .map(|r| format!(r#"{{"object":"embedding","index":{r},"embedding":{}}}"#, row(r)))
        .collect();
    format!(r#"{{"object":"list","data":[{}],"usage":{{"total_tokens":1}}}}"#, rows.join(",")).into_bytes()
}

fn time(rounds: usize, mut work: impl FnMut()) -> f64 {
    work();
    let times = (0..rounds).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    median(times.collect())
}

fn into_values(body: &[u8]) -> Vec<Vec<f32>> {
    let json: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    let rows = json["data"].as_array().expect("data");
    let floats = |row: &serde_json::Value| {
        let numbers = row["embedding"].as_array().expect("embedding");
        numbers.iter().map(|n| n.as_f64().expect("number") as f32).collect()
    };
    rows.iter().map(floats).collect()
}

#[derive(Deserialize)]
struct Typed {
    data: Vec<Embedding>,
}

#[derive(Deserialize)]
struct Embedding {
    embedding: Vec<f32>,
}

fn into_floats(body: &[u8]) -> Vec<Embedding> {
    serde_json::from_slice::<Typed>(body).expect("a reply").data
}

pub fn run(rounds: usize) -> Vec<Bar> {
    let shortest = |r: usize| {
        let numbers: Vec<String> = (0..WIDTH).map(|c| number(r * WIDTH + c).to_string()).collect();
        format!("[{}]", numbers.join(","))
    };
    let long = |r: usize| {
        let numbers: Vec<String> = (0..WIDTH).map(|c| f64::from(number(r * WIDTH + c)).to_string()).collect();
        format!("[{}]", numbers.join(","))
    };
    let mut bars = Vec::new();
    for (name, body) in [("f32 digits", body(shortest)), ("f64 digits", body(long))] {
        let ours = time(rounds, || drop(black_box(provider::read(&body, &|| true).expect("a reply"))));
        let theirs = time(rounds, || drop(black_box(into_values(&body))));
        bars.push(Bar::at_least(
            format!("reading 2,048 × 1,536 as JSON, {name} ({} MB)", body.len() >> 20),
            "serde_json into Value, then f32",
            theirs / ours,
            4.0,
        ));
        let typed = time(rounds, || {
            let rows = black_box(into_floats(&body));
            assert_eq!(rows.last().map(|row| row.embedding.len()), Some(WIDTH));
        });
        bars.push(Bar::at_least("the same", "serde_json into Vec<f32>", typed / ours, 2.0));
        PEAK.store(NOW.load(Relaxed), Relaxed);
        let before = NOW.load(Relaxed);
        let reply = provider::read(&body, &|| true).expect("a reply");
        let peak = (PEAK.load(Relaxed) - before + body.len()) as f64;
        let needed = (body.len() + reply.data.len() * 4) as f64;
        bars.push(Bar::at_most(format!("peak memory of that, {name}"), "body + vectors", peak / needed, 1.3));
    }
    let encoded = body(|r| {
        let bytes: Vec<u8> = (0..WIDTH).flat_map(|c| number(r * WIDTH + c).to_le_bytes()).collect();
        format!("\"{}\"", base64::engine::general_purpose::STANDARD.encode(bytes))
    });
    let ours = time(rounds, || drop(black_box(provider::read(&encoded, &|| true).expect("a reply"))));
    let copy = time(rounds, || drop(black_box(encoded.clone())));
    bars.push(Bar::at_most(
        format!("reading the same as base64 ({} MB)", encoded.len() >> 20),
        "a copy of the body",
        ours / copy,
        3.0,
    ));
    bars
}
