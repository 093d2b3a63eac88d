//! The vectors in memory that nobody holds: what is kept of them at the bound.

use quick_cache::unsync::Cache;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::Vector;
use crate::base::hash::Digest;

/// What an entry takes besides its numbers: key, reference counts, list and table, and the mark that one leaves behind
/// when it goes.
pub const OVERHEAD: usize = 192;

/// A vector as it is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The vector.
    pub vector: Vector,
    /// Whose it is: `Client::cache_key` says what that means.
    pub client: u64,
}

/// The bytes that a vector takes.
pub fn size(kept: &Kept) -> usize {
    kept.vector.len() * size_of::<f32>() + OVERHEAD
}

/// Vectors up to a bound, which may change.
#[derive(Debug)]
pub struct Vectors {
    /// `None` for a bound of 0.
    cache: Option<Cache<Digest, Kept, Bytes>>,
}

#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<Digest, Kept> for Bytes {
    fn weight(&self, _: &Digest, kept: &Kept) -> u64 {
        size(kept) as u64
    }
}

impl Vectors {
    /// At most `bound` bytes.
    pub fn new(bound: usize) -> Vectors {
        let options = OptionsBuilder::new()
            .weight_capacity(bound as u64)
            // Half as many that went are remembered as there are vectors of 256 numbers: what comes again takes the place
            // of what does not.
            .estimated_items_capacity(bound / (1024 + OVERHEAD))
            .shards(1)
            .build();
        let new =
            |options| Cache::with_options(options, Bytes, DefaultHashBuilder::default(), Default::default());
        Vectors { cache: options.ok().filter(|_| bound > 0).map(new) }
    }

    /// The vector of `key`.
    pub fn get(&self, key: &Digest) -> Option<Vector> {
        Some(self.cache.as_ref()?.get(key)?.vector.clone())
    }

    /// Keeps a vector; others may go for it.
    pub fn put(&mut self, key: Digest, kept: Kept) {
        if let Some(cache) = &mut self.cache {
            cache.insert(key, kept);
        }
    }

    /// Drops the vector of `key`.
    pub fn remove(&mut self, key: &Digest) {
        if let Some(cache) = &mut self.cache {
            cache.remove(key);
        }
    }

    /// Drops all that `goes` says of. Returns how many they were.
    pub fn remove_where(&mut self, goes: impl Fn(&Kept) -> bool) -> usize {
        let Some(cache) = &mut self.cache else { return 0 };
        let before = cache.len();
        cache.retain(|_, kept| !goes(kept));
        before - cache.len()
    }

    /// From now on at most `bound` bytes.
    pub fn resize(&mut self, bound: usize) {
        if let Some(cache) = self.cache.as_mut().filter(|cache| cache.capacity() != bound as u64) {
            cache.set_capacity(bound as u64);
        }
    }

    /// The bytes that all vectors take.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.cache.as_ref().map_or(0, |cache| cache.weight() as usize)
    }
}
