//! What a statement has asked for already: the inner table of a join is read again for each row of the outer one, and
//! must not send the same texts each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::cache::Memory;
use crate::base::error::Error;
use crate::base::hash::Digest;

/// Vectors of clients without a cache that one statement keeps.
const BYTES: usize = 16 << 20;
/// Failures that one statement keeps; what fails beyond is asked for again.
const FAILURES: usize = 10_000;

/// The vectors and failures of one statement.
#[derive(Debug)]
pub struct Seen {
    memory: Arc<Memory>,
    failed: Mutex<HashMap<Digest, Error>>,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen { memory: Memory::new(BYTES), failed: Mutex::default() }
    }
}

impl Seen {
    /// Where the vectors of a client without a cache are kept for the statement.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// The failure of a text that was asked for before. Its key is made only where there are failures.
    pub fn failure(&self, text: impl FnOnce() -> Digest) -> Option<Error> {
        let failed = self.lock();
        if failed.is_empty() { None } else { failed.get(&text()).cloned() }
    }

    /// Keeps the failure of a text. An interrupt is the statement's, not the text's.
    pub fn failed(&self, text: Digest, error: &Error) {
        let mut failed = self.lock();
        if failed.len() < FAILURES && *error != Error::Interrupted {
            failed.insert(text, error.clone());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Error>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
