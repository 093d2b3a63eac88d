//! The models of the process: each is loaded once and shared by all connections.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::folder::{Folder, Stamp};
use super::{Trouble, wait};
use crate::base::guard::guard;
use crate::base::interrupt::Interrupt;
use crate::base::process::PerProcess;

/// Models that stay in memory while no statement uses them: connections come and go.
const KEPT: usize = 2;

static LOADED: PerProcess<Loaded> = PerProcess::new(|parent| {
    // A child computes with what its parent has loaded.
    let models = parent.and_then(|parent| parent.models.try_lock().ok().map(|models| models.clone()));
    Loaded { models: Mutex::new(models.unwrap_or_default()), one_at_a_time: Mutex::default() }
});

struct Loaded {
    /// The one that was used last is the last.
    models: Mutex<Vec<(Stamp, Arc<Engine>)>>,
    one_at_a_time: Mutex<()>,
}

/// The process that started rten's own threads, which it does with the first model.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// The model of `folder`: the one that the process has, if its files are still the same.
///
/// # Errors
/// Files that hold no model, an interrupt, too much time.
pub fn get(
    folder: &Arc<Folder>,
    timeout: Duration,
    interrupt: &Arc<dyn Interrupt>,
) -> Result<Arc<Engine>, Trouble> {
    let stamp = folder.stamp()?;
    if let Some(engine) = find(&stamp) {
        return Ok(engine);
    }
    let here = std::process::id();
    if OWNER.compare_exchange(0, here, Ordering::Relaxed, Ordering::Relaxed).is_err_and(|first| first != here)
    {
        return Err(Trouble::Failed(
            "this process is the fork of one that uses a local model, and can load no other: fork before the first use, \
             or start a process anew"
                .into(),
        ));
    }
    let (send, receive) = channel();
    let folder = folder.clone();
    let load = move || {
        let _loading = LOADED.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = match find(&stamp) {
            Some(engine) => Ok(engine),
            None => guard(|| Engine::load(&folder))
                .unwrap_or_else(|_| Err(folder.broken("reading it fails")))
                .map(Arc::new),
        };
        if let Ok(engine) = &engine {
            let mut models = LOADED.models.lock().unwrap_or_else(PoisonError::into_inner);
            models.retain(|(known, _)| *known != stamp);
            if models.len() == KEPT {
                models.remove(0);
            }
            models.push((stamp, engine.clone()));
        }
        // The statement that asked may have ended.
        let _ = send.send(engine);
    };
    let thread = std::thread::Builder::new().name("rembed-load".into());
    thread.spawn(load).map_err(|e| Trouble::Failed(format!("cannot start a thread: {e}")))?;
    let start = Instant::now();
    wait(&receive, interrupt, timeout, || Some(start.elapsed()))?.map_err(Trouble::Failed)
}

fn find(stamp: &Stamp) -> Option<Arc<Engine>> {
    let mut models = LOADED.models.lock().unwrap_or_else(PoisonError::into_inner);
    let place = models.iter().position(|(known, _)| known == stamp)?;
    models[place..].rotate_left(1);
    models.last().map(|(_, engine)| engine.clone())
}
