//! The threads that send the requests of one statement: one for each that may be in flight.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::base::error::{Error, Result};
use crate::base::interrupt::Interrupt;
use crate::embed::call::{Call, Task};

/// The threads of a statement. None begins before it is needed, and none outlives the value.
pub struct Workers {
    shared: Arc<Shared>,
    concurrency: usize,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    call: Call,
    isolate: bool,
    cancelled: Arc<Cancelled>,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Vec<Task>>,
    idle: usize,
    closed: bool,
}

/// Relaxed, for the flag alone is read: it publishes no other data, and who sees it late sends a moment longer.
struct Cancelled(AtomicBool);

impl Interrupt for Cancelled {
    fn is_interrupted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Workers {
    /// Workers for `call`. With `isolate`, one bad text fails alone, and otherwise those that travel with it too.
    pub fn new(call: Call, isolate: bool) -> Workers {
        let concurrency = call.client().concurrency();
        let cancelled = Arc::new(Cancelled(AtomicBool::new(false)));
        let (queue, wake) = (Mutex::default(), Condvar::new());
        let shared = Shared { call, isolate, cancelled, queue, wake };
        Workers { shared: Arc::new(shared), concurrency, threads: Vec::new() }
    }

    /// The call.
    pub fn call(&self) -> &Call {
        &self.shared.call
    }

    /// The same, to be changed before the first request.
    pub fn call_mut(&mut self) -> Option<&mut Call> {
        Arc::get_mut(&mut self.shared).map(|shared| &mut shared.call)
    }

    /// Whether any thread has begun.
    pub fn has_begun(&self) -> bool {
        !self.threads.is_empty()
    }

    /// How many requests are on their way.
    pub fn in_flight(&self) -> usize {
        let idle = self.shared.lock().idle;
        self.threads.len() - idle.min(self.threads.len())
    }

    /// Answers `tasks` on this thread.
    pub fn serve(&self, tasks: Vec<Task>, interrupt: &Arc<dyn Interrupt>) {
        self.shared.call.serve(tasks, self.shared.isolate, interrupt);
    }

    /// Has `tasks` answered by a thread.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn send(&mut self, tasks: Vec<Task>) -> Result<()> {
        let mut queue = self.shared.lock();
        queue.jobs.push_back(tasks);
        let waiting = queue.jobs.len();
        // A thread that was woken counts as idle until it takes its job. So each waiting job has an idle thread to
        // itself exactly if idle >= waiting, and only then is no thread needed.
        let spawn = queue.idle < waiting && self.threads.len() < self.concurrency;
        drop(queue);
        if spawn {
            let shared = self.shared.clone();
            let thread = std::thread::Builder::new().name("rembed".into());
            let worker = thread
                .spawn(move || shared.work())
                .map_err(|e| Error::invalid(format!("rembed: cannot start a thread: {e}")))?;
            self.threads.push(worker);
        }
        self.shared.wake.notify_one();
        Ok(())
    }
}

impl Drop for Workers {
    /// Ends requests that nobody waits for any more.
    fn drop(&mut self) {
        self.shared.cancelled.0.store(true, Ordering::Relaxed);
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.jobs.clear();
        drop(queue);
        self.shared.wake.notify_all();
        for worker in self.threads.drain(..) {
            // If the worker panicked, its tickets failed, and the statement has that error already.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn work(&self) {
        let interrupt: Arc<dyn Interrupt> = self.cancelled.clone();
        loop {
            let mut queue = self.lock();
            let tasks = loop {
                if let Some(tasks) = queue.jobs.pop_front() {
                    break tasks;
                }
                if queue.closed {
                    return;
                }
                queue.idle += 1;
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            };
            drop(queue);
            // A panic drops the tasks of this job, which fails them. The thread goes on: other jobs may wait for it.
            let _ = catch_unwind(AssertUnwindSafe(|| self.call.serve(tasks, self.isolate, &interrupt)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
