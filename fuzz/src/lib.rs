//! The references that the targets compare with: serde_json for JSON, the standard library for numbers.

pub mod json;
pub mod reply;
