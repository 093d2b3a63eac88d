//! The threads that compute: one a core for the whole process, started when there is work and gone when there is none.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rten::ThreadPool;

use crate::base::process::PerProcess;

/// What one worker runs models on: itself alone. Batches side by side use two cores better than one batch on both.
pub type Pool = Arc<ThreadPool>;

/// A piece of work. It must not panic.
pub type Job = Box<dyn FnOnce(&Pool) + Send>;

/// How long a worker waits for more before it ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// A child process has neither the threads nor the work of its parent.
static WORKERS: PerProcess<Workers> = PerProcess::new(|_| Workers::default());

#[derive(Default)]
struct Workers {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

impl Workers {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts `job` behind what waits already.
///
/// # Errors
/// The system gives no thread.
pub fn submit(job: Job) -> Result<(), String> {
    let mut workers = WORKERS.lock();
    workers.jobs.push_back(job);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if workers.idle < workers.jobs.len() && workers.threads < cores {
        match std::thread::Builder::new().name("rembed-local".into()).spawn(work) {
            Ok(_) => workers.threads += 1,
            Err(e) if workers.threads == 0 => {
                workers.jobs.clear();
                return Err(format!("cannot start a thread: {e}"));
            }
            Err(_) => {}
        }
    }
    drop(workers);
    WORKERS.wake.notify_one();
    Ok(())
}

fn work() {
    let pool = Arc::new(ThreadPool::with_num_threads(1));
    loop {
        let mut workers = WORKERS.lock();
        let job = loop {
            if let Some(job) = workers.jobs.pop_front() {
                break job;
            }
            workers.idle += 1;
            let (back, waited) =
                WORKERS.wake.wait_timeout(workers, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            workers = back;
            workers.idle -= 1;
            if waited.timed_out() && workers.jobs.is_empty() {
                workers.threads -= 1;
                return;
            }
        };
        drop(workers);
        job(&pool);
    }
}
