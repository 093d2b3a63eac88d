//! Waits that end early: when the statement is interrupted, and when the time of its request is up.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a wait asks whether it is interrupted.
pub const SLICE: Duration = Duration::from_millis(50);

/// Tells whether the statement that waits for a request is to end.
pub trait Interrupt: Send + Sync {
    /// Asked from the waiting thread, about every 50 ms.
    fn is_interrupted(&self) -> bool;
}

/// For engines that cannot tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uninterrupted;

impl Interrupt for Uninterrupted {
    fn is_interrupted(&self) -> bool {
        false
    }
}

/// Why a wait is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The statement was interrupted.
    #[error("interrupted")]
    Interrupted,
    /// The deadline has passed.
    #[error("it did not come in time")]
    Late,
}

/// The request of a thread: who may end its waits, and when they end by themselves.
#[derive(Clone)]
struct Current {
    interrupt: Arc<dyn Interrupt>,
    deadline: Instant,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// While the guard lives, waits of this thread end when `interrupt` says so, and at `deadline`.
pub fn interruptible(interrupt: &Arc<dyn Interrupt>, deadline: Instant) -> impl Drop {
    struct Restore(Option<Current>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    Restore(CURRENT.replace(Some(Current { interrupt: interrupt.clone(), deadline })))
}

/// Whether a wait of this thread may go on.
///
/// # Errors
/// Why not.
pub fn may_wait() -> Result<(), Stop> {
    CURRENT.with_borrow(|current| match current {
        Some(current) if current.interrupt.is_interrupted() => Err(Stop::Interrupted),
        Some(current) if Instant::now() >= current.deadline => Err(Stop::Late),
        _ => Ok(()),
    })
}
