//! Vectors on disk, for clients with `cache: disk`.
//!
//! The store is SQLite itself, reached through the engine that runs us: several processes may use it at once, a
//! kill at any moment leaves it whole, and nothing is added to the library. An engine without SQLite's C API has
//! no store. What cannot be read or written is a miss, and is told in `rembed_stats()`. A store that another process
//! holds is a miss too, and is asked again a little later; a store that fails is not used again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::packed::{pack, unpack};
use super::{Kept, Vector, private};
use crate::base::hash::Digest;
use crate::base::interrupt::{Interrupt, SLICE, Stop, interruptible, may_wait};
use crate::base::process::PerProcess;

/// What the names of a store's files begin with.
pub const PREFIX: &str = "vectors-";

/// How long a statement waits for other processes and threads that use the store.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// For so long a store that made a statement wait in vain is left alone, so that not every text of it waits.
const REST: Duration = Duration::from_secs(10);

/// Dropping vectors takes many steps, of which none may wait for longer than [`PATIENCE`].
const CLEARING: Duration = Duration::from_secs(600);

/// The bound, where `REMBED_CACHE_DISK_BYTES` does not say another, and the least that it may say.
const BOUND: u64 = 1 << 30;
const LEAST: u64 = 1 << 20;

/// What a store keeps.
#[derive(Debug)]
pub struct Entry {
    /// The key of the vector.
    pub key: Digest,
    /// Whose it is.
    pub client: u64,
    /// The vector, packed.
    pub bytes: Vec<u8>,
}

/// Why a store could not do something.
#[derive(Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Others used it for as long as a wait may last.
    Busy,
    /// The statement was interrupted while it waited.
    Interrupted,
    /// It does not work.
    Failed(String),
}

/// A place for vectors that outlives the process.
pub trait Store: Send {
    /// The bytes kept for `key`.
    ///
    /// # Errors
    /// A store that cannot be read.
    fn get(&mut self, key: &Digest) -> Result<Option<Vec<u8>>, Trouble>;

    /// Keeps `entries`, from the first on until others hold the store for too long. Returns how many it has kept.
    ///
    /// # Errors
    /// A store that cannot be written.
    fn put(&mut self, entries: &mut [Entry]) -> Result<usize, Trouble>;

    /// Drops everything, or what is of one client. Returns how many entries there were.
    ///
    /// # Errors
    /// A store that cannot be written.
    fn clear(&mut self, client: Option<u64>) -> Result<usize, Trouble>;
}

/// Opens the store of a folder, whose files may take so many bytes in all.
pub type OpenStore = fn(&Path, u64) -> Result<Box<dyn Store>, Trouble>;

/// The disk cache of the process, opened when it is first used.
#[derive(Default)]
pub struct Disk {
    state: Mutex<State>,
    /// Says that the store is not in use any more.
    free: Condvar,
    /// How many vectors were not kept, since others held the store.
    unkept: AtomicU64,
}

#[derive(Default)]
enum State {
    /// Not opened yet, or not in this time.
    #[default]
    New,
    /// A thread is using it.
    InUse,
    Open(Box<dyn Store>),
    /// Others held it: it is left alone until then.
    Resting(Instant, Option<Box<dyn Store>>),
    Broken(String),
}

/// The one disk cache.
pub static DISK: PerProcess<Disk> = PerProcess::new(|parent| {
    let state = Mutex::new(parent.map_or(State::New, State::of_child));
    Disk { state, ..Disk::default() }
});

impl State {
    /// The state in a child process. SQLite forbids to use or to close a connection that a fork copied. The child cannot
    /// open another one either: SQLite's list of locks was copied too, so the child would believe that it holds them.
    fn of_child(parent: &Disk) -> State {
        match parent.state.try_lock().as_deref() {
            Ok(State::New | State::Resting(_, None)) => State::New,
            _ => State::Broken(
                "this process was forked from one that had it open: use it only after the fork".into(),
            ),
        }
    }
}

/// The right to use the store: nobody else does while it lives.
struct Turn<'a> {
    disk: &'a Disk,
    state: State,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // After a panic too: the store is opened anew then.
        *self.disk.lock() = std::mem::take(&mut self.state);
        self.disk.free.notify_one();
    }
}

/// `REMBED_CACHE_DIR`, or the user's cache folder.
fn folder() -> Result<PathBuf, String> {
    let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    variable("REMBED_CACHE_DIR")
        .or_else(|| variable("XDG_CACHE_HOME").map(|p| p.join("rembed")))
        .or_else(|| variable("HOME").map(|p| p.join(".cache/rembed")))
        .ok_or_else(|| "set REMBED_CACHE_DIR to a folder".into())
}

