//! Many texts through one call: rows come in input order while later requests are in flight.
//!
//! Memory is bounded by batch × concurrency and by `AHEAD_BYTES`, whatever the number of rows: the source is read as
//! rows leave. Unless all rows are wanted for sure, little is read ahead at first, and more with each row that is taken:
//! a query with a LIMIT must not pay for what it does not read.
//! Threads exist only for requests in flight. The caller's thread waits for the row at the front, and asks the
//! engine meanwhile whether the statement is interrupted.
//!
//! What a row goes through, from its text to its leaving at the front:
//!
//! ```text
//! text ─┬─► Hit: in a cache ──────────────────────────────────────────► Done ─► leaves
//!       ├─► Mine: in the request that is being filled
//!       │     └─► submit() ─► queue ─► a worker ─► the flight lands ──────────► leaves
//!       └─► Theirs: another statement sends it
//!             ├─► the flight lands with a vector ─────────────────────────────► leaves
//!             └─► it fails, or is not sent in time: take_over() asks again ─► Hit, Mine or Theirs
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::base::error::{Error, Result};
use crate::base::hash::Digest;
use crate::base::interrupt::Interrupt;
use crate::client::plan::Load;
use crate::embed::cache::flight::{Flight, Waited};
use crate::embed::cache::{Claim, Vector};
use crate::embed::call::{Call, Task};
use crate::embed::others::Others;
use crate::embed::progress::Progress;
pub use crate::embed::row::{Outcome, Row, Text};
use crate::embed::seen::Seen;
use crate::embed::workers::Workers;

/// Bytes of texts that are read ahead: enough for eight requests of 300,000 tokens.
const AHEAD_BYTES: usize = 16 << 20;

/// Rows that are read ahead at first, and by how many more with each row that is taken: a list of some texts is one
/// request, and a table is read at full speed from the second one on.
const AHEAD_FIRST: usize = 32;
const AHEAD_GROWTH: usize = 64;

fn size(text: Option<&Arc<str>>) -> usize {
    text.map_or(0, |text| text.len())
}

/// Rows in, rows with embeddings out.
pub struct Stream<K, I> {
    source: Option<I>,
    owner: u64,
    since: Instant,
    workers: Workers,
    interrupt: Arc<dyn Interrupt>,
    /// Rows that are read ahead: at most, and by now.
    most_ahead: usize,
    ahead: usize,
    /// The bytes of the texts of `rows`.
    bytes: usize,
    rows: VecDeque<Row<K, State>>,
    open: Vec<Task>,
    load: Load,
    jobs: u64,
    fresh: Vec<(Digest, Vector)>,
    others: Others,
    progress: Progress,
}

enum State {
    Done(Outcome),
    /// Sent, or to be sent, by this stream in its job of this number.
    Mine(Arc<Flight>, Option<Digest>, u64),
    /// Sent by another statement.
    Theirs(Arc<Flight>),
}

impl<K, I: Iterator<Item = Result<(K, Text)>>> Stream<K, I> {
    /// Embeds what `source` yields. With `isolate`, a row's error is its own; otherwise one bad text may fail
    /// those that travel with it. `total` is the number of rows, where it is known.
    pub fn new(
        call: Call,
        source: I,
        isolate: bool,
        total: Option<u64>,
        interrupt: Arc<dyn Interrupt>,
    ) -> Stream<K, I> {
        let progress = Progress::new(call.client(), "texts", total);
        Stream::with(call, source, isolate, progress, interrupt)
    }

    fn with(
        call: Call,
        source: I,
        isolate: bool,
        progress: Progress,
        interrupt: Arc<dyn Interrupt>,
    ) -> Stream<K, I> {
        static OWNERS: AtomicU64 = AtomicU64::new(1);
        let client = call.client();
        let most_ahead = client.ceilings().texts.saturating_mul(client.concurrency()).saturating_mul(2);
        Stream {
            source: Some(source),
            owner: OWNERS.fetch_add(1, Ordering::Relaxed),
            since: Instant::now(),
            workers: Workers::new(call, isolate),
            interrupt,
            most_ahead,
            ahead: AHEAD_FIRST.min(most_ahead),
            bytes: 0,
            rows: VecDeque::new(),
            open: Vec::new(),
            load: Load::default(),
            jobs: 0,
            fresh: Vec::new(),
            others: Others::default(),
            progress,
        }
    }

    /// The same for a caller that takes every row: nothing is gained by beginning with few.
    pub fn whole(mut self) -> Stream<K, I> {
        self.ahead = self.most_ahead;
        self
    }

    /// Lets it know what its statement has asked for already. To be called before the first row.
    pub fn remembering(mut self, seen: &Arc<Seen>) -> Stream<K, I> {
        if let Some(call) = self.workers.call_mut() {
            call.remember(seen);
        }
        self
    }

