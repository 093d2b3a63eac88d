//! Requests of a client in flight, at most so many in the process, and the single calls that wait for a place.
//!
//! Below the bound (option `connections`) a request goes at once. At the bound, calls wait. A place that becomes free
//! goes to who came first; a single call takes along those behind it whose request would differ in the text alone, up
//! to the ceilings of one request. One of them, the leader, sends the request on its own thread:
//!
//! ```text
//! call ─► a place is free ──────────────────► leader of itself alone ─► sends, lands the flights, frees the place
//!    └──► it waits ─┬─► it is called ───────► leader of all that were taken along ─► the same
//!                   ├─► its flight lands ───► the answer of the leader's request
//!                   └─► it leaves ──────────► its text goes with it, unless it was sent
//! ```
//!
//! Who waits for whom:
//! - A call waits for a place or for its flight, never for a thread or a lock of another call. Each wait asks for its own
//!   interrupt, and that of a single call ends at its own deadline.
//! - Who has a place waits for the network and for the pace alone, never for a flight or another place. So every place
//!   becomes free, whatever texts statements await of each other.
//! - The leader is the one with the most time left, so that no request ends before the time of those it is sent for. If
//!   it is interrupted, the flights of the others land with that, and they ask again, in their old order.
//! - Whoever waits could not go: each time a place becomes free, all that may go are called.
//! - Statements of many texts leave one place to single calls. Where there is but one, they take turns with them: a statement
//!   waits for as many places as it has threads, and would be first each time.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::base::error::{Error, Result};
use crate::base::hash::{Digest, Hasher};
use crate::base::interrupt::{Interrupt, SLICE};
use crate::client::effort::Effort;
use crate::client::plan::{Ceilings, Load};
use crate::client::shared::Shared;
use crate::embed::cache::flight::{Flight, Waited};
use crate::embed::call::Task;

/// What calls have in common that travel in one request, besides the identity of their clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    /// The request without its texts, headers and key included.
    pub vectors: Digest,
    /// Who sends it, and how hard it tries.
    pub effort: Effort,
    /// The options `batch_size` and `batch_tokens`.
    pub batch: [Option<usize>; 2],
}

/// What a place is wanted for.
#[derive(Debug)]
enum Want {
    /// A request of a statement of many texts.
    Batch,
    /// A single call.
    Single { company: Company, text: Arc<str>, ceilings: Ceilings },
}

/// Somebody who waits for a place.
#[derive(Debug)]
struct Waiting<T> {
    /// Its number in the order of arrival.
    arrival: u64,
    /// The bound that it keeps.
    most: usize,
    want: Want,
    caller: T,
}

/// The places that are taken, and who waits for one, in order of arrival.
#[derive(Debug)]
struct Queue<T> {
    batches: usize,
    singles: usize,
    arrivals: u64,
    /// Whether a statement was the last to take a place.
    last_is_batch: bool,
    waiting: VecDeque<Waiting<T>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue { batches: 0, singles: 0, arrivals: 0, last_is_batch: false, waiting: VecDeque::new() }
    }
}

impl<T> Queue<T> {
    fn may_go(&self, is_batch: bool, most: usize) -> bool {
        self.batches + self.singles < most && (!is_batch || self.batches < most.saturating_sub(1).max(1))
    }

    fn taken(&mut self, is_batch: bool) -> &mut usize {
        if is_batch { &mut self.batches } else { &mut self.singles }
    }

    fn goes(&mut self, is_batch: bool) {
        *self.taken(is_batch) += 1;
        self.last_is_batch = is_batch;
    }

    /// Takes a place if one is free. Then nobody waits who could have it.
    fn take(&mut self, is_batch: bool, most: usize) -> bool {
        let may_go = self.may_go(is_batch, most);
        if may_go {
            self.goes(is_batch);
        }
        may_go
    }

