//! How long a sync holds the lock, and how long it stays away afterwards, so that others get to write.

use std::time::Duration;

/// How long a batch may hold the lock. It aims at less, for what it cannot foresee.
pub const HELD_MOST: Duration = Duration::from_millis(15);
const AIM: Duration = Duration::from_millis(11);
/// Where a commit alone takes longer than the aim, as on a slow disk, shorter batches would only be more commits.
const LEAST: Duration = Duration::from_millis(2);

/// The most attempts that the pause after a failure grows by.
const DOUBLINGS: u32 = 9;
/// The pause after the first failure, in seconds.
const FIRST_PAUSE: f64 = 10.0;

/// When a batch is to end: what a commit takes is known from those before.
#[derive(Debug, Clone)]
pub struct Pace {
    work: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { work: AIM / 3 }
    }
}

impl Pace {
    /// How long a batch may work before it commits. It does one row at least.
    pub fn work(&self) -> Duration {
        self.work
    }

    /// Learns of a batch that held the lock so long.
    pub fn held(&mut self, held: Duration) {
        let factor = AIM.as_secs_f64() / held.as_secs_f64().max(1e-6);
        self.work = self.work.mul_f64(factor.clamp(0.25, 1.25)).clamp(LEAST, AIM);
    }
}

/// How much the next step is to do, after one that did so `much`, `took` so long and had so much `time`.
pub fn fitting(much: i64, took: Duration, time: Duration) -> i64 {
    let factor = time.as_secs_f64() / took.as_secs_f64().max(1e-6);
    (much as f64 * factor.clamp(0.5, 2.0)) as i64
}

/// How long a batch that held the lock so long stays away from it. Whoever waits by SQLite's busy timeout asks again after 1, 3,
/// 8, 18 ms and so on: where batches of 10 to 15 ms come and go evenly, it finds the lock free by then. A little more, since
/// they do not come evenly.
pub fn away(held: Duration) -> Duration {
    held.mul_f64(1.2)
}

/// The seconds until a row that has failed so often is tried again.
pub fn pause(attempts: i64) -> f64 {
    let doublings = u32::try_from(attempts.max(1) - 1).unwrap_or(DOUBLINGS).min(DOUBLINGS);
    FIRST_PAUSE * f64::from(1_u32 << doublings)
}

/// How long to wait before a lock that others have is asked for again, for the time `tries`.
pub fn backoff(tries: u32) -> Duration {
    Duration::from_millis(1 << tries.min(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_what_leaves_time_for_the_commit() {
        let mut pace = Pace::default();
        // A commit that takes 6 ms, whatever it writes.
        for _ in 0..50 {
            let held = pace.work() + Duration::from_millis(6);
            pace.held(held);
        }
        let held = pace.work() + Duration::from_millis(6);
        assert!((Duration::from_millis(6)..HELD_MOST).contains(&held), "{held:?}");
    }

    #[test]
    fn a_slow_disk_leaves_short_batches() {
        let mut pace = Pace::default();
        for _ in 0..50 {
            pace.held(Duration::from_millis(80));
        }
        assert_eq!(pace.work(), LEAST);
        for _ in 0..50 {
            pace.held(pace.clone().work());
        }
        assert_eq!(pace.work(), AIM);
    }

    #[test]
    fn a_step_comes_to_fill_its_time() {
        let time = Duration::from_millis(8);
        // 2 ms, and 50 µs a page.
        let took = |pages: i64| Duration::from_micros(2000 + 50 * pages as u64);
        for first in [16, 4000] {
            let last = (0..20).fold(first, |pages, _| fitting(pages, took(pages), time));
            assert!((115..=120).contains(&last), "{last}");
        }
        assert_eq!(fitting(16, Duration::ZERO, time), 32);
        assert_eq!(fitting(16, Duration::from_secs(9), time), 8);
    }

    #[test]
    fn who_waits_for_the_lock_finds_it_free_at_the_fourth_time() {
        // A fifth of a millisecond is a step.
        for held in 10 * 5..=15 * 5 {
            let round = held + away(Duration::from_micros(held * 200)).as_micros() as u64 / 200;
            for begin in 0..held {
                let is_free = |after: &u64| (begin + after * 5) % round >= held;
                assert!([1, 3, 8, 18].iter().any(is_free), "{held} {begin}");
            }
        }
    }

    #[test]
    fn pauses_grow_from_ten_seconds_to_an_hour_and_a_half() {
        assert_eq!(
            [0, 1, 2, 3, 10, 1000, i64::MAX].map(pause),
            [10.0, 10.0, 20.0, 40.0, 5120.0, 5120.0, 5120.0]
        );
    }

    #[test]
    fn a_lock_is_asked_for_soon_and_then_less_often() {
        assert_eq!([0, 3, 5, 99].map(|n| backoff(n).as_millis()), [1, 8, 32, 32]);
    }
}