    /// The call whose texts these are.
    pub fn call(&self) -> &Call {
        self.workers.call()
    }

    /// The next row, in the order of the source; `None` after the last.
    ///
    /// # Errors
    /// What ends the statement: an interrupt, a source that fails. A row's own error is in the row.
    pub fn next_row(&mut self) -> Result<Option<Row<K, Outcome>>> {
        loop {
            self.fill()?;
            let Some(Row { key, text, value }) = self.rows.pop_front() else {
                self.flush();
                return Ok(None);
            };
            self.bytes -= size(text.as_ref());
            let value = match value {
                State::Done(outcome) => outcome,
                State::Mine(flight, cache_key, job) => self.mine(&flight, cache_key, job)?.map(Some),
                State::Theirs(flight) => {
                    // What is on its way comes, whatever its statement waits for: the request goes on filling. A
                    // statement that has not sent this text may itself wait for one of ours. So ours are sent first.
                    if !flight.is_queued() {
                        self.submit()?;
                    }
                    match self.wait_for_others(&flight)? {
                        Waited::Landed(Ok(vector)) if self.call().takes_from(&flight) => Ok(Some(vector)),
                        Waited::TooLong if flight.is_sent() => Err(self.call().waited_too_long()),
                        Waited::Landed(_) | Waited::NotSent | Waited::TooLong => {
                            if let Some(e) = self.call().error_from(&flight, self.since) {
                                Err(e)
                            } else {
                                self.bytes += size(text.as_ref());
                                self.rows.push_front(Row { key, text, value: State::Theirs(flight) });
                                self.take_over()?;
                                continue;
                            }
                        }
                    }
                }
            };
            if let (Some(text), Err(e)) = (&text, &value) {
                self.call().note_failure(text, e);
            }
            self.progress.done(1);
            self.ahead = (self.ahead + AHEAD_GROWTH).min(self.most_ahead);
            return Ok(Some(Row { key, text, value }));
        }
    }

    /// The answer to a text that this stream sends.
    fn mine(&mut self, flight: &Arc<Flight>, cache_key: Option<Digest>, job: u64) -> Result<Result<Vector>> {
        if job == self.jobs && flight.outcome().is_none() {
            self.submit()?;
        }
        let mut waited = self.wait(flight, None)?;
        if !matches!(waited, Waited::Landed(_)) {
            // Not sent after all: the request that is being filled holds it.
            self.submit()?;
            waited = self.wait(flight, None)?;
        }
        let outcome = match waited {
            Waited::Landed(outcome) => outcome,
            Waited::NotSent | Waited::TooLong => Err(Error::Interrupted),
        };
        if outcome == Err(Error::Interrupted) {
            // The request ran on this thread and was given up: the statement ends, not the row.
            return Err(Error::Interrupted);
        }
        if let (Some(cache_key), Ok(vector)) = (cache_key, &outcome) {
            self.fresh.push((cache_key, vector.clone()));
            if self.fresh.len() >= 256 {
                self.flush();
            }
        }
        Ok(outcome)
    }

    /// Sends, in one request, the waiting texts that other statements failed to get, or have not sent in time.
    fn take_over(&mut self) -> Result<()> {
        for i in 0..self.rows.len() {
            let Row { text: Some(text), value: State::Theirs(flight), .. } = &self.rows[i] else { continue };
            let (text, flight) = (text.clone(), flight.clone());
            let claim = match flight.outcome() {
                Some(Ok(vector)) if self.call().takes_from(&flight) => Claim::Hit(vector),
                Some(Err(_)) if self.call().error_from(&flight, self.since).is_some() => continue,
                None if flight.is_sent() => continue,
                None if flight.is_queued() && !self.others.is_silent(&flight) => continue,
                _ => self.call().claim_again(&text, &flight, self.owner),
            };
            self.rows[i].value = self.settle(&text, claim)?;
        }
        self.submit()
    }

    /// Reads the source as far ahead as it may.
    fn fill(&mut self) -> Result<()> {
        while self.rows.is_empty()
            || (self.rows.len() < self.ahead && self.bytes < AHEAD_BYTES && !self.is_following())
        {
            let Some(source) = &mut self.source else { break };
            let Some(item) = source.next() else {
                self.source = None;
                self.submit()?;
                break;
            };
            let (key, text) = item?;
            self.push(key, text)?;
        }
        Ok(())
    }

    /// Takes a row that is not of the source, after those that were read. A request is sent when it is full, when its answer
    /// is waited for, or by [`Stream::send`].
    ///
    /// # Errors
    /// No thread for a request.
    pub fn push(&mut self, key: K, text: Text) -> Result<()> {
        let (text, value) = match text {
            Text::Null => (None, State::Done(Ok(None))),
            Text::Bad(why) => (None, State::Done(Err(self.call().bad_input(&why)))),
            Text::Text(text) => {
                let state = self.place(&text)?;
                (Some(text), state)
            }
        };
        self.bytes += size(text.as_ref());
        self.rows.push_back(Row { key, text, value });
        Ok(())
    }

