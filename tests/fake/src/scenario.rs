//! A scenario: its settings, its counters and its log of requests.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::fault::Fault;

const LOG_ENTRIES: usize = 10_000;

/// What `PUT /_/NAME` may say; everything is optional.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Components of a vector when the request asks for no size.
    pub width: usize,
    /// Wait this long before every reply.
    pub latency_ms: u64,
    /// Work on so many requests at one time; the others wait, and their latency begins when their turn comes.
    pub slots: Option<usize>,
    /// Refuse a request with more texts: 400.
    pub max_batch: Option<usize>,
    /// Refuse a request with more texts as too large: 413, for Mistral its own 400.
    pub max_texts_too_large: Option<usize>,
    /// Refuse a longer text, for good, the way of the provider (llama-server: 500).
    pub max_tokens_per_text: Option<usize>,
    /// The key a request must carry.
    pub key: Option<String>,
    /// What `/identity/token` gives that key for, without characters that a form escapes.
    pub api_key: Option<String>,
    /// The seconds that it says the key lives.
    pub token_life: f64,
    /// The reply of llama.cpp's `/embedding`.
    pub shape: Shape,
    /// The provider behind `/v1/embeddings`; guessed from the body when absent.
    pub flavor: Option<Flavor>,
    /// Ignore a request for base64.
    pub float_only: bool,
    /// Leave `index` out of the rows.
    pub no_index: bool,
    /// Leave the token counts out.
    pub no_usage: bool,
    /// Compress every reply.
    pub gzip: bool,
    /// Answer 429 beyond this many requests in a window.
    pub rpm: Option<usize>,
    /// The length of that window: a minute.
    pub rpm_window_ms: u64,
    /// Keep a log of the requests.
    pub log: bool,
    /// What goes wrong, and when.
    pub faults: Vec<Fault>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            width: 768,
            latency_ms: 0,
            slots: None,
            max_batch: None,
            max_texts_too_large: None,
            max_tokens_per_text: None,
            key: None,
            api_key: None,
            token_life: 3600.0,
            shape: Shape::default(),
            flavor: None,
            float_only: false,
            no_index: false,
            no_usage: false,
            gzip: false,
            rpm: None,
            rpm_window_ms: 60_000,
            log: true,
            faults: Vec::new(),
        }
    }
}

/// The shapes that llama.cpp's `/embedding` had over the years.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `[{"index":0,"embedding":[[…]]}]`, of today's llama-server.
    #[default]
    Native,
    /// `{"embedding":[…]}`
    Flat,
    /// `{"embedding":[[…]]}`
    Nested,
    /// `[{"embedding":[…]}]`
    ListFlat,
    /// `[{"embedding":[[…]]}]`
    ListNested,
    /// The list of OpenAI.
    Openai,
    /// `{"add_special":true,…,"embedding":[…]}`, one text a request.
    Llamafiler,
    /// One inner row for every token: a server without pooling.
    PerToken,
}

/// Who answers at `/v1/embeddings`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Flavor {
    Openai,
    Jina,
    Mixedbread,
    Voyage,
    Mistral,
    Together,
    Llama,
    Ollama,
}

/// A named world of its own, below `/s/NAME`.
pub struct Scenario {
    pub settings: Settings,
    born: Instant,
    requests: AtomicU64,
    texts: AtomicU64,
    in_flight: AtomicU64,
    peak: AtomicU64,
    pub slots: Option<Semaphore>,
    connections: Mutex<HashSet<u64>>,
    window: Mutex<VecDeque<Instant>>,
    log: Mutex<VecDeque<Arc<Entry>>>,
}

/// One request in the log.
pub struct Entry {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    pub texts: Vec<String>,
    pub connection: u64,
    pub at: Instant,
    /// 0 until there is an answer, and for good when there is none.
    pub status: AtomicU16,
}

impl Scenario {
    pub fn new(settings: Settings) -> Self {
        Self {
            slots: settings.slots.map(Semaphore::new),
            settings,
            born: Instant::now(),
            requests: AtomicU64::new(0),
            texts: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            connections: Mutex::default(),
            window: Mutex::default(),
            log: Mutex::default(),
        }
    }

    /// Counts a request and tells which one it is, from 0; it is in flight as long as the
    /// guard lives.
    pub fn enter(&self, connection: u64, texts: usize) -> (u64, InFlight<'_>) {
        self.connections.lock().unwrap().insert(connection);
        self.texts.fetch_add(texts as u64, Relaxed);
        let now = self.in_flight.fetch_add(1, Relaxed) + 1;
        self.peak.fetch_max(now, Relaxed);
        (self.requests.fetch_add(1, Relaxed), InFlight(self))
    }

    /// How long to wait when the request limit is reached.
    pub fn over_limit(&self) -> Option<Duration> {
        let limit = self.settings.rpm?;
        let window = Duration::from_millis(self.settings.rpm_window_ms);
        let mut recent = self.window.lock().unwrap();
        let now = Instant::now();
        while recent.front().is_some_and(|&at| now - at >= window) {
            recent.pop_front();
        }
        if recent.len() < limit {
            recent.push_back(now);
            return None;
        }
        Some(recent.front().map_or(window, |&at| at + window - now))
    }

    pub fn record(&self, entry: Arc<Entry>) {
        let mut log = self.log.lock().unwrap();
        if log.len() == LOG_ENTRIES {
            log.pop_front();
        }
        log.push_back(entry);
    }

    /// The answer to `GET /_/NAME`.
    pub fn report(&self) -> Value {
        let log: Vec<Arc<Entry>> = self.log.lock().unwrap().iter().cloned().collect();
        json!({
            "connections": self.connections.lock().unwrap().len(),
            "requests": self.requests.load(Relaxed),
            "texts": self.texts.load(Relaxed),
            "peak": self.peak.load(Relaxed),
            "log": log.iter().map(|entry| entry.report(self.born)).collect::<Vec<_>>(),
        })
    }
}

impl Entry {
    fn report(&self, born: Instant) -> Value {
        let body: Value =
            serde_json::from_slice(&self.body).unwrap_or_else(|_| String::from_utf8_lossy(&self.body).into());
        let headers: serde_json::Map<String, Value> =
            self.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        json!({
            "method": self.method,
            "path": self.path,
            "headers": headers,
            "body": body,
            "sent": String::from_utf8_lossy(&self.body),
            "texts": self.texts,
            "status": self.status.load(Relaxed),
            "connection": self.connection,
            "at_ms": self.at.saturating_duration_since(born).as_millis() as u64,
        })
    }
}

/// A request that is being answered.
pub struct InFlight<'a>(&'a Scenario);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}