/// `REMBED_CACHE_DISK_BYTES`, or what holds without.
fn bound() -> Result<u64, String> {
    let given = std::env::var("REMBED_CACHE_DISK_BYTES").ok().and_then(|bytes| bytes.trim().parse().ok());
    match given.unwrap_or(BOUND) {
        bytes if bytes < LEAST => {
            Err(format!("REMBED_CACHE_DISK_BYTES is {bytes}, and {LEAST} is the least"))
        }
        bytes => Ok(bytes),
    }
}

impl Disk {
    /// The vector kept for `key`.
    pub fn get(&self, key: &Digest, open: OpenStore, interrupt: &Arc<dyn Interrupt>) -> Option<Vector> {
        let bytes = self.with(open, PATIENCE, interrupt, |store| store.get(key)).ok()??;
        unpack(key, &bytes)
    }

    /// Keeps vectors.
    pub fn put(&self, entries: &[(Digest, Kept)], open: OpenStore, interrupt: &Arc<dyn Interrupt>) {
        if entries.is_empty() {
            return;
        }
        let mut packed: Vec<_> = entries
            .iter()
            .map(|(key, kept)| Entry { key: *key, client: kept.client, bytes: pack(key, &kept.vector) })
            .collect();
        let kept = match self.with(open, PATIENCE, interrupt, |store| store.put(&mut packed)) {
            Ok(kept) => kept,
            Err(Trouble::Busy | Trouble::Interrupted) => 0,
            Err(Trouble::Failed(_)) => return,
        };
        self.unkept.fetch_add((entries.len() - kept) as u64, Ordering::Relaxed);
    }

    /// Drops everything, or what is of one client. Returns how many entries there were.
    ///
    /// # Errors
    /// Whatever kept it from that.
    pub fn clear(
        &self,
        client: Option<u64>,
        open: OpenStore,
        interrupt: &Arc<dyn Interrupt>,
    ) -> Result<usize, Trouble> {
        // A store that does not exist is not made just to be emptied.
        if !folder().map_err(Trouble::Failed)?.is_dir() {
            return Ok(0);
        }
        self.with(open, CLEARING, interrupt, |store| store.clear(client))
    }

