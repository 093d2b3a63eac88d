//! State that the clients of one identity share in a process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::base::hash::Digest;
use crate::base::process::PerProcess;

/// A value for each identity, as long as somebody holds it. A child process starts with none.
pub struct Shared<T> {
    all: PerProcess<Mutex<HashMap<Digest, Weak<T>>>>,
}

impl<T: Default> Shared<T> {
    /// No value yet.
    #[allow(clippy::new_without_default)] // it is for statics alone
    pub const fn new() -> Shared<T> {
        Shared { all: PerProcess::new(|_| Mutex::new(HashMap::new())) }
    }

    /// The one of all clients of this identity.
    pub fn of(&self, identity: Digest) -> Arc<T> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = all.get(&identity).and_then(Weak::upgrade) {
            return shared;
        }
        let shared = Arc::new(T::default());
        // Clients come and go with connections. Before the table grows, the entries that no client holds are dropped.
        if all.len() == all.capacity() {
            all.retain(|_, old| old.strong_count() > 0);
        }
        all.insert(identity, Arc::downgrade(&shared));
        shared
    }
}
