//! The other statements that send texts of this one, as it has come to know them by waiting for them.

use std::collections::{HashMap, HashSet};
use std::thread::ThreadId;
use std::time::Instant;

use crate::embed::cache::flight::{Flight, Waited};

type Sender = (u64, ThreadId);

/// Whom one statement has waited for in vain.
#[derive(Debug, Default)]
pub struct Others {
    /// Who sends and gets no answer, and since when it was waited for.
    silent: HashMap<Sender, Instant>,
    /// Who fills a request and does not go on.
    stopped: HashSet<Sender>,
}

impl Others {
    /// Since when the sender of `flight` is waited for. After a wait in vain, its other texts get no wait of their own,
    /// unless they were sent later: a statement that hangs would hold this one up with each of them.
    pub fn since(&self, flight: &Flight) -> Instant {
        match self.silent.get(&flight.sender()) {
            Some(silent) => flight.sent_at().map_or(*silent, |sent| sent.max(*silent)),
            None => Instant::now(),
        }
    }

    /// Notes what a wait for `flight` since then came to; `was_there` is whether its outcome was there before the wait.
    pub fn note(&mut self, flight: &Flight, since: Instant, was_there: bool, waited: &Waited) {
        let sender = flight.sender();
        match waited {
            Waited::TooLong => drop(self.silent.insert(sender, since)),
            Waited::Landed(_) if !was_there => drop(self.silent.remove(&sender)),
            Waited::Landed(_) => {}
            Waited::NotSent => drop(self.stopped.insert(sender)),
        }
    }

    /// Whether the sender of `flight` was waited for in vain.
    pub fn is_silent(&self, flight: &Flight) -> bool {
        self.silent.contains_key(&flight.sender())
    }

    /// Whether the sender of `flight` has not gone on when it was waited for.
    pub fn has_stopped(&self, flight: &Flight) -> bool {
        self.stopped.contains(&flight.sender())
    }
}