    /// The number of who comes now.
    fn arrive(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    /// Lets it wait, behind all that came before it.
    fn wait(&mut self, waiting: Waiting<T>) {
        let at = self.waiting.partition_point(|other| other.arrival < waiting.arrival);
        self.waiting.insert(at, waiting);
    }

    /// Who came with this number, if it still waits: it does no longer.
    fn leave(&mut self, arrival: u64) -> Option<T> {
        let at = self.waiting.iter().position(|waiting| waiting.arrival == arrival)?;
        self.waiting.remove(at).map(|waiting| waiting.caller)
    }

    fn release(&mut self, is_batch: bool) {
        *self.taken(is_batch) -= 1;
    }

    /// Takes a place for the first that may go, and those that it takes along.
    fn next(&mut self) -> Option<Departure<T>> {
        let is_batch = |w: &Waiting<T>| matches!(w.want, Want::Batch);
        let may_go = |w: &Waiting<T>| self.may_go(is_batch(w), w.most);
        let has_its_turn = |w: &Waiting<T>| w.most > 1 || is_batch(w) != self.last_is_batch;
        let mut waiting = self.waiting.iter();
        let at = waiting.position(|w| may_go(w) && has_its_turn(w));
        let at = at.or_else(|| self.waiting.iter().position(may_go))?;
        let first = self.waiting.remove(at)?;
        let Want::Single { company, text, ceilings } = first.want else {
            self.goes(true);
            return Some(Departure::Batch(first.caller));
        };
        self.goes(false);
        let (mut load, mut callers, mut stays) = (Load::default(), vec![first.caller], VecDeque::new());
        load.add(&text);
        let mut has_room = true;
        for waiting in std::mem::take(&mut self.waiting) {
            match &waiting.want {
                Want::Single { company: own, text, .. } if has_room && *own == company => {
                    // Whoever does not fit goes first the next time, and nobody overtakes it.
                    has_room = load.takes(text, ceilings);
                    if has_room {
                        load.add(text);
                        callers.push(waiting.caller);
                        continue;
                    }
                }
                _ => {}
            }
            stays.push_back(waiting);
        }
        self.waiting = stays;
        Some(Departure::Single(callers))
    }
}

/// Who goes next.
#[derive(Debug, PartialEq, Eq)]
enum Departure<T> {
    Batch(T),
    Single(Vec<T>),
}

/// Where a caller waits, and is called.
#[derive(Debug)]
struct Seat {
    turn: Mutex<Option<(Place, Vec<Task>)>>,
    called: Condvar,
    flight: Option<Arc<Flight>>,
}

impl Seat {
    fn new(flight: Option<Arc<Flight>>) -> Arc<Seat> {
        Arc::new(Seat { turn: Mutex::new(None), called: Condvar::new(), flight })
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Place, Vec<Task>)>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, place: Place, tasks: Vec<Task>) {
        *self.lock() = Some((place, tasks));
        self.called.notify_one();
        if let Some(flight) = &self.flight {
            flight.wake();
        }
    }
}

#[derive(Debug)]
struct Caller {
    seat: Arc<Seat>,
    /// What a single call asks, and until when.
    single: Option<(Task, Instant)>,
}

/// The places of all clients of one identity and one bound.
#[derive(Debug, Default)]
pub struct Places {
    queue: Mutex<Queue<Caller>>,
}

static ALL: Shared<Places> = Shared::new();

/// A place that is taken. Dropped, it is free.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    is_batch: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queue = self.places.lock();
        queue.release(self.is_batch);
        self.places.call(&mut queue);
    }
}

/// A single call as it asks for a place.
pub struct Single<'a> {
    /// Whom it may travel with.
    pub company: Company,
    /// The ceilings of its request.
    pub ceilings: Ceilings,
    /// The bound.
    pub most: usize,
    /// When its time is up.
    pub deadline: Instant,
    /// Its number, once it has waited.
    pub arrival: &'a mut Option<u64>,
}

/// What a single call came to.
pub enum Turn {
    /// It sends these texts in its place: its own, and those that it takes along.
    Leads(Place, Vec<Task>),
    /// Another call has sent its text; the flight has landed.
    Landed,
    /// Its time was up; whether before its text was sent.
    TooLong(bool),
}

impl Places {
    /// Those of all clients of this identity that have this bound. Clients of another bound have places of their own: who
    /// may go at a higher one would keep the others waiting for ever.
    pub fn of(identity: &Digest, most: usize) -> Arc<Places> {
        ALL.of(Hasher::default().part(identity).part(&most.to_le_bytes()).finish())
    }

