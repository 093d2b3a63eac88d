//! Named clients: those of a connection over those of the process over those of `REMBED_CONFIG`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::options::{Options, Scope};

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

type Clients = BTreeMap<String, Entry>;

/// Rows that several sessions see are numbered from here, those of one session from 1.
static SHARED_ROWIDS: AtomicI64 = AtomicI64::new(1 << 32);

static PROCESS: RwLock<Clients> = RwLock::new(Clients::new());

static CONFIG: LazyLock<Result<Clients, String>> =
    LazyLock::new(|| match std::env::var_os("REMBED_CONFIG") {
        Some(path) => {
            read_config(&path).map_err(|e| format!("REMBED_CONFIG ({}): {e}", path.to_string_lossy()))
        }
        None => Ok(Clients::new()),
    });

/// The clients that one session sees.
#[derive(Debug, Default)]
pub struct Registry {
    own: RwLock<Clients>,
}

impl Registry {
    /// The client `name`.
    ///
    /// # Errors
    /// [`Error::NotRegistered`]; a `REMBED_CONFIG` that cannot be read, since the name may be in it.
    pub fn get(&self, name: &str) -> Result<Arc<Client>> {
        match self.find(|n, _| n == name)? {
            Some(entry) => Ok(entry.client),
            None => Err(Error::NotRegistered {
                name: crate::error::bounded(name, 100),
                known: self.list()?.into_iter().map(|e| e.client.name().to_owned()).collect(),
            }),
        }
    }

    /// The row `rowid`.
    ///
    /// # Errors
    /// A `REMBED_CONFIG` that cannot be read.
    pub fn row(&self, rowid: i64) -> Result<Option<Entry>> {
        self.find(|_, entry| entry.rowid == rowid)
    }

    /// The row of the client `name`.
    ///
    /// # Errors
    /// A `REMBED_CONFIG` that cannot be read.
    pub fn named(&self, name: &str) -> Result<Option<Entry>> {
        self.find(|n, _| n == name)
    }

    /// Every client that the session sees, in the order of rowids.
    ///
    /// # Errors
    /// A `REMBED_CONFIG` that cannot be read.
    pub fn list(&self) -> Result<Vec<Entry>> {
        let mut seen = config()?.clone();
        seen.extend(read(&PROCESS).clone());
        seen.extend(read(&self.own).clone());
        let mut list: Vec<_> = seen.into_values().collect();
        list.sort_by_key(|entry| entry.rowid);
        Ok(list)
    }

    fn find(&self, wanted: impl Fn(&str, &Entry) -> bool) -> Result<Option<Entry>> {
        let mut shadowed = Vec::new();
        for clients in [&self.own, &PROCESS] {
            let clients = read(clients);
            for (name, entry) in clients.iter() {
                if wanted(name, entry) && !shadowed.contains(name) {
                    return Ok(Some(entry.clone()));
                }
            }
            shadowed.extend(clients.keys().cloned());
        }
        let mut config = config()?.iter();
        Ok(config.find(|(name, e)| wanted(name, e) && !shadowed.contains(name)).map(|(_, e)| e.clone()))
    }

    /// Adds `client` in its scope. Returns its rowid.
    ///
    /// # Errors
    /// [`Error::Duplicate`] unless `replace`; a `rowid` for a client of the process, whose row several
    /// sessions see.
    pub fn insert(&self, client: Arc<Client>, rowid: Option<i64>, replace: bool) -> Result<i64> {
        let name = client.name().to_owned();
        let process = client.scope() == Scope::Process;
        if process && rowid.is_some() {
            return Err(Error::invalid(format!(
                "client '{name}': a rowid cannot be chosen for a client of scope process"
            )));
        }
        let mut own = write(&self.own);
        let mut shared = write(&PROCESS);
        let taken = own.contains_key(&name) || (process && shared.contains_key(&name));
        if taken && !replace {
            return Err(Error::Duplicate { column: "name", value: name });
        }
        // A client of this connection would hide the one of the process that replaces it.
        let replaced = own.remove(&name);
        let rowid = match rowid {
            _ if process => SHARED_ROWIDS.fetch_add(1, Ordering::Relaxed),
            None => replaced.as_ref().map_or_else(|| next_rowid(&own), |e| e.rowid),
            Some(rowid) => {
                let other = own.values().find(|e| e.rowid == rowid).map(|e| e.client.name().to_owned());
                match other {
                    Some(other) if replace => drop(own.remove(&other)),
                    Some(_) => {
                        own.extend(replaced.map(|e| (name, e)));
                        return Err(Error::Duplicate { column: "rowid", value: rowid.to_string() });
                    }
                    None => {}
                }
                rowid
            }
        };
        let entry = Entry { rowid, client, read_only: false };
        let clients = if process { &mut *shared } else { &mut *own };
        clients.insert(name, entry);
        Ok(rowid)
    }

    /// Takes the client away that the session sees by this name. Returns whether there was one.
    ///
    /// # Errors
    /// A client of `REMBED_CONFIG`, which is read-only here.
    pub fn remove(&self, name: &str) -> Result<bool> {
        if write(&self.own).remove(name).is_some() || write(&PROCESS).remove(name).is_some() {
            return Ok(true);
        }
        match self.named(name)? {
            Some(_) => Err(read_only(name)),
            None => Ok(false),
        }
    }
}

/// The error of a change to a client of `REMBED_CONFIG`.
pub fn read_only(name: &str) -> Error {
    Error::invalid(format!(
        "client '{name}' comes from REMBED_CONFIG, which is read-only here: INSERT one of that name to shadow it"
    ))
}

fn next_rowid(own: &Clients) -> i64 {
    own.values().map(|e| e.rowid).max().unwrap_or(0).saturating_add(1)
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
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        clients: Map<String, Value>,
    }
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let text = zeroize::Zeroizing::new(text);
    let config: Config = serde_json::from_str(&text).map_err(|e| e.to_string())?;
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
        assert!(matches!(
            r.insert(client("reg-d", "connection"), Some(7), false),
            Err(Error::Duplicate { column: "rowid", .. })
        ));
        assert!(matches!(
            r.insert(client("reg-a", "connection"), None, false),
            Err(Error::Duplicate { column: "name", .. })
        ));
        assert_eq!(r.insert(client("reg-a", "connection"), None, true), Ok(1));
        assert_eq!(r.insert(client("reg-d", "connection"), Some(7), true), Ok(7));
        assert_eq!(names(&r), ["reg-a", "reg-d", "reg-c"]);
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
            (r#"{"client":{}}"#, "unknown field"),
            (r#"{"clients":{"a":{"modle":"m"}}}"#, "client 'a': unknown option 'modle'"),
            (r#"{"clients":{"a":5}}"#, "object"),
            ("{", "EOF"),
        ] {
            let e = read(bad).unwrap_err();
            assert!(e.contains(why), "{e}");
        }
        std::fs::remove_file(path).unwrap();
    }
}
