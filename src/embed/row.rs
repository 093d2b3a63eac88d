//! Rows of a statement that embeds: what it reads, and what comes of it.

use std::sync::Arc;

use crate::base::error::Result;
use crate::embed::cache::Vector;

/// A text to embed.
#[derive(Debug)]
pub enum Text {
    /// NULL: its embedding is NULL.
    Null,
    /// Text.
    Text(Arc<str>),
    /// What is no text; the words say why.
    Bad(String),
}

/// A row of the source, or of the result.
#[derive(Debug)]
pub struct Row<K, T> {
    /// The caller's name for the row.
    pub key: K,
    /// The text, unless it is NULL or none.
    pub text: Option<Arc<str>>,
    /// What the text came to.
    pub value: T,
}

/// What a row came to: an embedding, NULL for NULL, or the row's own error.
pub type Outcome = Result<Option<Vector>>;