    /// A place for a request of a statement of many texts.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where the wait ended before.
    pub fn batch(self: &Arc<Places>, most: usize, interrupt: &Arc<dyn Interrupt>) -> Result<Place> {
        let mut queue = self.lock();
        if queue.take(true, most) {
            return Ok(self.place(true));
        }
        let (arrival, seat) = (queue.arrive(), Seat::new(None));
        let caller = Caller { seat: seat.clone(), single: None };
        queue.wait(Waiting { arrival, most, want: Want::Batch, caller });
        drop(queue);
        let mut turn = seat.lock();
        loop {
            if let Some((place, _)) = turn.take() {
                return Ok(place);
            }
            if interrupt.is_interrupted() {
                drop(turn);
                self.leave(arrival, &seat);
                return Err(Error::Interrupted);
            }
            turn = seat.called.wait_timeout(turn, SLICE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sees to a single call until it is to send `task`, or another has done so.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where the wait ended before.
    pub fn single(
        self: &Arc<Places>,
        task: Task,
        asks: Single<'_>,
        interrupt: &Arc<dyn Interrupt>,
    ) -> Result<Turn> {
        let mut queue = self.lock();
        if queue.take(false, asks.most) {
            return Ok(Turn::Leads(self.place(false), vec![task]));
        }
        let arrival = *asks.arrival.get_or_insert_with(|| queue.arrive());
        let (flight, text) = (task.0.flight().clone(), task.1.clone());
        let seat = Seat::new(Some(flight.clone()));
        let want = Want::Single { company: asks.company, text, ceilings: asks.ceilings };
        let caller = Caller { seat: seat.clone(), single: Some((task, asks.deadline)) };
        queue.wait(Waiting { arrival, most: asks.most, want, caller });
        drop(queue);
        let waited = flight.wait_or(Some(asks.deadline), interrupt, || seat.lock().is_some());
        let turn = match waited {
            Ok(None) => seat.lock().take().map(|(place, tasks)| Turn::Leads(place, tasks)),
            Ok(Some(Waited::Landed(_) | Waited::NotSent)) => Some(Turn::Landed),
            Ok(Some(Waited::TooLong)) | Err(_) => None,
        };
        match (turn, waited) {
            (Some(turn), _) => Ok(turn),
            (None, Err(e)) => {
                self.leave(arrival, &seat);
                Err(e)
            }
            (None, _) => Ok(Turn::TooLong(self.leave(arrival, &seat))),
        }
    }

    /// Ends the wait of a caller, and lets others go in its place if it was called meanwhile. Returns whether its text
    /// was not sent.
    fn leave(&self, arrival: u64, seat: &Seat) -> bool {
        let mut queue = self.lock();
        let (caller, called) = (queue.leave(arrival), seat.lock().take());
        drop(queue);
        let was_waiting = caller.is_some() || called.is_some();
        // Who was to travel with it asks again, and so does who waits for the same text.
        let own = caller.and_then(|caller| caller.single).map(|(task, _)| task);
        let (place, tasks) = called.map_or((None, Vec::new()), |(place, tasks)| (Some(place), tasks));
        for (ticket, _) in tasks.into_iter().chain(own) {
            ticket.land(Err(Error::Interrupted));
        }
        drop(place);
        was_waiting
    }

    /// Calls all that may go.
    fn call(self: &Arc<Places>, queue: &mut Queue<Caller>) {
        while let Some(departure) = queue.next() {
            match departure {
                Departure::Batch(caller) => caller.seat.call(self.place(true), Vec::new()),
                Departure::Single(callers) => {
                    let until = |caller: &&Caller| caller.single.as_ref().map(|(_, deadline)| *deadline);
                    let leader = callers.iter().max_by_key(until).map(|caller| caller.seat.clone());
                    let tasks = callers.into_iter().filter_map(|caller| caller.single).map(|(task, _)| task);
                    if let Some(leader) = leader {
                        leader.call(self.place(false), tasks.collect());
                    }
                }
            }
        }
    }

    fn place(self: &Arc<Places>, is_batch: bool) -> Place {
        Place { places: self.clone(), is_batch }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<Caller>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
