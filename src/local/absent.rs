//! Stands in for format `local` in a library without that feature: nothing of it can exist.

use std::sync::Arc;
use std::time::Duration;

use crate::base::hash::Digest;
use crate::base::interrupt::Interrupt;
use crate::provider::Reply;

/// Why there are no vectors.
#[allow(missing_docs)]
pub enum Trouble {
    TooLong(String),
    Failed(String),
    Interrupted,
}

/// The model of a client.
#[derive(Debug, Clone)]
pub enum Model {}

/// What the vectors are to be like.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct Shape {
    pub dimensions: Option<usize>,
    pub truncate: bool,
}

/// A model that is ready.
pub enum Loaded {}

#[allow(missing_docs, clippy::missing_errors_doc)]
impl Model {
    pub fn open(_: Option<&str>) -> Result<Model, String> {
        Err("this library was built without the feature local".into())
    }

    pub fn path(&self) -> String {
        match *self {}
    }

    pub fn prefix(&self, _: Option<&str>) -> Result<&str, String> {
        match *self {}
    }

    pub fn load(&self, _: Duration, _: &Arc<dyn Interrupt>) -> Result<Loaded, Trouble> {
        match *self {}
    }
}

#[allow(missing_docs, clippy::missing_errors_doc)]
impl Loaded {
    pub fn hash(&self) -> Digest {
        match *self {}
    }

    pub fn count_tokens(&self, _: &str) -> Result<usize, Trouble> {
        match *self {}
    }

    pub fn embed(
        &self,
        _: Vec<String>,
        _: Shape,
        _: Duration,
        _: &Arc<dyn Interrupt>,
    ) -> Result<Reply, Trouble> {
        match *self {}
    }
}
