//! Named clients: those of a connection over those of the process over those of `REMBED_CONFIG`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::base::error::{Error, Result};
use crate::base::process::PerProcess;
use crate::client::Client;
use crate::client::options::{Options, Scope};

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

pub(crate) type Clients = BTreeMap<String, Entry>;

/// Rows that several sessions see are numbered from here, those of one session from 1.
const FIRST_SHARED: i64 = 1 << 32;
static SHARED_ROWIDS: AtomicI64 = AtomicI64::new(FIRST_SHARED);

/// The largest `REMBED_CONFIG` that is read.
const CONFIG_MAX: usize = 4 << 20;

static SHARED: PerProcess<RwLock<Clients>> = PerProcess::new(|parent| RwLock::new(inherited(parent)));

static CONFIG: PerProcess<Result<Clients, String>> = PerProcess::new(|parent| {
    match (parent, std::env::var_os("REMBED_CONFIG").filter(|path| !path.is_empty())) {
        (Some(parent), _) => parent.as_ref().map(renewed).map_err(String::clone),
        (None, Some(path)) => {
            read_config(&path).map_err(|e| format!("REMBED_CONFIG ({}): {e}", path.to_string_lossy()))
        }
        (None, None) => Ok(Clients::new()),
    }
});

/// The clients that a parent process had, for its child. None if another thread was changing them just then.
fn inherited(parent: Option<&RwLock<Clients>>) -> Clients {
    match parent.map(RwLock::try_read) {
        Some(Ok(clients)) => renewed(&clients),
        Some(Err(TryLockError::Poisoned(clients))) => renewed(&clients.into_inner()),
        Some(Err(TryLockError::WouldBlock)) | None => Clients::new(),
    }
}

fn renewed(clients: &Clients) -> Clients {
    let renew = |entry: &Entry| Entry { client: entry.client.renewed(), ..entry.clone() };
    clients.iter().map(|(name, entry)| (name.clone(), renew(entry))).collect()
}

/// `REMBED_LOCK`, read once: nobody may be told otherwise later. What cannot be understood locks.
static LOCKED: PerProcess<bool> = PerProcess::new(|parent| match (parent, std::env::var_os("REMBED_LOCK")) {
    (Some(locked), _) => *locked,
    (None, Some(word)) => locks(&word.to_string_lossy()),
    (None, None) => false,
});

fn locks(word: &str) -> bool {
    !["", "0", "false", "no", "off"].contains(&word.trim().to_ascii_lowercase().as_str())
}

/// What keeps a registry from being changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// `REMBED_LOCK`: every registry of the process, from the start.
    Process,
    /// `rembed_lock()`: this registry, since then.
    Session,
}

impl Lock {
    /// What users know it by.
    pub fn name(self) -> &'static str {
        match self {
            Lock::Process => "REMBED_LOCK",
            Lock::Session => "rembed_lock()",
        }
    }
}

/// The clients that one session sees.
#[derive(Debug)]
pub struct Registry {
    own: RwLock<Clients>,
    /// Set and asked while `own` is held. Once it is set, `own` and `REMBED_CONFIG` have all clients there are.
    lock: OnceLock<Lock>,
}

impl Default for Registry {
    fn default() -> Registry {
        Registry::new(*LOCKED)
    }
}

impl Registry {
    /// That of a child process, which must not share what its parent locks.
    pub fn renewed(&self) -> Registry {
        Registry { own: RwLock::new(inherited(Some(&self.own))), lock: self.lock.clone() }
    }

    /// A registry without clients of its own; `locked` for a process that is locked.
    fn new(locked: bool) -> Registry {
        let lock = if locked { Lock::Process.into() } else { OnceLock::new() };
        Registry { own: RwLock::default(), lock }
    }

    /// Keeps the clients that the session sees now, and lets none be added, changed or removed any more, also not by
    /// other sessions of the process. There is no way back.
    pub fn lock(&self) {
        // A file that is written later is not the one that whoever locks has seen.
        let _ = config();
        let (mut own, shared) = (write(&self.own), read(&SHARED));
        if self.lock.get().is_none() {
            for (name, entry) in &*shared {
                own.entry(name.clone()).or_insert_with(|| entry.clone());
            }
        }
        self.lock.get_or_init(|| Lock::Session);
    }

