//! Vectors that were computed before: in this process, and on disk where a client asks for it.
//!
//! Only checked answers are kept, errors never. A text that is on its way is not sent a second time: who asks
//! for it meanwhile waits for the same answer.

pub mod disk;
pub mod flight;
mod held;
mod kept;
mod memory;
mod packed;
pub mod private;

use std::sync::Arc;

pub use kept::Kept;
pub use memory::{Claim, Memory, Ticket};

use crate::base::hash::Digest;
use crate::base::process::PerProcess;

/// An embedding as it is kept and shared.
pub type Vector = Arc<[f32]>;

/// The cache of the process, bounded by `REMBED_CACHE_BYTES` (64 MiB; 0 turns it off).
pub static MEMORY: PerProcess<Arc<Memory>> = PerProcess::new(|parent| {
    if let Some(parent) = parent {
        return Memory::new(parent.bound());
    }
    let bytes = std::env::var("REMBED_CACHE_BYTES").ok().and_then(|b| b.trim().parse().ok());
    Memory::new(bytes.unwrap_or(64 << 20))
});

/// The key of `text` for a client whose other parts hash to `client`.
pub fn key(client: &Digest, text: &str) -> Digest {
    *blake3::keyed_hash(client, text.as_bytes()).as_bytes()
}
