//! When to stop asking: a server that fails or refuses everything must not be paid for text by text.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::error::Error;

/// After so many refusals without a success, a few texts are tried alone, and after so many of these with the same
/// answer the rest gets it too. Before that, good texts may stand between bad ones. Among the parts of one request that
/// is likelier than among all requests of a statement.
const REFUSALS_OF_A_REQUEST: usize = 64;
const REFUSALS_OF_A_CALL: usize = 24;
const REFUSALS_ALONE: usize = 4;
/// After so many failures in a row with the same answer, the rest gets it too.
const FAILURES: usize = 4;

/// What the requests of a call, or the parts of one request, came to so far.
#[derive(Debug)]
pub struct Tally {
    refusals: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    served: bool,
    /// A text alone was refused after several attempts, with no success since.
    tired: bool,
    refusals: usize,
    /// The last answer, and how often in a row it came: to single texts, and to requests that failed for good.
    alone: (Option<Error>, usize),
    failures: (Option<Error>, usize),
    given_up: Option<Error>,
}

impl Tally {
    /// Of all requests of a call.
    pub fn of_call() -> Tally {
        Tally { refusals: REFUSALS_OF_A_CALL, state: Mutex::default() }
    }

    /// Of the parts of one request.
    pub fn of_request() -> Tally {
        Tally { refusals: REFUSALS_OF_A_REQUEST, state: Mutex::default() }
    }

    /// Of the parts of a request whose texts are of many calls: each is owed its own answer, however many are refused.
    pub fn of_company() -> Tally {
        Tally { refusals: usize::MAX, state: Mutex::default() }
    }

    /// A request was answered.
    pub fn succeeded(&self) {
        let mut state = self.lock();
        state.served = true;
        state.tired = false;
        state.failures = (None, 0);
    }

    /// A request was refused for what it holds, or for its size.
    pub fn refused(&self, is_alone: bool, error: &Error) {
        let mut state = self.lock();
        state.refusals += 1;
        if is_alone {
            state.tired |= matches!(error, Error::Request(e) if e.attempts > 1);
            let same = count(&mut state.alone, error);
            if !state.served && state.refusals >= self.refusals && same >= REFUSALS_ALONE {
                state.given_up = Some(error.clone());
            }
        }
    }

    /// A request failed for good.
    pub fn failed(&self, error: &Error) {
        let mut state = self.lock();
        if count(&mut state.failures, error) >= FAILURES && *error != Error::Interrupted {
            state.given_up = Some(error.clone());
        }
    }

    /// There is no connection to the server.
    pub fn unreachable(&self, error: &Error) {
        self.lock().given_up = Some(error.clone());
    }

    /// The answer that every other text gets, if there is one.
    pub fn given_up(&self) -> Option<Error> {
        self.lock().given_up.clone()
    }

    /// How often a lone text that is refused is tried again: as often as `most`, or once after a text whose every attempt
    /// was refused.
    pub fn retries(&self, most: u32) -> u32 {
        match self.lock().tired {
            true => most.min(1),
            false => most,
        }
    }

    /// Whether single texts are to be tried next: all larger parts were refused.
    pub fn wants_single_texts(&self) -> bool {
        let state = self.lock();
        !state.served && state.refusals >= self.refusals
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(last: &mut (Option<Error>, usize), error: &Error) -> usize {
    *last = match last.0.as_ref().is_some_and(|last| is_same(last, error)) {
        true => (last.0.take(), last.1 + 1),
        false => (Some(error.clone()), 1),
    };
    last.1
}

/// Whether two errors say the same, whatever the number of attempts.
fn is_same(a: &Error, b: &Error) -> bool {
    match (a, b) {
        (Error::Request(a), Error::Request(b)) => (a.status, &a.message) == (b.status, &b.message),
        (a, b) => a == b,
    }
}
