//! One text on its way to a provider, and those who wait for it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::Instant;

use super::Vector;
use crate::base::error::{Error, Result};
use crate::base::interrupt::{Interrupt, SLICE};
use crate::client::effort::Effort;

/// What a wait for a [`Flight`] came to.
#[derive(Debug)]
pub enum Waited {
    /// The outcome is there.
    Landed(Result<Vector>),
    /// The text is neither sent nor queued, and is not soon.
    NotSent,
    /// The deadline has passed.
    TooLong,
}

/// The answer to one text, as soon as it is there.
#[derive(Debug)]
pub struct Flight {
    owner: u64,
    thread: ThreadId,
    /// Whether it will be sent, whatever its statement does. Relaxed: who sees that late waits for a slice more, or sends
    /// the text a second time.
    queued: AtomicBool,
    /// When it was sent, and by whom.
    sent: OnceLock<Sent>,
    outcome: Mutex<Option<Result<Vector>>>,
    landed: Condvar,
    /// Those who wait: without any, no call of the system wakes them. Relaxed: it is read and written while `outcome` is
    /// locked.
    waiting: AtomicUsize,
    /// Whether its error comes from no other text that travels with it. Relaxed, as is that below.
    error_is_own: AtomicBool,
    /// Whether its vector may be kept. Relaxed: it is set before the outcome, whose lock publishes it.
    may_be_kept: AtomicBool,
}

#[derive(Debug)]
struct Sent {
    at: Instant,
    by: Effort,
}

impl Flight {
    pub(super) fn new(owner: u64) -> Flight {
        Flight {
            owner,
            thread: std::thread::current().id(),
            queued: AtomicBool::new(false),
            sent: OnceLock::new(),
            outcome: Mutex::new(None),
            landed: Condvar::new(),
            waiting: AtomicUsize::new(0),
            error_is_own: AtomicBool::new(false),
            may_be_kept: AtomicBool::new(true),
        }
    }

    /// The text waits for its request to leave, and will be sent, whatever its statement does now.
    pub fn mark_queued(&self) {
        self.queued.store(true, Ordering::Relaxed);
    }

    /// Whether the text will be sent, or is. If not, nobody knows when its statement goes on: an engine may read no more of
    /// its rows.
    pub fn is_queued(&self) -> bool {
        self.queued.load(Ordering::Relaxed)
    }

    /// The text is on its way.
    pub fn mark_sent(&self, by: Effort) {
        self.mark_queued();
        // Once sent, it stays sent since then.
        let _ = self.sent.set(Sent { at: Instant::now(), by });
    }

    /// Whether the text is on its way.
    pub fn is_sent(&self) -> bool {
        self.sent.get().is_some()
    }

    /// Since when the text is on its way.
    pub fn sent_at(&self) -> Option<Instant> {
        self.sent.get().map(|sent| sent.at)
    }

    /// Whether the vector is what a client of this effort would get. One that may not be kept came by other keys than those
    /// that the text was asked for with: it is for who reads its keys where the sender does.
    pub fn brings_vector_for(&self, effort: &Effort) -> bool {
        self.may_be_kept() || self.sent.get().is_some_and(|sent| sent.by == *effort)
    }

    /// Whether an error is what a client of this effort would hear that has asked since then.
    pub fn brings_error_for(&self, effort: &Effort, since: Instant) -> bool {
        self.error_is_own.load(Ordering::Relaxed)
            && self.sent.get().is_some_and(|sent| sent.at >= since && sent.by == *effort)
    }

    /// The error that it lands with comes from no other text that travels with it.
    pub fn mark_error_own(&self) {
        self.error_is_own.store(true, Ordering::Relaxed);
    }

    /// The statement that sends the text.
    pub fn owner(&self) -> u64 {
        self.owner
    }

    /// The same, with the thread: statements of one text each have a number in common.
    pub fn sender(&self) -> (u64, ThreadId) {
        (self.owner, self.thread)
    }

    /// The outcome, if it is there.
    pub fn outcome(&self) -> Option<Result<Vector>> {
        self.lock().clone()
    }

    /// Whether its vector may be kept, once it has landed.
    pub fn may_be_kept(&self) -> bool {
        self.may_be_kept.load(Ordering::Relaxed)
    }

    pub(super) fn keep_nowhere(&self) {
        self.may_be_kept.store(false, Ordering::Relaxed);
    }

    /// Lets those who wait look whether they are called.
    pub fn wake(&self) {
        let _outcome = self.lock();
        self.landed.notify_all();
    }

    /// Waits for the outcome, unless the text is neither sent nor queued, and is not within a moment.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where the wait ended before.
    pub fn wait(&self, deadline: Option<Instant>, interrupt: &Arc<dyn Interrupt>) -> Result<Waited> {
        Ok(self.wait_or(deadline, interrupt, || false)?.unwrap_or(Waited::NotSent))
    }

    /// The same; `None` if `is_called` says so, which is asked again after each [`Flight::wake`].
    ///
    /// # Errors
    /// As there.
    pub fn wait_or(
        &self,
        deadline: Option<Instant>,
        interrupt: &Arc<dyn Interrupt>,
        is_called: impl Fn() -> bool,
    ) -> Result<Option<Waited>> {
        // A statement of this thread cannot send while it waits here.
        let mut patience = self.thread != std::thread::current().id();
        let mut outcome = self.lock();
        loop {
            if let Some(outcome) = &*outcome {
                return Ok(Some(Waited::Landed(outcome.clone())));
            }
            if is_called() {
                return Ok(None);
            }
            if !self.is_queued() && !std::mem::take(&mut patience) {
                return Ok(Some(Waited::NotSent));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(Some(Waited::TooLong));
            }
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let waited = self.landed.wait_timeout(outcome, SLICE);
            outcome = waited.unwrap_or_else(PoisonError::into_inner).0;
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            if outcome.is_none() && interrupt.is_interrupted() {
                return Err(Error::Interrupted);
            }
        }
    }

    pub(super) fn land(&self, outcome: Result<Vector>) {
        let mut landed = self.lock();
        *landed = Some(outcome);
        let waiting = self.waiting.load(Ordering::Relaxed);
        drop(landed);
        if waiting > 0 {
            self.landed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Result<Vector>>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
