//! Vectors in memory: least recently used go first, bounded by bytes, shared by all threads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::Vector;
use super::flight::Flight;
use crate::base::error::{Error, Result};
use crate::base::hash::Digest;

/// What an entry takes besides its numbers: key, reference counts, list and table.
const OVERHEAD: usize = 128;

/// Vectors, and the texts that are on their way.
#[derive(Debug)]
pub struct Memory {
    bound: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    vectors: LruCache<Digest, Vector>,
    bytes: usize,
    flights: HashMap<Digest, Arc<Flight>>,
}

/// What asking for a text came to.
#[derive(Debug)]
pub enum Claim {
    /// The vector is here.
    Hit(Vector),
    /// A statement has taken the text on, and this is where its answer comes in.
    Pending(Arc<Flight>),
    /// Nobody has sent the text: whoever holds this ticket has to.
    Mine(Ticket),
}

/// The duty to answer a text. Dropped without an answer, it fails those who wait.
#[derive(Debug)]
pub struct Ticket {
    memory: Arc<Memory>,
    key: Digest,
    flight: Arc<Flight>,
    landed: bool,
}

impl Memory {
    /// A cache of at most `bound` bytes; 0 keeps nothing and only joins those who wait.
    pub fn new(bound: usize) -> Arc<Memory> {
        let inner = Inner { vectors: LruCache::unbounded(), bytes: 0, flights: HashMap::new() };
        Arc::new(Memory { bound, inner: Mutex::new(inner) })
    }

    /// The bytes it keeps at most.
    pub fn bound(&self) -> usize {
        self.bound
    }

    /// Whether it keeps anything.
    pub fn is_on(&self) -> bool {
        self.bound > 0
    }

    /// Asks for the vector of `key`, for the statement `owner`.
    pub fn claim(self: &Arc<Memory>, key: &Digest, owner: u64) -> Claim {
        let mut inner = self.lock();
        if let Some(vector) = inner.vectors.get(key) {
            return Claim::Hit(vector.clone());
        }
        if let Some(flight) = inner.flights.get(key) {
            return Claim::Pending(flight.clone());
        }
        let flight = Arc::new(Flight::new(owner));
        inner.flights.insert(*key, flight.clone());
        Claim::Mine(Ticket { memory: self.clone(), key: *key, flight, landed: false })
    }

    /// As [`Memory::claim`], after a wait for `flight` that found it failed or not on its way.
    pub fn claim_again(self: &Arc<Memory>, key: &Digest, flight: &Arc<Flight>, owner: u64) -> Claim {
        let mut inner = self.lock();
        if inner.flights.get(key).is_some_and(|now| Arc::ptr_eq(now, flight) && !flight.is_sent()) {
            inner.flights.remove(key);
        }
        drop(inner);
        self.claim(key, owner)
    }

    /// Whether the vector of `key` is here.
    pub fn contains(&self, key: &Digest) -> bool {
        self.lock().vectors.contains(key)
    }

    /// Drops every vector. Returns how many there were.
    pub fn clear(&self) -> usize {
        let mut inner = self.lock();
        let n = inner.vectors.len();
        inner.vectors.clear();
        inner.bytes = 0;
        n
    }

    fn keep(&self, inner: &mut Inner, key: Digest, vector: &Vector) {
        let size = size(vector);
        if size > self.bound {
            return;
        }
        if let Some(old) = inner.vectors.put(key, vector.clone()) {
            inner.bytes -= self::size(&old);
        }
        inner.bytes += size;
        while inner.bytes > self.bound {
            match inner.vectors.pop_lru() {
                Some((_, old)) => inner.bytes -= self::size(&old),
                None => break,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(vector: &Vector) -> usize {
    vector.len() * size_of::<f32>() + OVERHEAD
}

impl Ticket {
    /// The key of the text.
    pub fn key(&self) -> &Digest {
        &self.key
    }

    /// What others, and the holder, wait on.
    pub fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    /// The answer, if another statement has brought it meanwhile.
    pub fn answer(&self) -> Option<Vector> {
        self.memory.lock().vectors.get(&self.key).cloned()
    }

    /// Gives the answer.
    pub fn land(mut self, outcome: Result<Vector>) {
        self.finish(outcome, true);
    }

    /// Gives the answer to those who wait, and keeps it for nobody else.
    pub fn land_unkept(mut self, outcome: Result<Vector>) {
        self.finish(outcome, false);
    }

    fn finish(&mut self, outcome: Result<Vector>, keep: bool) {
        self.landed = true;
        let mut inner = self.memory.lock();
        // Another statement may have stopped waiting and sent the text itself: then the entry is that statement's.
        if inner.flights.get(&self.key).is_some_and(|now| Arc::ptr_eq(now, &self.flight)) {
            inner.flights.remove(&self.key);
        }
        if let (Ok(vector), true) = (&outcome, keep) {
            self.memory.keep(&mut inner, self.key, vector);
        }
        drop(inner);
        self.flight.land(outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.landed {
            // Other statements that wait for the text then send it themselves.
            self.finish(
                Err(Error::invalid("rembed: internal error, please report it: a request was lost")),
                false,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(memory: &Arc<Memory>, key: u8, width: usize) {
        match memory.claim(&[key; 32], 1) {
            Claim::Mine(ticket) => ticket.land(Ok(vec![1.0; width].into())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_least_recently_used_go_first() {
        let memory = Memory::new(3 * (16 + OVERHEAD));
        for key in 0..3 {
            put(&memory, key, 4);
        }
        assert!(matches!(memory.claim(&[0; 32], 1), Claim::Hit(_)));
        put(&memory, 3, 4);
        assert!(memory.contains(&[0; 32]) && !memory.contains(&[1; 32]));
        assert_eq!(memory.lock().bytes, 3 * (16 + OVERHEAD));
        assert_eq!(memory.clear(), 3);
        assert_eq!(memory.lock().bytes, 0);
    }

    #[test]
    fn what_is_larger_than_the_bound_is_not_kept() {
        let memory = Memory::new(100);
        put(&memory, 1, 400);
        assert!(!memory.contains(&[1; 32]));
        let off = Memory::new(0);
        put(&off, 1, 1);
        assert!(!off.contains(&[1; 32]) && !off.is_on());
    }

    #[test]
    fn a_text_on_its_way_is_waited_for() {
        let memory = Memory::new(1 << 20);
        let Claim::Mine(ticket) = memory.claim(&[7; 32], 1) else { panic!() };
        let Claim::Pending(flight) = memory.claim(&[7; 32], 1) else { panic!() };
        assert!(flight.outcome().is_none());
        ticket.land(Ok(vec![2.0].into()));
        assert_eq!(&*flight.outcome().unwrap().unwrap(), &[2.0]);
        assert!(matches!(memory.claim(&[7; 32], 1), Claim::Hit(_)));
    }

    #[test]
    fn an_error_is_not_kept_and_a_lost_ticket_fails_those_who_wait() {
        let memory = Memory::new(1 << 20);
        let Claim::Mine(ticket) = memory.claim(&[7; 32], 1) else { panic!() };
        let Claim::Pending(flight) = memory.claim(&[7; 32], 1) else { panic!() };
        drop(ticket);
        assert!(flight.outcome().unwrap().is_err());
        let Claim::Mine(ticket) = memory.claim(&[7; 32], 1) else { panic!() };
        ticket.land(Err(Error::invalid("no")));
        assert!(matches!(memory.claim(&[7; 32], 1), Claim::Mine(_)));
    }
}
