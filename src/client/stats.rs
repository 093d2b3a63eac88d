//! What a client did, since it was registered.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::{Value, json};

/// Counters of one client.
#[derive(Debug, Default)]
pub struct Stats {
    /// HTTP requests sent, retries included.
    pub requests: AtomicU64,
    /// Texts answered by the provider.
    pub texts: AtomicU64,
    /// Texts answered by a cache or by a request of somebody else.
    pub cache_hits: AtomicU64,
    /// Requests sent again.
    pub retries: AtomicU64,
    /// Requests given up.
    pub errors: AtomicU64,
    /// Tokens, as reported.
    pub tokens: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    total_latency: AtomicU64,
    max_latency: AtomicU64,
}

impl Stats {
    /// Counts one request and its reply.
    pub fn exchanged(&self, bytes_out: usize, bytes_in: usize, latency: Duration) {
        let micros = latency.as_micros() as u64;
        self.requests.fetch_add(1, Relaxed);
        self.bytes_out.fetch_add(bytes_out as u64, Relaxed);
        self.bytes_in.fetch_add(bytes_in as u64, Relaxed);
        self.total_latency.fetch_add(micros, Relaxed);
        self.max_latency.fetch_max(micros, Relaxed);
    }

    /// The counters, latencies in milliseconds.
    pub fn json(&self) -> Value {
        let n = |counter: &AtomicU64| counter.load(Relaxed);
        let ms = |counter| n(counter) as f64 / 1000.0;
        json!({
            "requests": n(&self.requests),
            "texts": n(&self.texts),
            "cache_hits": n(&self.cache_hits),
            "retries": n(&self.retries),
            "errors": n(&self.errors),
            "tokens": n(&self.tokens),
            "bytes_in": n(&self.bytes_in),
            "bytes_out": n(&self.bytes_out),
            "total_latency_ms": ms(&self.total_latency),
            "max_latency_ms": ms(&self.max_latency),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchanges_add_up() {
        let one = Stats::default();
        one.exchanged(10, 20, Duration::from_millis(3));
        one.exchanged(1, 2, Duration::from_millis(1));
        assert_eq!(one.json()["bytes_out"], 11);
        assert_eq!(one.json()["total_latency_ms"], 4.0);
        assert_eq!(one.json()["max_latency_ms"], 3.0);
    }
}
