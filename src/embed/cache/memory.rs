//! Vectors in memory: bounded by bytes, shared by all threads.
//!
//! What goes at the bound is chosen by S3-FIFO (quick_cache), so that texts which are read over and over in the same
//! order are still found: the least recently used would go just before they are needed. What `rembed_prefetch` has
//! brought is held apart until it was read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Vector;
use super::flight::Flight;
use super::held::Held;
use super::kept::{Kept, Vectors, size};
use crate::base::error::{Error, Result};
use crate::base::hash::Digest;

/// Vectors, and the texts that are on their way.
#[derive(Debug)]
pub struct Memory {
    bound: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    vectors: Vectors,
    held: Held,
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
    client: u64,
    flight: Arc<Flight>,
    landed: bool,
}

impl Memory {
    /// A cache of at most `bound` bytes; 0 keeps nothing and only joins those who wait.
    pub fn new(bound: usize) -> Arc<Memory> {
        let inner = Inner { vectors: Vectors::new(bound), held: Held::new(bound), flights: HashMap::new() };
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

    /// Asks for the vector of `key`, for the statement `owner`. `client` is whose vector it will be.
    pub fn claim(self: &Arc<Memory>, key: &Digest, client: u64, owner: u64) -> Claim {
        let mut inner = self.lock();
        if let Some(vector) = inner.find(key) {
            return Claim::Hit(vector);
        }
        if let Some(flight) = inner.flights.get(key) {
            return Claim::Pending(flight.clone());
        }
        let flight = Arc::new(Flight::new(owner));
        inner.flights.insert(*key, flight.clone());
        Claim::Mine(Ticket { memory: self.clone(), key: *key, client, flight, landed: false })
    }

    /// As [`Memory::claim`], after a wait for `flight` that found it failed or not sent.
    pub fn claim_again(
        self: &Arc<Memory>,
        key: &Digest,
        client: u64,
        flight: &Arc<Flight>,
        owner: u64,
    ) -> Claim {
        let mut inner = self.lock();
        if inner.flights.get(key).is_some_and(|now| Arc::ptr_eq(now, flight) && !flight.is_sent()) {
            inner.flights.remove(key);
        }
        drop(inner);
        self.claim(key, client, owner)
    }

    /// Begins a prefetch. Returns the number to [`Memory::hold`] its vectors by.
    pub fn begin_prefetch(&self) -> u64 {
        self.lock().held.begin()
    }

    /// Holds the vector of `key` until it was read once, for the prefetch of this number. Returns whether there was
    /// room: vectors of earlier prefetches make room, those of this one do not.
    pub fn hold(&self, key: Digest, kept: Kept, prefetch: u64) -> bool {
        let inner = &mut *self.lock();
        let (is_held, released) = inner.held.put(key, kept, prefetch);
        if is_held {
            inner.vectors.remove(&key);
        }
        inner.vectors.resize(self.bound - inner.held.reserved());
        for (key, kept) in released {
            inner.vectors.put(key, kept);
        }
        is_held
    }

    /// Drops every vector. Returns how many there were.
    pub fn clear(&self) -> usize {
        self.clear_where(|_| true)
    }

    /// Drops the vectors of `client`. Returns how many there were.
    pub fn clear_client(&self, client: u64) -> usize {
        self.clear_where(|kept| kept.client == client)
    }

    fn clear_where(&self, goes: impl Fn(&Kept) -> bool) -> usize {
        let inner = &mut *self.lock();
        let n = inner.vectors.remove_where(&goes) + inner.held.remove_where(&goes);
        inner.vectors.resize(self.bound - inner.held.reserved());
        n
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The vector of `key`. One that was held has been read now, and is kept as any other.
    fn find(&mut self, key: &Digest) -> Option<Vector> {
        if let Some(kept) = self.held.take(key) {
            let vector = kept.vector.clone();
            self.vectors.resize(self.held.bound() - self.held.reserved());
            self.vectors.put(*key, kept);
            return Some(vector);
        }
        self.vectors.get(key)
    }

    fn keep(&mut self, key: Digest, kept: Kept) {
        // A text that another statement has sent meanwhile.
        if self.held.contains(&key) {
            return;
        }
        for (key, kept) in self.held.age(size(&kept)) {
            self.vectors.put(key, kept);
        }
        self.vectors.resize(self.held.bound() - self.held.reserved());
        self.vectors.put(key, kept);
    }
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
        self.memory.lock().find(&self.key)
    }

    /// Gives the answer.
    pub fn land(mut self, outcome: Result<Vector>) {
        self.finish(outcome, true);
    }

    /// Gives the answer to those who wait, and keeps it for nobody else.
    pub fn land_unkept(mut self, outcome: Result<Vector>) {
        self.flight.keep_nowhere();
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
            inner.keep(self.key, Kept { vector: vector.clone(), client: self.client });
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
    use crate::embed::cache::kept::OVERHEAD;

    const SIZE: usize = 1024 + OVERHEAD;

    fn key(n: usize) -> Digest {
        *blake3::hash(&n.to_le_bytes()).as_bytes()
    }

    fn kept(client: u64) -> Kept {
        Kept { vector: vec![1.0; 256].into(), client }
    }

    /// Asks for the vector, and brings it if it is not there. Returns whether it was.
    fn read(memory: &Arc<Memory>, n: usize) -> bool {
        match memory.claim(&key(n), 1, 1) {
            Claim::Hit(_) => true,
            Claim::Mine(ticket) => {
                ticket.land(Ok(kept(1).vector));
                false
            }
            other => panic!("{other:?}"),
        }
    }

    fn hits(memory: &Arc<Memory>, texts: std::ops::Range<usize>) -> usize {
        texts.filter(|n| read(memory, *n)).count()
    }

    fn bytes(memory: &Memory) -> usize {
        let inner = memory.lock();
        inner.vectors.bytes() + inner.held.bytes()
    }

    #[test]
    fn texts_read_over_and_over_in_one_order_are_found() {
        let memory = Memory::new(1000 * SIZE);
        hits(&memory, 0..1400);
        for round in 0..5 {
            let found = hits(&memory, 0..1400);
            assert!(found > 500, "round {round}: {found} of 1,400, where there is room for 1,000");
            assert!(bytes(&memory) <= memory.bound());
        }
    }

    /// What is asked for all the time stays beside a scan, and what is asked for later on takes the place of what is not
    /// any more.
    #[test]
    fn what_is_asked_for_again_stays_and_what_is_not_goes() {
        let memory = Memory::new(1000 * SIZE);
        hits(&memory, 0..1000);
        for i in 0..100 {
            hits(&memory, 0..100);
            hits(&memory, 10_000 + i * 100..10_100 + i * 100);
        }
        assert!(hits(&memory, 0..100) > 90);
        (0..4).for_each(|_| assert!(hits(&memory, 5000..5300) <= 300));
        assert!(hits(&memory, 5000..5300) > 250);
    }

    #[test]
    fn what_was_prefetched_stays_until_it_was_read() {
        let memory = Memory::new(1000 * SIZE);
        hits(&memory, 0..1000);
        let prefetch = memory.begin_prefetch();
        let held = (2000..4000).filter(|n| memory.hold(key(*n), kept(1), prefetch)).count();
        assert!((800..=1000).contains(&held), "{held} of 2,000");
        assert!(bytes(&memory) <= memory.bound());
        // Beside it, half as much as the cache holds comes and goes.
        hits(&memory, 5000..5500);
        assert_eq!(hits(&memory, 2000..2000 + held), held);
        assert!(bytes(&memory) <= memory.bound());
    }

    #[test]
    fn a_later_prefetch_takes_the_room_of_an_earlier_one() {
        let memory = Memory::new(1000 * SIZE);
        let first = memory.begin_prefetch();
        assert!((0..800).all(|n| memory.hold(key(n), kept(1), first)));
        let second = memory.begin_prefetch();
        assert!((1000..1800).all(|n| memory.hold(key(n), kept(1), second)));
        assert_eq!(hits(&memory, 1000..1800), 800);
        assert!(bytes(&memory) <= memory.bound());
    }

    #[test]
    fn a_prefetch_that_nobody_reads_does_not_fill_the_cache_for_ever() {
        let memory = Memory::new(1000 * SIZE);
        let prefetch = memory.begin_prefetch();
        (0..800).for_each(|n| assert!(memory.hold(key(n), kept(1), prefetch)));
        hits(&memory, 1000..3000);
        assert_eq!(memory.lock().held.bytes(), 0);
        (0..4).for_each(|_| assert!(hits(&memory, 5000..5300) <= 300));
        assert!(hits(&memory, 5000..5300) > 250);
        assert!(bytes(&memory) <= memory.bound());
    }

    #[test]
    fn a_clients_vectors_go_alone() {
        let memory = Memory::new(1000 * SIZE);
        hits(&memory, 0..10);
        let prefetch = memory.begin_prefetch();
        (20..30).for_each(|n| assert!(memory.hold(key(n), kept(1 + n as u64 % 2), prefetch)));
        assert_eq!(memory.clear_client(2), 5);
        assert_eq!(memory.clear_client(2), 0);
        assert_eq!(hits(&memory, 0..10), 10);
        assert_eq!(memory.clear(), 15);
        assert_eq!((bytes(&memory), memory.clear()), (0, 0));
        assert!(!read(&memory, 0) && read(&memory, 0), "as large as before");
    }

    #[test]
    fn what_is_larger_than_the_bound_is_not_kept() {
        for bound in [0, 1, 100, SIZE - 1] {
            let memory = Memory::new(bound);
            assert!(!read(&memory, 1) && !read(&memory, 1));
            let prefetch = memory.begin_prefetch();
            assert!(!memory.hold(key(1), kept(1), prefetch));
            assert_eq!((memory.is_on(), bytes(&memory)), (bound > 0, 0));
        }
    }

    #[test]
    fn a_text_on_its_way_is_waited_for() {
        let memory = Memory::new(1 << 20);
        let Claim::Mine(ticket) = memory.claim(&[7; 32], 1, 1) else { panic!() };
        let Claim::Pending(flight) = memory.claim(&[7; 32], 1, 1) else { panic!() };
        assert!(flight.outcome().is_none());
        ticket.land(Ok(vec![2.0].into()));
        assert_eq!(&*flight.outcome().unwrap().unwrap(), &[2.0]);
        assert!(matches!(memory.claim(&[7; 32], 1, 1), Claim::Hit(_)));
    }

    #[test]
    fn an_error_is_not_kept_and_a_lost_ticket_fails_those_who_wait() {
        let memory = Memory::new(1 << 20);
        let Claim::Mine(ticket) = memory.claim(&[7; 32], 1, 1) else { panic!() };
        let Claim::Pending(flight) = memory.claim(&[7; 32], 1, 1) else { panic!() };
        drop(ticket);
        assert!(flight.outcome().unwrap().is_err());
        let Claim::Mine(ticket) = memory.claim(&[7; 32], 1, 1) else { panic!() };
        ticket.land(Err(Error::invalid("no")));
        assert!(matches!(memory.claim(&[7; 32], 1, 1), Claim::Mine(_)));
    }
}