    /// Whether vectors can be kept.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, open: OpenStore, interrupt: &Arc<dyn Interrupt>) -> Result<(), Trouble> {
        self.with(open, PATIENCE, interrupt, |_| Ok(()))
    }

    /// What did not go as it should.
    pub fn warning(&self) -> Option<String> {
        let why = match (&*self.lock(), self.unkept.load(Ordering::Relaxed)) {
            (State::Broken(why), _) => format!("the disk cache is off: {why}"),
            (State::Resting(..), 0) => "the disk cache is left alone for a while: others hold it".into(),
            (_, 0) => return None,
            (_, 1) => "1 vector was not kept on disk: others held the cache".into(),
            (_, n) => format!("{n} vectors were not kept on disk: others held the cache"),
        };
        let folder = folder().map(|folder| format!(" (in {})", folder.display())).unwrap_or_default();
        Some(why + &folder)
    }

    /// Uses the store, for as long as `limit` if others have to be waited for.
    fn with<T>(
        &self,
        open: OpenStore,
        limit: Duration,
        interrupt: &Arc<dyn Interrupt>,
        work: impl FnOnce(&mut dyn Store) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let _waits = interruptible(interrupt, Instant::now() + limit);
        let mut turn = self.turn()?;
        let open_here = || {
            let _waits = interruptible(interrupt, Instant::now() + PATIENCE);
            let folder =
                folder().and_then(|folder| private::folder(&folder, |name| name.starts_with(PREFIX)));
            open(&folder.map_err(Trouble::Failed)?, bound().map_err(Trouble::Failed)?)
        };
        let mut store = None;
        let done = match std::mem::take(&mut turn.state) {
            State::Broken(why) => Err(Trouble::Failed(why)),
            // Whoever has more time than others asks anyway.
            State::Resting(until, kept) if limit == PATIENCE && Instant::now() < until => {
                turn.state = State::Resting(until, kept);
                return Err(Trouble::Busy);
            }
            State::Open(kept) | State::Resting(_, Some(kept)) => Ok(kept),
            State::New | State::InUse | State::Resting(_, None) => open_here(),
        };
        let done = done.and_then(|kept| work(store.insert(kept).as_mut()));
        let done = match done {
            Err(Trouble::Busy) if may_wait() == Err(Stop::Interrupted) => Err(Trouble::Interrupted),
            done => done,
        };
        turn.state = match (&done, store) {
            (Err(Trouble::Failed(why)), _) => State::Broken(why.clone()),
            (Err(Trouble::Busy), store) => State::Resting(Instant::now() + REST, store),
            (_, Some(store)) => State::Open(store),
            (_, None) => State::New,
        };
        done
    }

    /// Waits until nobody uses the store.
    fn turn(&self) -> Result<Turn<'_>, Trouble> {
        let mut state = self.lock();
        loop {
            match std::mem::replace(&mut *state, State::InUse) {
                State::InUse => {}
                free => return Ok(Turn { disk: self, state: free }),
            }
            match may_wait() {
                Ok(()) => {
                    state = self.free.wait_timeout(state, SLICE).unwrap_or_else(PoisonError::into_inner).0
                }
                Err(Stop::Interrupted) => return Err(Trouble::Interrupted),
                Err(Stop::Late) => return Err(Trouble::Busy),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::base::interrupt::Uninterrupted;

    /// Does what it is told to.
    struct Played(fn() -> Result<usize, Trouble>);

    impl Store for Played {
        fn get(&mut self, _: &Digest) -> Result<Option<Vec<u8>>, Trouble> {
            (self.0)().map(|_| None)
        }
        fn put(&mut self, _: &mut [Entry]) -> Result<usize, Trouble> {
            (self.0)()
        }
        fn clear(&mut self, _: Option<u64>) -> Result<usize, Trouble> {
            (self.0)()
        }
    }

    fn never() -> Arc<dyn Interrupt> {
        Arc::new(Uninterrupted)
    }

    fn disk(state: State) -> Disk {
        Disk { state: Mutex::new(state), ..Disk::default() }
    }

    fn put(disk: &Disk, open: OpenStore) {
        let kept = Kept { vector: vec![1.0].into(), client: 1 };
        disk.put(&[([1; 32], kept)], open, &never());
    }

    #[test]
    fn a_child_leaves_its_parents_store_alone() {
        let child = |state| State::of_child(&disk(state));
        assert!(matches!(child(State::New), State::New));
        for parent in
            [State::Broken("disk full".into()), State::InUse, State::Open(Box::new(Played(|| Ok(0))))]
        {
            assert!(matches!(child(parent), State::Broken(_)));
        }
        let disk = Disk::default();
        let held = disk.state.lock();
        assert!(matches!(State::of_child(&disk), State::Broken(_)));
        drop(held);
    }

    #[test]
    fn a_store_that_fails_is_told_once_and_not_used_again() {
        let disk = disk(State::Open(Box::new(Played(|| Err(Trouble::Failed("disk full".into()))))));
        let open: OpenStore = |_, _| panic!("opened again");
        assert_eq!(disk.warning(), None);
        put(&disk, open);
        assert!(disk.warning().unwrap().starts_with("the disk cache is off: disk full"));
        assert_eq!(disk.get(&[1; 32], open, &never()), None);
        assert_eq!(disk.check(open, &never()), Err(Trouble::Failed("disk full".into())));
    }

    #[test]
    fn a_store_that_others_hold_is_a_miss_and_used_again() {
        static HELD: AtomicBool = AtomicBool::new(true);
        let store = Played(|| if HELD.load(Ordering::Relaxed) { Err(Trouble::Busy) } else { Ok(1) });
        let disk = disk(State::Open(Box::new(store)));
        let open: OpenStore = |_, _| panic!("opened again");
        assert_eq!(disk.get(&[1; 32], open, &never()), None);
        assert!(disk.warning().unwrap().contains("others hold it"));
        HELD.store(false, Ordering::Relaxed);
        // Left alone for now, and so not kept.
        put(&disk, open);
        assert!(disk.warning().unwrap().starts_with("1 vector was not kept on disk"));
        if let State::Resting(until, _) = &mut *disk.lock() {
            *until = Instant::now();
        }
        put(&disk, open);
        assert!(matches!(&*disk.lock(), State::Open(_)));
        assert!(disk.warning().unwrap().starts_with("1 vector was not kept on disk"));
    }

    #[test]
    fn a_store_that_cannot_be_opened_yet_is_asked_again_later() {
        let disk = Disk::default();
        assert_eq!(disk.check(|_, _| Err(Trouble::Busy), &never()), Err(Trouble::Busy));
        assert_eq!(disk.check(|_, _| panic!("too early"), &never()), Err(Trouble::Busy));
        if let State::Resting(until, _) = &mut *disk.lock() {
            *until = Instant::now();
        }
        assert_eq!(disk.check(|_, _| Ok(Box::new(Played(|| Ok(0)))), &never()), Ok(()));
        assert_eq!(disk.warning(), None);
    }

    #[test]
    fn a_wait_for_another_thread_ends_with_an_interrupt() {
        struct Now;
        impl Interrupt for Now {
            fn is_interrupted(&self) -> bool {
                true
            }
        }
        let disk = disk(State::InUse);
        let now: Arc<dyn Interrupt> = Arc::new(Now);
        assert_eq!(disk.check(|_, _| panic!("not ours"), &now), Err(Trouble::Interrupted));
        assert!(matches!(&*disk.lock(), State::InUse));
    }

    #[test]
    fn a_panic_does_not_hold_the_store_for_ever() {
        let disk = disk(State::Open(Box::new(Played(|| panic!("rigged")))));
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| put(&disk, |_, _| panic!())));
        assert!(asked.is_err() && !matches!(&*disk.lock(), State::InUse));
    }
}
