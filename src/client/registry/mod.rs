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
pub(super) mod tests {
    use super::*;
    use crate::client::options::Options;

    pub fn client(name: &str, scope: &str) -> Arc<Client> {
        let options = format!(r#"{{"format":"openai","scope":"{scope}"}}"#);
        Client::new(name, Options::parse(&options).unwrap()).unwrap()
    }

    pub fn names(registry: &Registry) -> Vec<String> {
        // Other tests may have registered clients of the process.
        let all = registry.list().unwrap().into_iter().map(|e| e.client.name().to_owned());
        all.filter(|n| n.starts_with("reg-")).collect()
    }

    #[test]
    fn a_connection_shadows_the_process() {
        let (one, other) = (Registry::default(), Registry::default());
        one.insert(client("reg-shared", "process"), None, false).unwrap();
        assert!(other.get("reg-shared").is_ok());
        other.insert(client("reg-shared", "connection"), None, false).unwrap();
        assert_eq!(other.get("reg-shared").unwrap().scope(), Scope::Connection);
        assert_eq!(one.get("reg-shared").unwrap().scope(), Scope::Process);
        assert!(other.remove("reg-shared").unwrap());
        assert_eq!(other.get("reg-shared").unwrap().scope(), Scope::Process);
        assert!(one.remove("reg-shared").unwrap());
        assert!(!one.remove("reg-shared").unwrap());
        assert!(other.get("reg-shared").is_err());
    }

    #[test]
    fn a_row_is_found_unless_a_client_of_its_name_hides_it() {
        let (r, other) = (Registry::default(), Registry::default());
        r.insert(client("reg-hidden", "process"), None, false).unwrap();
        let shared = r.named("reg-hidden").unwrap().unwrap().rowid;
        assert_eq!(r.row(shared).unwrap().unwrap().rowid, shared);
        let own = r.insert(client("reg-hidden", "connection"), None, false).unwrap();
        assert!(r.row(shared).unwrap().is_none() && r.row(own).unwrap().is_some());
        assert!(other.row(shared).unwrap().is_some() && other.row(own).unwrap().is_none());
        r.remove("reg-hidden").unwrap();
        assert!(r.row(own).unwrap().is_none() && r.row(shared).unwrap().is_some());
        r.remove("reg-hidden").unwrap();
        assert!(r.row(shared).unwrap().is_none());
    }

    #[test]
    fn clients_that_are_configured_alike_count_each_for_itself() {
        let r = Registry::default();
        let texts = |name: &str| r.get(name).unwrap().stats().json()["texts"].clone();
        let count = |name: &str| {
            r.get(name).unwrap().stats().texts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        };
        let alike = |name: &str, model: &str| {
            let options = format!(r#"{{"format":"openai","model":"{model}","requests_per_minute":9}}"#);
            Client::new(name, Options::parse(&options).unwrap()).unwrap()
        };
        r.insert(alike("reg-one", "m"), None, false).unwrap();
        r.insert(alike("reg-two", "m"), None, false).unwrap();
        count("reg-one");
        assert_eq!((texts("reg-one"), texts("reg-two")), (1.into(), 0.into()));
        let (one, two) = (r.get("reg-one").unwrap(), r.get("reg-two").unwrap());
        assert!(std::ptr::eq(one.pace(), two.pace()), "the provider counts them as one");
        // Changed, it counts on, and waits for whom the provider counts it with now.
        let old = r.named("reg-one").unwrap().unwrap();
        r.update(&old, alike("reg-new", "n"), None, false).unwrap();
        count("reg-new");
        assert_eq!(texts("reg-new"), 2);
        assert!(!std::ptr::eq(r.get("reg-new").unwrap().pace(), two.pace()));
        // Registered again as it was, as by each connection of a server; and as another.
        r.insert(alike("reg-new", "n"), None, true).unwrap();
        assert_eq!(texts("reg-new"), 2);
        r.insert(alike("reg-new", "m"), None, true).unwrap();
        assert_eq!(texts("reg-new"), 0);
    }

    #[test]
    fn an_update_of_a_process_client_keeps_its_row() {
        let r = Registry::default();
        r.insert(client("reg-stays", "process"), None, false).unwrap();
        let old = r.named("reg-stays").unwrap().unwrap();
        r.update(&old, client("reg-renamed", "process"), None, false).unwrap();
        assert_eq!(r.named("reg-renamed").unwrap().unwrap().rowid, old.rowid);
        r.remove("reg-renamed").unwrap();
    }

    #[test]
    fn a_locked_registry_keeps_what_it_has_seen() {
        let (one, other) = (Registry::default(), Registry::default());
        one.insert(client("reg-lock-own", "connection"), None, false).unwrap();
        other.insert(client("reg-lock-shared", "process"), None, false).unwrap();
        assert_eq!(one.locked(), None);
        one.lock();
        one.lock();
        assert_eq!(one.locked(), Some(Lock::Session));
        let before = one.get("reg-lock-shared").unwrap();
        // Another session that is not locked may do as it likes, for others.
        other.insert(client("reg-lock-late", "process"), None, false).unwrap();
        other.insert(client("reg-lock-shared", "process"), None, true).unwrap();
        assert!(one.get("reg-lock-late").is_err());
        assert!(Arc::ptr_eq(&before, &one.get("reg-lock-shared").unwrap()));
        assert!(other.remove("reg-lock-shared").unwrap());
        assert!(Arc::ptr_eq(&before, &one.get("reg-lock-shared").unwrap()));
        let mut seen = names(&one);
        seen.retain(|name| name.starts_with("reg-lock"));
        assert_eq!(seen, ["reg-lock-own", "reg-lock-shared"]);
        other.remove("reg-lock-late").unwrap();
    }

    #[test]
    fn nothing_changes_a_locked_registry() {
        let r = Registry::default();
        r.insert(client("reg-shut", "connection"), None, false).unwrap();
        r.lock();
        let old = r.named("reg-shut").unwrap().unwrap();
        for refused in [
            r.insert(client("reg-new", "connection"), None, true).map(drop),
            r.insert(client("reg-new", "process"), None, true).map(drop),
            r.update(&old, client("reg-shut", "connection"), None, true),
            r.remove("reg-shut").map(drop),
            r.remove("nobody").map(drop),
            r.check_unlocked(),
        ] {
            let e = refused.unwrap_err().to_string();
            assert!(e.starts_with("locked by rembed_lock(): "), "{e}");
        }
        assert!(r.get("reg-shut").is_ok() && Registry::default().get("reg-new").is_err());
    }

    #[test]
    fn a_locked_process_has_the_clients_of_the_config_alone() {
        let r = Registry::default();
        r.insert(client("reg-earlier", "process"), None, false).unwrap();
        let locked = Registry::new(true);
        assert!(locked.get("reg-earlier").is_err());
        locked.lock();
        assert_eq!(locked.locked(), Some(Lock::Process));
        assert!(locked.get("reg-earlier").is_err());
        let e = locked.remove("reg-earlier").unwrap_err().to_string();
        assert!(e.starts_with("locked by REMBED_LOCK: "), "{e}");
        assert!(r.remove("reg-earlier").unwrap());
    }
}
