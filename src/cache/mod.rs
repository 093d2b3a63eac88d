//! Vectors that were computed before: in this process, and on disk where a client asks for it.
//!
//! Only checked answers are kept, errors never. A text that is on its way is not sent a second time: who asks
//! for it meanwhile waits for the same answer.

pub mod disk;
pub mod flight;
mod memory;
pub mod private;

use std::sync::Arc;

pub use memory::{Claim, Memory, Ticket};

use crate::process::PerProcess;

/// An embedding as it is kept and shared.
pub type Vector = Arc<[f32]>;

/// Names a vector: a hash of everything that can change it.
pub type Key = [u8; 32];

/// The cache of the process, bounded by `REMBED_CACHE_BYTES` (64 MiB; 0 turns it off).
pub static PROCESS: PerProcess<Arc<Memory>> = PerProcess::new(|parent| {
    if let Some(parent) = parent {
        return Memory::new(parent.bound());
    }
    let bytes = std::env::var("REMBED_CACHE_BYTES").ok().and_then(|b| b.trim().parse().ok());
    Memory::new(bytes.unwrap_or(64 << 20))
});

/// Hashes parts, each with its length before it, so that no two lists of parts give the same bytes.
#[derive(Debug, Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Adds a part.
    pub fn part(mut self, bytes: &[u8]) -> Hasher {
        add(&mut self.0, bytes);
        self
    }

    /// The hash of the parts.
    pub fn finish(&self) -> Key {
        *self.0.finalize().as_bytes()
    }
}

/// Adds a part, with its length before it.
fn add(hasher: &mut blake3::Hasher, part: &[u8]) {
    hasher.update(&(part.len() as u64).to_le_bytes());
    hasher.update(part);
}

/// The hash of parts of which some are secret, with no copy of them left behind.
pub fn hash_secrets<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Key {
    // In one place: a hasher that is moved would leave its buffer where it was.
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        add(&mut hasher, part);
    }
    // Two blocks, so that neither its buffer nor the last block, which finalize() copies, has any of them.
    hasher.update(&[0; 128]);
    *hasher.finalize().as_bytes()
}

/// The key of `text` for a client whose other parts hash to `client`.
pub fn key(client: &Key, text: &str) -> Key {
    let mut hasher = blake3::Hasher::new();
    // The first part has a fixed length and the second is the rest, so their border needs no mark.
    hasher.update(client);
    hasher.update(text.as_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_between_parts_counts() {
        let hash =
            |parts: &[&str]| parts.iter().fold(Hasher::default(), |h, p| h.part(p.as_bytes())).finish();
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_ne!(hash(&["a", ""]), hash(&["a"]));
        assert_eq!(hash(&["a", "b"]), hash(&["a", "b"]));
    }
}
