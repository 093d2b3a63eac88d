//! When the next request of a client may leave: its limits per minute, and pauses that a reply asked for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::base::hash::Digest;

/// How far requests may run ahead of an even spacing: by as many as are allowed in this time.
const BURST: Duration = Duration::from_secs(1);

/// The limits of a client.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Requests a minute.
    pub requests: Option<u32>,
    /// Estimated tokens a minute.
    pub tokens: Option<u32>,
}

impl Limits {
    /// Whether requests may leave at any time.
    pub fn are_none(&self) -> bool {
        self.requests.is_none() && self.tokens.is_none()
    }
}

/// The clock of a client, shared by the process.
#[derive(Debug, Default)]
pub struct Pace {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the requests sent so far would have left at an even spacing, by count and by tokens (a virtual schedule, as
    /// in GCRA).
    requests: Option<Instant>,
    tokens: Option<Instant>,
    paused: Option<Instant>,
}

static ALL: Shared<Pace> = Shared::new();

impl Pace {
    /// The one of all clients of this identity.
    pub fn of(identity: Digest) -> Arc<Pace> {
        ALL.of(identity)
    }

    /// Books a request of `tokens` tokens.
    pub fn book(&self, limits: Limits, tokens: usize) -> Turn<'_> {
        self.book_at(Instant::now(), limits, tokens)
    }

    fn book_at(&self, now: Instant, limits: Limits, tokens: usize) -> Turn<'_> {
        let mut turn = Turn { pace: self, limits, tokens, wait: Duration::ZERO, is_used: false };
        if limits.are_none() {
            return turn;
        }
        let mut state = self.lock();
        let requests = book(&mut state.requests, now, limits.requests, 1);
        let tokens = book(&mut state.tokens, now, limits.tokens, tokens);
        turn.wait = requests.max(tokens);
        turn
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds requests back for `wait`.
    pub fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut state = self.lock();
        state.paused = state.paused.max(Some(until));
    }

    /// How long a pause goes on.
    pub fn paused(&self) -> Duration {
        let state = self.lock();
        state.paused.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }
}

/// A booked place in the order of requests. One that was not used comes back: whoever books next goes earlier.
#[derive(Debug)]
pub struct Turn<'a> {
    pace: &'a Pace,
    limits: Limits,
    tokens: usize,
    wait: Duration,
    is_used: bool,
}

impl Turn<'_> {
    /// How long to wait before the request leaves.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// The request leaves.
    pub fn take(mut self) {
        self.is_used = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.is_used || self.limits.are_none() {
            return;
        }
        let mut state = self.pace.lock();
        give_back(&mut state.requests, self.limits.requests, 1);
        give_back(&mut state.tokens, self.limits.tokens, self.tokens);
    }
}

fn cost_of(per_minute: u32, cost: usize) -> Duration {
    Duration::from_secs(60).div_f64(f64::from(per_minute)).mul_f64(cost as f64)
}

fn give_back(paid: &mut Option<Instant>, per_minute: Option<u32>, cost: usize) {
    if let (Some(until), Some(per_minute)) = (*paid, per_minute) {
        *paid = until.checked_sub(cost_of(per_minute, cost));
    }
}

fn book(paid: &mut Option<Instant>, now: Instant, per_minute: Option<u32>, cost: usize) -> Duration {
    let Some(per_minute) = per_minute else { return Duration::ZERO };
    let each = Duration::from_secs(60).div_f64(f64::from(per_minute));
    let start = paid.unwrap_or(now).max(now);
    *paid = Some(start + cost_of(per_minute, cost));
    // One unit is always within the burst, however slow the pace.
    let ahead = start - now;
    ahead.saturating_sub(BURST.saturating_sub(each))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(limits: Limits, tokens: usize, n: usize) -> Vec<u128> {
        let (pace, now) = (Pace::default(), Instant::now());
        let booked: Vec<_> = (0..n).map(|_| pace.book_at(now, limits, tokens)).collect();
        booked.into_iter().map(|turn| (turn.wait().as_millis(), turn.take()).0).collect()
    }

    #[test]
    fn a_slow_pace_is_even() {
        let limits = Limits { requests: Some(30), tokens: None };
        assert_eq!(waits(limits, 1, 3), [0, 2000, 4000]);
    }

    #[test]
    fn a_fast_pace_allows_a_second_ahead() {
        let limits = Limits { requests: Some(600), tokens: None };
        let waits = waits(limits, 1, 12);
        assert_eq!(waits[..10], [0; 10]);
        assert_eq!(waits[10..], [100, 200]);
    }

    #[test]
    fn a_turn_that_is_not_used_comes_back() {
        let limits = Limits { requests: Some(30), tokens: Some(6000) };
        let (pace, now) = (Pace::default(), Instant::now());
        let book = || pace.book_at(now, limits, 100);
        book().take();
        let (second, third) = (book(), book());
        assert_eq!((second.wait().as_millis(), third.wait().as_millis()), (2000, 4000));
        drop((second, third));
        assert_eq!(book().wait().as_millis(), 2000);
    }

    #[test]
    fn tokens_count_too() {
        let limits = Limits { requests: None, tokens: Some(6000) };
        assert_eq!(waits(limits, 200, 3), [0, 1010, 3010]);
        assert_eq!(waits(Limits::default(), 1_000_000, 2), [0, 0]);
    }

    #[test]
    fn the_same_identity_shares_and_forgets() {
        let one = Pace::of([1; 32]);
        one.pause(Duration::from_secs(5));
        assert!(Pace::of([1; 32]).paused() > Duration::ZERO && Pace::of([2; 32]).paused().is_zero());
        drop(one);
        assert!(Pace::of([1; 32]).paused().is_zero());
    }

    #[test]
    fn a_pause_holds_all_back_until_it_ends() {
        let pace = Pace::default();
        assert_eq!(pace.paused(), Duration::ZERO);
        pace.pause(Duration::from_secs(5));
        pace.pause(Duration::from_secs(1));
        assert!(pace.paused() > Duration::from_secs(4));
    }
}
