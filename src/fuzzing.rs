//! What `fuzz/` calls that nobody else does.

use std::time::Duration;

use ureq::http::HeaderMap;

/// The names of the clients in the text of a `REMBED_CONFIG`.
///
/// # Errors
/// Text that is none.
pub fn config(text: &str) -> Result<Vec<String>, String> {
    crate::client::registry::parse_config(text.as_bytes()).map(|clients| clients.into_keys().collect())
}

/// The wait that the headers of a reply ask for.
pub fn wait_asked(status: u16, headers: &HeaderMap) -> Option<Duration> {
    crate::transport::asked::wait_asked(status, headers)
}