    /// What locks it.
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
            None => Err(Error::NotRegistered {
                name: crate::base::words::quoted(name),
                known: self.list()?.into_iter().map(|e| e.client.name().to_owned()).collect(),
            }),
        }
    }

    /// The row `rowid`.
    ///
    /// # Errors
    /// A `REMBED_CONFIG` that cannot be read.
    pub fn row(&self, rowid: i64) -> Result<Option<Entry>> {
        Ok(self.list()?.into_iter().find(|entry| entry.rowid == rowid))
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
        let mut seen = config()?.clone();
        let own = read(&self.own);
        if self.lock.get().is_none() {
            seen.extend(read(&SHARED).clone());
        }
        seen.extend(own.clone());
        let mut list: Vec<_> = seen.into_values().collect();
        list.sort_by_key(|entry| entry.rowid);
        Ok(list)
    }

    /// Adds `client` in its scope. Returns its rowid.
    ///
    /// # Errors
    /// A name or rowid that is taken, unless `replace`; a `rowid` that cannot be had.
    pub fn insert(&self, client: Arc<Client>, rowid: Option<i64>, replace: bool) -> Result<i64> {
        // Where it is not needed, the lock of all connections is left alone.
        let mut own = self.write_own()?;
        let mut shared = (client.scope() == Scope::Process).then(|| write(&SHARED));
        insert(&mut own, shared.as_deref_mut(), client, rowid, replace)
    }

    /// Puts `client` in the place of the row `old`, perhaps with another name, rowid or scope.
    ///
    /// # Errors
    /// As [`Registry::insert`]; the old row stays.
    pub fn update(&self, old: &Entry, client: Arc<Client>, rowid: Option<i64>, replace: bool) -> Result<()> {
        let (mut own, mut shared) = (self.write_own()?, write(&SHARED));
        let process = old.client.scope() == Scope::Process;
        let clients = |own: &mut Clients, shared: &mut Clients| {
            if process { shared.remove(old.client.name()) } else { own.remove(old.client.name()) }
        };
        let removed = clients(&mut own, &mut shared);
        // A client of the process keeps the row that other sessions know it by.
        let keeps = process && client.scope() == Scope::Process;
        let inserted = insert(&mut own, Some(&mut shared), client.clone(), rowid, replace);
        match (inserted, removed) {
            (Ok(_), _) if keeps => {
                shared.entry(client.name().to_owned()).and_modify(|entry| entry.rowid = old.rowid);
            }
            (Ok(_), _) => {}
            (Err(e), Some(removed)) => {
                let clients = if process { &mut *shared } else { &mut *own };
                clients.insert(old.client.name().to_owned(), removed);
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
        // Not by named(): another thread may register a client of the process in between.
        match config()?.contains_key(name) {
            true => Err(read_only(name)),
            false => Ok(false),
        }
    }

    /// The session's own clients, to be changed.
    fn write_own(&self) -> Result<RwLockWriteGuard<'_, Clients>> {
        let own = write(&self.own);
        self.check_unlocked().map(|()| own)
    }
}

/// The error of a change to a client of `REMBED_CONFIG`.
pub fn read_only(name: &str) -> Error {
    Error::invalid(format!(
        "client '{name}' comes from REMBED_CONFIG, which is read-only here: INSERT one of that name to shadow it"
    ))
}

fn insert(
    own: &mut Clients,
    shared: Option<&mut Clients>,
    client: Arc<Client>,
    rowid: Option<i64>,
    replace: bool,
) -> Result<i64> {
    let name = client.name();
    let process = client.scope() == Scope::Process;
    let shared = shared.filter(|_| process);
    let wrong = |why: &str| Err(Error::invalid(format!("client '{name}': {why}")));
    match rowid {
        Some(_) if process => return wrong("a rowid cannot be chosen for a client of scope process"),
        Some(rowid) if !(1..FIRST_SHARED).contains(&rowid) => {
            return wrong(&format!("a rowid must be from 1 to {}", FIRST_SHARED - 1));
        }
        _ => {}
    }
    let taken = own.contains_key(name) || shared.as_ref().is_some_and(|shared| shared.contains_key(name));
    if taken && !replace {
        return Err(Error::taken("name", name));
    }
    let other = own.values().find(|e| Some(e.rowid) == rowid && e.client.name() != name);
    if let Some(other) = other.map(|e| e.client.name().to_owned()) {
        if !replace {
            return Err(Error::taken("rowid", rowid.unwrap_or_default()));
        }
        own.remove(&other);
    }
    // Also for a client of the process: one of this connection would hide it.
    let replaced = own.remove(name);
    let rowid = if process {
        SHARED_ROWIDS.fetch_add(1, Ordering::Relaxed)
    } else {
        rowid.or(replaced.map(|e| e.rowid)).unwrap_or_else(|| free_rowid(own))
    };
    shared.unwrap_or(own).insert(name.to_owned(), Entry { rowid, client: client.clone(), read_only: false });
    Ok(rowid)
}

/// One more than the largest, or the lowest that is free.
fn free_rowid(own: &Clients) -> i64 {
    let used: BTreeSet<i64> = own.values().map(|e| e.rowid).collect();
    match used.last() {
        Some(last) if last + 1 == FIRST_SHARED => (1..).find(|id| !used.contains(id)).unwrap_or(1),
        Some(last) => last + 1,
        None => 1,
    }
}

fn config() -> Result<&'static Clients> {
    CONFIG.as_ref().map_err(|e| Error::invalid(e.clone()))
}

fn read(clients: &RwLock<Clients>) -> RwLockReadGuard<'_, Clients> {
    clients.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(clients: &RwLock<Clients>) -> RwLockWriteGuard<'_, Clients> {
    clients.write().unwrap_or_else(PoisonError::into_inner)
}

fn read_config(path: &std::ffi::OsStr) -> Result<Clients, String> {
    let text = crate::base::file::read_once(std::path::Path::new(path), CONFIG_MAX)?;
    parse_config(&text)
}

