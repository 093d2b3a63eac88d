//! What `fuzz/` calls that nobody else does.

use std::time::Duration;

use serde_json::{Map, Value, json};
use ureq::http::HeaderMap;

use crate::base::error::Result;
use crate::client::options::{self, Options};

/// The options of a document.
///
/// # Errors
/// What is no document of options.
pub fn options_of(document: Map<String, Value>) -> Result<Options> {
    Options::from_map(document)
}

/// The options of name/value pairs.
///
/// # Errors
/// What is no list of options.
pub fn options_of_pairs(pairs: impl IntoIterator<Item = (String, Value)>) -> Result<Options> {
    options::from_pairs(pairs).and_then(Options::from_map)
}

/// The values of `options` that are compared, and what is shown of them.
pub fn values(options: &Options) -> Value {
    json!({
        "dimensions": options.dimensions, "batch_size": options.batch_size, "batch_tokens": options.batch_tokens,
        "retries": options.retries, "concurrency": options.concurrency, "connections": options.connections,
        "requests_per_minute": options.requests_per_minute, "tokens_per_minute": options.tokens_per_minute,
        "timeout": options.timeout.map(|t| t.as_nanos() as u64),
        "connect_timeout": options.connect_timeout.map(|t| t.as_nanos() as u64),
        "model": options.model, "url": options.url, "body": options.body, "headers": options.headers.len(),
        "shown": options.shown
    })
}

/// The names of the clients in the text of a `REMBED_CONFIG`.
///
/// # Errors
/// Text that is none.
pub fn config(text: &str) -> Result<Vec<String>, String> {
    crate::client::registry::parse_config(text.as_bytes())
        .map(|clients| clients.entries().map(|e| e.client.name().to_owned()).collect())
}

/// The wait that the headers of a reply ask for.
pub fn wait_asked(status: u16, headers: &HeaderMap) -> Option<Duration> {
    crate::transport::asked::wait_asked(status, headers)
}