    /// Sends what is not sent yet: its requests travel while the caller does something else.
    ///
    /// # Errors
    /// No thread for a request.
    pub fn send(&mut self) -> Result<()> {
        self.submit()
    }

    /// Whether the next `count` rows are to be had without waiting.
    pub fn have_come(&self, count: usize) -> bool {
        self.rows.len() >= count
            && self.rows.iter().take(count).all(|row| match &row.value {
                State::Done(_) => true,
                State::Mine(flight, ..) | State::Theirs(flight) => flight.outcome().is_some(),
            })
    }

    /// Whether the last text that was read is in a request that another statement is filling. The texts that follow may
    /// well be those that it reads next: it fills one request with them, and two would be half full.
    fn is_following(&self) -> bool {
        let Some(Row { value: State::Theirs(flight), .. }) = self.rows.back() else { return false };
        !flight.is_queued() && flight.outcome().is_none() && !self.others.has_stopped(flight)
    }

    /// Finds the vector of `text`, or puts it into the request that is being filled.
    fn place(&mut self, text: &Arc<str>) -> Result<State> {
        if let Some(e) = self.call().failed_before(text) {
            return Ok(State::Done(Err(e)));
        }
        let claim = self.call().claim(text, self.owner);
        self.settle(text, claim)
    }

    fn settle(&mut self, text: &Arc<str>, claim: Claim) -> Result<State> {
        match claim {
            Claim::Hit(vector) => {
                self.call().client().stats().cache_hits.fetch_add(1, Ordering::Relaxed);
                Ok(State::Done(Ok(Some(vector))))
            }
            Claim::Pending(flight) if flight.owner() == self.owner => {
                // A text that comes twice. Its request is the one being filled or an earlier one.
                Ok(State::Mine(flight, None, self.jobs))
            }
            Claim::Pending(flight) => Ok(State::Theirs(flight)),
            Claim::Mine(ticket) => {
                let ceilings = self.call().client().ceilings();
                if !self.load.takes(text, ceilings) {
                    self.submit()?;
                }
                let key = self.call().keeps().then(|| *ticket.key());
                let state = State::Mine(ticket.flight().clone(), key, self.jobs);
                self.load.add(text);
                self.open.push((ticket, text.clone()));
                Ok(state)
            }
        }
    }

    /// Sends the request that is being filled.
    fn submit(&mut self) -> Result<()> {
        self.load = Load::default();
        let tasks = std::mem::take(&mut self.open);
        tasks.iter().for_each(|(ticket, _)| ticket.flight().mark_queued());
        if tasks.is_empty() {
            return Ok(());
        }
        self.jobs += 1;
        if self.source.is_none() && !self.workers.has_begun() {
            // The only request of the statement needs no thread.
            self.workers.serve(tasks, &self.interrupt);
            return Ok(());
        }
        self.workers.send(tasks)
    }

    /// Waits for what another statement sends.
    fn wait_for_others(&mut self, flight: &Flight) -> Result<Waited> {
        let (since, was_there) = (self.others.since(flight), flight.outcome().is_some());
        let timeout = self.call().client().timeout();
        let mut waited = self.wait(flight, Some(since + timeout))?;
        // It may have been queued for a part of that, and has its own time since it left.
        if let (Waited::TooLong, Some(sent)) = (&waited, flight.sent_at().filter(|sent| *sent > since)) {
            waited = self.wait(flight, Some(sent + timeout))?;
        }
        self.others.note(flight, since, was_there, &waited);
        Ok(waited)
    }

    fn wait(&mut self, flight: &Flight, deadline: Option<Instant>) -> Result<Waited> {
        if let Some(outcome) = flight.outcome() {
            return Ok(Waited::Landed(outcome));
        }
        self.progress.waiting(self.in_flight());
        flight.wait(deadline, &self.interrupt)
    }
}

impl<K> Stream<K, std::iter::Empty<Result<(K, Text)>>> {
    /// One that is given all of its rows by [`Stream::push`]. It draws no bar: its caller does, who knows what they are of.
    pub fn fed(call: Call, isolate: bool, interrupt: Arc<dyn Interrupt>) -> Self {
        Stream::with(call, std::iter::empty(), isolate, Progress::none(), interrupt)
    }
}

impl<K, I> Stream<K, I> {
    /// How many requests are on their way.
    pub fn in_flight(&self) -> usize {
        self.workers.in_flight()
    }

    /// Writes to disk what came since the last time.
    fn flush(&mut self) {
        self.workers.call().keep(&self.fresh);
        self.fresh.clear();
    }
}

impl<K, I> Drop for Stream<K, I> {
    fn drop(&mut self) {
        self.flush();
    }
}