/// The clients of the text of a `REMBED_CONFIG`.
pub(crate) fn parse_config(text: &[u8]) -> Result<Clients, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        clients: Map<String, Value>,
    }
    // serde reads the fields of a struct from an array too.
    if text.trim_ascii_start().starts_with(b"[") {
        return Err("it must be a JSON object, as {\"clients\": {…}}".into());
    }
    let config: Config = serde_json::from_slice(text).map_err(|e| match e.is_data() {
        // What the parser says of the shape repeats what stands there, and that may be a key.
        true => format!("it is not {{\"clients\": {{\"name\": {{options}}}}}} (line {})", e.line()),
        false => e.to_string(),
    })?;
    let mut clients = Clients::new();
    for (name, options) in config.clients {
        let options = match options {
            Value::Object(map) => Options::from_map(map),
            Value::String(format) => Options::parse(&format),
            _ => Err(Error::invalid("options must be a JSON object")),
        };
        let client =
            options.and_then(|o| Client::new(&name, o)).map_err(|e| format!("client '{name}': {e}"))?;
        let rowid = SHARED_ROWIDS.fetch_add(1, Ordering::Relaxed);
        clients.insert(name, Entry { rowid, client, read_only: true });
    }
    Ok(clients)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(name: &str, scope: &str) -> Arc<Client> {
        let options = format!(r#"{{"format":"openai","scope":"{scope}"}}"#);
        Client::new(name, Options::parse(&options).unwrap()).unwrap()
    }

    fn names(registry: &Registry) -> Vec<String> {
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
    fn rowids_are_kept_and_unique() {
        let r = Registry::default();
        assert_eq!(r.insert(client("reg-a", "connection"), None, false), Ok(1));
        assert_eq!(r.insert(client("reg-b", "connection"), Some(7), false), Ok(7));
        assert_eq!(r.insert(client("reg-c", "connection"), None, false), Ok(8));
        let taken = r.insert(client("reg-d", "connection"), Some(7), false);
        assert_eq!(taken, Err(Error::taken("rowid", 7)));
        let taken = r.insert(client("reg-a", "connection"), None, false);
        assert_eq!(taken, Err(Error::taken("name", "reg-a")));
        assert_eq!(r.insert(client("reg-a", "connection"), None, true), Ok(1));
        assert_eq!(r.insert(client("reg-d", "connection"), Some(7), true), Ok(7));
        assert_eq!(names(&r), ["reg-a", "reg-d", "reg-c"]);
    }

    #[test]
    fn rows_of_one_session_never_meet_shared_ones() {
        let r = Registry::default();
        for bad in [0, -1, FIRST_SHARED, i64::MAX] {
            assert!(r.insert(client("reg-x", "connection"), Some(bad), false).is_err(), "{bad}");
        }
        assert_eq!(
            r.insert(client("reg-x", "connection"), Some(FIRST_SHARED - 1), false),
            Ok(FIRST_SHARED - 1)
        );
        assert_eq!(r.insert(client("reg-y", "connection"), None, false), Ok(1));
        // A client that moves out of the process gets a rowid of the session.
        r.insert(client("reg-moves", "process"), None, false).unwrap();
        let old = r.named("reg-moves").unwrap().unwrap();
        r.update(&old, client("reg-moves", "connection"), None, false).unwrap();
        let new = r.named("reg-moves").unwrap().unwrap();
        assert!(old.rowid >= FIRST_SHARED && new.rowid < FIRST_SHARED);
        assert!(Registry::default().named("reg-moves").unwrap().is_none());
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

    #[test]
    fn what_cannot_be_understood_locks() {
        for word in ["1", "true", "yes", " on ", "2", "\u{fffd}"] {
            assert!(locks(word), "{word}");
        }
        for word in ["", "0", "FALSE", "no", " off "] {
            assert!(!locks(word), "{word}");
        }
    }

    #[test]
    fn a_config_is_checked_whole() {
        let path = std::env::temp_dir().join(format!("rembed-config-{}", std::process::id()));
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_config(path.as_os_str())
        };
        let clients = read(r#"{"clients":{"a":{"format":"ollama","model":"m"},"b":"openai"}}"#).unwrap();
        assert_eq!(clients.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert!(clients["a"].read_only);
        for (bad, why) in [
            (r#"{"client":{}}"#, r#"it is not {"clients": "#),
            (r#"{"sk-1":{},"clients":{}}"#, "it is not"),
            (r#"{"clients":"sk-1"}"#, "it is not"),
            (r#"{"clients":{"a":{"modle":"m"}}}"#, "client 'a': unknown option 'modle'"),
            (r#"{"clients":{"a":5}}"#, "object"),
            (r#"[{"a":{"format":"ollama"}}]"#, "must be a JSON object"),
            ("{", "EOF"),
        ] {
            let e = read(bad).unwrap_err();
            assert!(e.contains(why) && !e.contains("sk-1"), "{e}");
        }
        std::fs::remove_file(path).unwrap();
    }
}
