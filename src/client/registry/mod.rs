//! Named clients. A name is looked up among the clients of the session, then among those of the process, then among
//! those of `REMBED_CONFIG`.
//!
//! The order of the locks: `own`, the clients of a session, before `SHARED`, those of the process. Code that holds both
//! takes them in this order, so that two threads cannot wait for each other. The clients of `REMBED_CONFIG` never
//! change, and have no lock.

mod change;
mod clients;
mod config;
mod lock;
mod rows;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use crate::base::error::{Error, Result};
use crate::base::process::PerProcess;
use crate::client::Client;
use crate::client::options::Scope;
pub use change::Change;
pub(crate) use clients::Clients;
use config::config;
#[cfg(fuzzing)]
pub(crate) use config::parse_config;
pub use config::read_only;
use lock::LOCKED;
pub use lock::Lock;
use rows::insert;

/// A registered client as a row of `rembed_clients`.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Unique among the clients a session sees.
    pub rowid: i64,
    /// The client.
    pub client: Arc<Client>,
    /// Whether it comes from `REMBED_CONFIG`.
    pub read_only: bool,
}

static SHARED: PerProcess<RwLock<Clients>> = PerProcess::new(|parent| RwLock::new(inherited(parent)));

/// The clients of a parent process, for its child. There are none if another thread was changing them during the fork.
fn inherited(parent: Option<&RwLock<Clients>>) -> Clients {
    match parent.map(RwLock::try_read) {
        Some(Ok(clients)) => renewed(&clients),
        Some(Err(TryLockError::Poisoned(clients))) => renewed(&clients.into_inner()),
        Some(Err(TryLockError::WouldBlock)) | None => Clients::default(),
    }
}

fn renewed(clients: &Clients) -> Clients {
    let renew = |entry: &Entry| Entry { client: entry.client.renewed(), ..entry.clone() };
    clients.entries().map(renew).collect()
}

/// The clients that one session sees.
#[derive(Debug)]
pub struct Registry {
    own: RwLock<Clients>,
    /// Set and read while the lock of `own` is held. Once it is set, the session sees the clients of `own` and of
    /// `REMBED_CONFIG`, and no others.
    lock: OnceLock<Lock>,
}

impl Default for Registry {
    fn default() -> Registry {
        Registry::new(*LOCKED)
    }
}

impl Registry {
    /// A copy for a child process. The child cannot share the parent's locks: one that was held at the fork stays held.
    pub fn renewed(&self) -> Registry {
        Registry { own: RwLock::new(inherited(Some(&self.own))), lock: self.lock.clone() }
    }

    /// A registry without clients of its own. `locked` says that `REMBED_LOCK` locks the process.
    fn new(locked: bool) -> Registry {
        let lock = if locked { Lock::Process.into() } else { OnceLock::new() };
        Registry { own: RwLock::default(), lock }
    }

    /// Keeps the clients that the session sees now, and lets none be added, changed or removed any more, also not by
    /// other sessions of the process. There is no way back.
    pub fn lock(&self) {
        // Read now: whoever locks must not get the clients of a file that is written later.
        let _ = config();
        let (mut own, shared) = (write(&self.own), read(&SHARED));
        if self.lock.get().is_none() {
            for entry in shared.entries() {
                if own.get(entry.client.name()).is_none() {
                    own.insert(entry.clone());
                }
            }
        }
        self.lock.get_or_init(|| Lock::Session);
    }

    /// What locks the registry.
    pub fn locked(&self) -> Option<Lock> {
        self.lock.get().copied()
    }

    /// Whether clients may be added, changed and removed, and caches cleared.
    ///
    /// # Errors
    /// The text says what locks, and what to do before that.
    pub fn check_unlocked(&self) -> Result<()> {
        match self.locked() {
            None => Ok(()),
            Some(lock) => Err(Error::invalid(format!(
                "locked by {}: no client can be registered, changed or removed, and no cache cleared. Register clients \
                 before rembed_lock(), or name them in REMBED_CONFIG",
                lock.name()
            ))),
        }
    }

    /// The client `name`.
    ///
    /// # Errors
    /// [`Error::NotRegistered`]; a `REMBED_CONFIG` that cannot be read, since the name may be in it.
    pub fn get(&self, name: &str) -> Result<Arc<Client>> {
        match self.named(name)? {
            Some(entry) => Ok(entry.client),
            None => {
                let known: Vec<_> = self.list()?.into_iter().map(|e| e.client.name().to_owned()).collect();
                Err(Error::not_registered(name, &known))
            }
        }
    }

