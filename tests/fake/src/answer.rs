//! An answer before faults of delivery befall it.

use serde_json::Value;

/// Status, kind and body of an answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::ok(body.to_string().into_bytes()).with_status(status)
    }

    pub fn plain(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain", body: body.into().into_bytes() }
    }

    pub fn html(body: &str) -> Self {
        Self { status: 200, content_type: "text/html", body: body.as_bytes().to_vec() }
    }

    /// A good answer; the body is JSON already.
    pub fn ok(body: Vec<u8>) -> Self {
        Self { status: 200, content_type: "application/json", body }
    }

    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }
}
