//! Vectors that `rembed_prefetch` has brought and nobody has read: the statement that needs them is still to come.
//!
//! They share the bound of the cache. So that a prefetch whose vectors nobody reads does not hold the room for ever, they
//! are released when as many bytes as the cache has have come without one of them being read.

use std::collections::{BTreeMap, HashMap};

use super::kept::{Kept, size};
use crate::base::hash::Digest;

/// The bound of the other vectors changes by this part of the whole at a time, and is never less than one.
const PARTS: usize = 8;

/// So many are released at a time: nobody waits for all of them to go.
const AT_ONCE: usize = 8;

/// The vectors that are held.
#[derive(Debug)]
pub struct Held {
    bound: usize,
    bytes: usize,
    vectors: HashMap<Digest, (Kept, u64)>,
    /// By the order they came in.
    order: BTreeMap<u64, Digest>,
    next: u64,
    /// The bytes of other vectors that came since one of these was last brought or read.
    passed: usize,
}

impl Held {
    /// For a cache of `bound` bytes in all.
    pub fn new(bound: usize) -> Held {
        Held { bound, bytes: 0, vectors: HashMap::new(), order: BTreeMap::new(), next: 0, passed: 0 }
    }

    /// The bytes of the whole cache.
    pub fn bound(&self) -> usize {
        self.bound
    }

    /// The bytes that are taken from the other vectors for these: a few steps from none to most, since each makes the
    /// other vectors forget a little of what they know.
    pub fn reserved(&self) -> usize {
        let part = (self.bound / PARTS).max(1);
        (self.bytes.div_ceil(part) * part).min(self.most())
    }

    fn most(&self) -> usize {
        self.bound - self.bound / PARTS
    }

    /// Begins a prefetch. Returns its number.
    pub fn begin(&self) -> u64 {
        self.next
    }

    /// Whether the vector of `key` is held.
    pub fn contains(&self, key: &Digest) -> bool {
        self.vectors.contains_key(key)
    }

    /// Holds a vector for the prefetch of this number. Returns whether there was room, and the vectors of earlier
    /// prefetches that went for it.
    pub fn put(&mut self, key: Digest, kept: Kept, prefetch: u64) -> (bool, Vec<(Digest, Kept)>) {
        let bytes = size(&kept);
        self.remove(&key);
        let mut released = Vec::new();
        while self.bytes + bytes > self.most() {
            match self.order.first_key_value() {
                Some((order, _)) if *order < prefetch && bytes <= self.most() => {
                    released.extend(self.oldest())
                }
                _ => return (false, released),
            }
        }
        self.bytes += bytes;
        self.passed = 0;
        self.order.insert(self.next, key);
        self.vectors.insert(key, (kept, self.next));
        self.next += 1;
        (true, released)
    }

    /// Gives the vector of `key`, which is being read, out of hold.
    pub fn take(&mut self, key: &Digest) -> Option<Kept> {
        let kept = self.remove(key)?;
        self.passed = 0;
        Some(kept)
    }

    /// Notes that another vector of this size came. Returns some of those that were held for too long.
    pub fn age(&mut self, bytes: usize) -> Vec<(Digest, Kept)> {
        self.passed = self.passed.saturating_add(bytes);
        match self.passed > self.bound {
            true => (0..AT_ONCE).map_while(|_| self.oldest()).collect(),
            false => Vec::new(),
        }
    }

    fn oldest(&mut self) -> Option<(Digest, Kept)> {
        let key = *self.order.first_key_value()?.1;
        self.remove(&key).map(|kept| (key, kept))
    }

    fn remove(&mut self, key: &Digest) -> Option<Kept> {
        // Mostly nothing is held, and a key need not be hashed to see that.
        if self.vectors.is_empty() {
            return None;
        }
        let (kept, order) = self.vectors.remove(key)?;
        self.order.remove(&order);
        self.bytes -= size(&kept);
        Some(kept)
    }

    /// Drops all that `goes` says of. Returns how many they were.
    pub fn remove_where(&mut self, goes: impl Fn(&Kept) -> bool) -> usize {
        let keys: Vec<_> =
            self.vectors.iter().filter(|(_, (kept, _))| goes(kept)).map(|(key, _)| *key).collect();
        keys.iter().filter(|key| self.remove(key).is_some()).count()
    }

    /// The bytes that all vectors take.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
