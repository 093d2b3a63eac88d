//! The fake provider: one process of it for each process of tests, and a scenario for each test.

use std::env;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Where a child process of a test finds the fake of its parent.
pub(crate) const FAKE_URL: &str = "REMBED_TEST_FAKE_URL";

static SHARED: OnceLock<Fake> = OnceLock::new();
static WORLDS: AtomicUsize = AtomicUsize::new(0);

/// A running fake.
pub struct Fake {
    url: String,
    _process: Option<driver::fake::Fake>,
    agent: ureq::Agent,
}

/// A scenario of the fake: a provider with settings, counters and a log of its own.
pub struct World<'a> {
    fake: &'a Fake,
    name: String,
}

/// A new scenario, with these settings, of the fake that this process shares.
pub fn world(settings: Value) -> World<'static> {
    shared().world(settings)
}

/// A new scenario in which this goes wrong, with vectors of four numbers.
pub fn faulty(fault: Value) -> World<'static> {
    world(json!({"width": 4, "faults": [fault]}))
}

pub(crate) fn shared() -> &'static Fake {
    SHARED.get_or_init(|| match env::var(FAKE_URL) {
        Ok(url) => Fake::at(url, None),
        Err(_) => Fake::start(),
    })
}

impl Fake {
    /// Starts one more, of its own process.
    pub fn start() -> Self {
        let process = driver::fake::Fake::start();
        Self::at(process.url.clone(), Some(process))
    }

    fn at(url: String, process: Option<driver::fake::Fake>) -> Self {
        let timeout = Some(Duration::from_secs(20));
        let agent = ureq::Agent::config_builder().proxy(None).timeout_global(timeout).build().into();
        Self { url, _process: process, agent }
    }

    /// Its address, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A new scenario with these settings.
    pub fn world(&self, settings: Value) -> World<'_> {
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        // A child process uses the fake of its parent, so that the process belongs to the name.
        let world = self.existing(&format!("{}-{number}", std::process::id()));
        world.reset(settings);
        world
    }

    pub(crate) fn existing(&self, name: &str) -> World<'_> {
        World { fake: self, name: name.into() }
    }
}

impl World<'_> {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The base URL of the scenario.
    pub fn base(&self) -> String {
        format!("{}/s/{}", self.fake.url, self.name)
    }

    /// The endpoint in OpenAI's format.
    pub fn url(&self) -> String {
        self.base() + "/v1/embeddings"
    }

    /// Gives the scenario other settings, and new counters.
    pub fn reset(&self, settings: Value) {
        let sent = self.fake.agent.put(self.control()).send_json(&settings);
        sent.unwrap_or_else(|e| panic!("{settings}: {e}"));
    }

    /// Counters and log, as the README of the fake describes them.
    pub fn report(&self) -> Value {
        self.fake.agent.get(self.control()).call().unwrap().body_mut().read_json().unwrap()
    }

    /// How many requests came.
    pub fn requests(&self) -> u64 {
        self.count("requests")
    }

    /// One of the counters.
    pub fn count(&self, counter: &str) -> u64 {
        self.report()[counter].as_u64().unwrap()
    }

    /// The requests in the order they came.
    pub fn log(&self) -> Vec<Value> {
        match self.report()["log"].take() {
            Value::Array(log) => log,
            other => panic!("{other}"),
        }
    }

    /// The one request that came.
    pub fn only(&self) -> Value {
        let mut log = self.log();
        assert_eq!(log.len(), 1, "{log:?}");
        log.remove(0)
    }

    /// Every text that came, in order.
    pub fn texts(&self) -> Vec<String> {
        let texts = self.log().into_iter().flat_map(|entry| entry["texts"].as_array().unwrap().clone());
        texts.map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    /// Waits until so many requests have come.
    pub fn wait_for(&self, requests: u64) {
        let start = Instant::now();
        while self.requests() < requests {
            assert!(start.elapsed() < Duration::from_secs(20), "no request came");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn control(&self) -> String {
        format!("{}/_/{}", self.fake.url, self.name)
    }
}
