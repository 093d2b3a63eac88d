//! Vectors on disk, for clients with `cache: disk`.
//!
//! The store is SQLite itself, reached through the engine that runs us: several processes may use it at once, a
//! kill at any moment leaves it whole, and nothing is added to the library. An engine without SQLite's C API has
//! no store. What cannot be read or written is a miss, and is told once, in `rembed_stats()`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Vector, private};
use crate::base::hash::Digest;
use crate::base::process::PerProcess;

/// At most this much is kept on disk; the oldest go first.
pub const BOUND: u64 = 1 << 30;

/// What the names of a store's files begin with.
pub const PREFIX: &str = "vectors-";

/// A place for vectors that outlives the process.
pub trait Store: Send {
    /// The bytes kept for `key`.
    ///
    /// # Errors
    /// A store that cannot be read.
    fn get(&mut self, key: &Digest) -> Result<Option<Vec<u8>>, String>;

    /// Keeps all of `entries`, or none.
    ///
    /// # Errors
    /// A store that cannot be written.
    fn put(&mut self, entries: &[(Digest, Vec<u8>)]) -> Result<(), String>;

    /// Drops everything. Returns how many entries there were.
    ///
    /// # Errors
    /// A store that cannot be written.
    fn clear(&mut self) -> Result<usize, String>;
}

/// Opens the store of a folder; `None` while another process is making it.
pub type OpenStore = fn(&Path) -> Result<Option<Box<dyn Store>>, String>;

/// The disk cache of the process, opened when it is first used.
#[derive(Default)]
pub struct Disk {
    state: Mutex<State>,
}

#[derive(Default)]
enum State {
    #[default]
    New,
    /// Another process was making the store: it is tried again at this time.
    Later(Instant),
    Open(Box<dyn Store>),
    Broken(String),
}

/// The one disk cache.
pub static DISK: PerProcess<Disk> =
    PerProcess::new(|parent| Disk { state: Mutex::new(parent.map_or(State::New, State::of_child)) });

impl State {
    /// The state in a child process. SQLite forbids to use or to close a connection that a fork copied. The child cannot
    /// open another one either: SQLite's list of locks was copied too, so the child would believe that it holds them.
    fn of_child(parent: &Disk) -> State {
        match parent.state.try_lock().as_deref() {
            Ok(State::New | State::Later(_)) => State::New,
            _ => State::Broken(
                "this process was forked from one that had it open: use it only after the fork".into(),
            ),
        }
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

impl Disk {
    /// The vector kept for `key`.
    pub fn get(&self, key: &Digest, open: OpenStore) -> Option<Vector> {
        let bytes = self.with(open, |store| store.get(key))??;
        unpack(key, &bytes)
    }

    /// Keeps vectors.
    pub fn put(&self, entries: &[(Digest, Vector)], open: OpenStore) {
        if !entries.is_empty() {
            let packed: Vec<_> = entries.iter().map(|(key, vector)| (*key, pack(key, vector))).collect();
            self.with(open, |store| store.put(&packed));
        }
    }

    /// Drops everything. Returns how many entries there were.
    pub fn clear(&self, open: OpenStore) -> usize {
        // A store that does not exist is not made just to be emptied.
        match folder().is_ok_and(|folder| folder.is_dir()) {
            true => self.with(open, |store| store.clear()).unwrap_or(0),
            false => 0,
        }
    }

    /// Why the store is not used, if it failed.
    pub fn warning(&self) -> Option<String> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Broken(why) => {
                let folder = folder().map(|folder| format!(" (in {})", folder.display())).unwrap_or_default();
                Some(format!("the disk cache is off: {why}{folder}"))
            }
            _ => None,
        }
    }

    fn with<T>(&self, open: OpenStore, work: impl FnOnce(&mut dyn Store) -> Result<T, String>) -> Option<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if matches!(*state, State::New) || matches!(*state, State::Later(when) if when <= now) {
            let store = folder().and_then(|folder| {
                let folder = private::folder(&folder, |name| name.starts_with(PREFIX))?;
                open(&folder)
            });
            *state = match store {
                Ok(Some(store)) => State::Open(store),
                Ok(None) => State::Later(now + Duration::from_secs(30)),
                Err(why) => State::Broken(why),
            };
        }
        let State::Open(store) = &mut *state else { return None };
        match work(store.as_mut()) {
            Ok(done) => Some(done),
            Err(why) => {
                *state = State::Broken(why);
                None
            }
        }
    }
}

/// A vector as it is kept: 8 bytes of a hash over key and numbers, then the numbers.
fn pack(key: &Digest, vector: &Vector) -> Vec<u8> {
    let numbers = crate::base::vector::to_bytes(vector);
    [&checksum(key, &numbers)[..], &numbers].concat()
}

/// The vector, unless the bytes are not what was kept.
fn unpack(key: &Digest, bytes: &[u8]) -> Option<Vector> {
    let (sum, numbers) = bytes.split_at_checked(8)?;
    if numbers.is_empty() || numbers.len() % 4 != 0 || sum != checksum(key, numbers) {
        return None;
    }
    Some(numbers.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

fn checksum(key: &Digest, numbers: &[u8]) -> [u8; 8] {
    let hash = blake3::Hasher::new().update(key).update(numbers).finalize();
    let mut sum = [0; 8];
    sum.copy_from_slice(&hash.as_bytes()[..8]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_a_miss() {
        let (key, vector): (Digest, Vector) = ([1; 32], vec![0.5, -1.0].into());
        let bytes = pack(&key, &vector);
        assert_eq!(unpack(&key, &bytes), Some(vector));
        for i in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[i] ^= 1;
            assert_eq!(unpack(&key, &damaged), None, "byte {i}");
        }
        assert_eq!(unpack(&[2; 32], &bytes), None);
        assert_eq!(unpack(&key, &bytes[..bytes.len() - 4]), None);
        assert_eq!(unpack(&key, &[]), None);
    }

    #[test]
    fn a_child_leaves_its_parents_store_alone() {
        let child = |state| State::of_child(&Disk { state: Mutex::new(state) });
        assert!(matches!(child(State::New), State::New));
        assert!(matches!(child(State::Broken("disk full".into())), State::Broken(_)));
        let disk = Disk::default();
        let held = disk.state.lock();
        assert!(matches!(State::of_child(&disk), State::Broken(_)));
        drop(held);
    }

    #[test]
    fn a_store_that_fails_is_told_once_and_not_used_again() {
        struct Full;
        impl Store for Full {
            fn get(&mut self, _: &Digest) -> Result<Option<Vec<u8>>, String> {
                Ok(None)
            }
            fn put(&mut self, _: &[(Digest, Vec<u8>)]) -> Result<(), String> {
                Err("disk full".into())
            }
            fn clear(&mut self) -> Result<usize, String> {
                Ok(0)
            }
        }
        let disk = Disk { state: Mutex::new(State::Open(Box::new(Full))) };
        let open: OpenStore = |_| Err("opened again".into());
        assert_eq!(disk.get(&[1; 32], open), None);
        assert_eq!(disk.warning(), None);
        disk.put(&[([1; 32], vec![1.0].into())], open);
        assert!(disk.warning().unwrap().starts_with("the disk cache is off: disk full"));
        assert_eq!(disk.get(&[1; 32], open), None);
    }
}