    /// The row `rowid`.
    ///
    /// # Errors
    /// A `REMBED_CONFIG` that cannot be read.
    pub fn row(&self, rowid: i64) -> Result<Option<Entry>> {
        let own = read(&self.own);
        if let Some(entry) = own.row(rowid) {
            return Ok(Some(entry.clone()));
        }
        // A client is seen unless one of its name hides it.
        let hidden_by = |clients: &Clients, entry: &Entry| clients.get(entry.client.name()).is_some();
        let shared = self.lock.get().is_none().then(|| read(&SHARED));
        if let Some(entry) = shared.as_ref().and_then(|shared| shared.row(rowid)) {
            return Ok(Some(entry.clone()).filter(|entry| !hidden_by(&own, entry)));
        }
        let hidden = |entry: &Entry| {
            hidden_by(&own, entry) || shared.as_ref().is_some_and(|shared| hidden_by(shared, entry))
        };
        Ok(config()?.row(rowid).filter(|entry| !hidden(entry)).cloned())
    }

    /// The row of the client `name`.
    ///
    /// # Errors
    /// A `REMBED_CONFIG` that cannot be read.
    pub fn named(&self, name: &str) -> Result<Option<Entry>> {
        let own = read(&self.own);
        if let Some(entry) = own.get(name) {
            return Ok(Some(entry.clone()));
        }
        if self.lock.get().is_none() {
            if let Some(entry) = read(&SHARED).get(name) {
                return Ok(Some(entry.clone()));
            }
        }
        Ok(config()?.get(name).cloned())
    }

    /// Every client that the session sees, in the order of rowids.
    ///
    /// # Errors
    /// A `REMBED_CONFIG` that cannot be read.
    pub fn list(&self) -> Result<Vec<Entry>> {
        let own = read(&self.own);
        let shared = self.lock.get().is_none().then(|| read(&SHARED));
        let mut seen: BTreeMap<&str, &Entry> = BTreeMap::new();
        let all = config()?.entries().chain(shared.iter().flat_map(|shared| shared.entries()));
        seen.extend(all.chain(own.entries()).map(|entry| (entry.client.name(), entry)));
        let mut list: Vec<_> = seen.into_values().cloned().collect();
        list.sort_by_key(|entry| entry.rowid);
        Ok(list)
    }

    /// Adds `client` in its scope. Returns its rowid.
    ///
    /// # Errors
    /// A name or rowid that is taken, unless `replace`; a `rowid` that cannot be had.
    pub fn insert(&self, client: Arc<Client>, rowid: Option<i64>, replace: bool) -> Result<i64> {
        // `SHARED` is locked only for a client of the process: all connections wait for that lock.
        let mut own = self.write_own()?;
        let mut shared = (client.scope() == Scope::Process).then(|| write(&SHARED));
        insert(&mut own, shared.as_deref_mut(), client, rowid, replace)
    }

    /// Puts `client` in the place of the row `old`, perhaps with another name, rowid or scope. It counts on from there.
    ///
    /// # Errors
    /// As [`Registry::insert`]; the old row stays.
    pub fn update(&self, old: &Entry, client: Arc<Client>, rowid: Option<i64>, replace: bool) -> Result<()> {
        let client = client.counting_as(&old.client);
        let (mut own, mut shared) = (self.write_own()?, write(&SHARED));
        let process = old.client.scope() == Scope::Process;
        let clients = |own: &mut Clients, shared: &mut Clients| {
            if process { shared.remove(old.client.name()) } else { own.remove(old.client.name()) }
        };
        let removed = clients(&mut own, &mut shared);
        // A client that stays with the process keeps its rowid: other sessions see it under that number.
        let keeps = process && client.scope() == Scope::Process;
        let inserted = insert(&mut own, Some(&mut shared), client.clone(), rowid, replace);
        match (inserted, removed) {
            (Ok(_), _) if keeps => {
                if let Some(entry) = shared.remove(client.name()) {
                    shared.insert(Entry { rowid: old.rowid, ..entry });
                }
            }
            (Ok(_), _) => {}
            (Err(e), Some(removed)) => {
                let clients = if process { &mut *shared } else { &mut *own };
                clients.insert(removed);
                return Err(e);
            }
            (Err(e), None) => return Err(e),
        }
        Ok(())
    }

    /// Takes the client away that the session sees by this name. Returns whether there was one.
    ///
    /// # Errors
    /// A client of `REMBED_CONFIG`, which is read-only here.
    pub fn remove(&self, name: &str) -> Result<bool> {
        if self.write_own()?.remove(name).is_some() || write(&SHARED).remove(name).is_some() {
            return Ok(true);
        }
        // config() and not named(), which would find a client of the process that another thread has just registered.
        match config()?.get(name) {
            Some(_) => Err(read_only(name)),
            None => Ok(false),
        }
    }

    /// The session's own clients, to be changed.
    fn write_own(&self) -> Result<RwLockWriteGuard<'_, Clients>> {
        let own = write(&self.own);
        self.check_unlocked().map(|()| own)
    }
}

fn read(clients: &RwLock<Clients>) -> RwLockReadGuard<'_, Clients> {
    clients.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(clients: &RwLock<Clients>) -> RwLockWriteGuard<'_, Clients> {
    clients.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(super) mod tests;
