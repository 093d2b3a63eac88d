//! What one connection has: everything that a backend asks of the core.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde_json::{Map, Value};

use crate::base::error::{Error, Result};
use crate::base::interrupt::{Interrupt, Uninterrupted};
use crate::base::vector::Encoding;
use crate::client::Client;
use crate::client::options::{Cache, Options};
use crate::client::registry::Registry;
use crate::embed::cache::disk::{OpenStore, Trouble};
use crate::embed::cache::{self, Vector};
use crate::embed::call::{Call, Common};
use crate::embed::seen::Seen;
use crate::embed::stream::{Stream, Text};
use crate::sql::input;
use crate::sql::statement::Statement;

/// The crate's version as `rembed_version()` gives it.
pub const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// What one connection of an engine, or one part of a Rust program, sees and has registered.
///
/// ```no_run
/// use sqlite_rembed::{Client, Options, Session};
///
/// let session = Session::default();
/// let options = Options::parse(r#"{"format": "ollama", "model": "nomic-embed-text"}"#)?;
/// session.add(Client::new("local", options)?)?;
/// let vector = session.embed_one("local", "The quick brown fox", None)?;
/// # Ok::<(), sqlite_rembed::Error>(())
/// ```
pub struct Session {
    engine: String,
    pub(super) registry: Registry,
    interrupt: Arc<dyn Interrupt>,
    store: Option<OpenStore>,
    last_error: Mutex<Option<String>>,
    /// What the calls of the statement that runs have in common, where the engine tells of statements.
    recent: Mutex<Option<Vec<Recent>>>,
    pub(super) statement: Mutex<Statement>,
}

/// How many of them are kept. The clients and input types of a statement are few; of more than these, the oldest go.
const RECENT: usize = 8;

/// What the calls of one client and input type have in common.
struct Recent {
    client: Weak<Client>,
    input_type: Option<String>,
    common: Common,
}

/// A session of a Rust program without SQL: nothing interrupts it, and it has no disk cache.
impl Default for Session {
    fn default() -> Session {
        Session::new("none", Arc::new(Uninterrupted), None)
    }
}

impl Session {
    /// A session of an `engine` of this name and version. Its waits end when `interrupt` says so; `store` opens the
    /// disk cache where the engine has one.
    pub fn new(
        engine: impl Into<String>,
        interrupt: Arc<dyn Interrupt>,
        store: Option<OpenStore>,
    ) -> Session {
        Session {
            engine: engine.into(),
            registry: Registry::default(),
            interrupt,
            store,
            last_error: Mutex::new(None),
            recent: Mutex::new(None),
            statement: Mutex::default(),
        }
    }

    /// The session that a child process has in place of this one, for an engine whose sessions outlive a fork.
    #[doc(hidden)]
    pub fn renewed(&self) -> Session {
        let (engine, interrupt) = (self.engine.clone(), self.interrupt.clone());
        Session { registry: self.registry.renewed(), ..Session::new(engine, interrupt, self.store) }
    }

    /// Embeds one text by the client of this name.
    ///
    /// # Errors
    /// An unknown client, a request that failed, an interrupt.
    pub fn embed_one(&self, client: &str, text: &str, input_type: Option<&str>) -> Result<Vector> {
        self.embed_one_as(client, text, input_type).map(|(vector, _)| vector)
    }

    /// The same, with the encoding that the client's vectors have in SQL.
    ///
    /// # Errors
    /// As there.
    #[doc(hidden)]
    pub fn embed_one_as(
        &self,
        client: &str,
        text: &str,
        input_type: Option<&str>,
    ) -> Result<(Vector, Encoding)> {
        let client = self.registry.get(client)?;
        let known = self.recent().as_ref().and_then(|all| {
            let same = |recent: &&Recent| {
                std::ptr::eq(recent.client.as_ptr(), &*client) && recent.input_type.as_deref() == input_type
            };
            all.iter().find(same).map(|recent| recent.common.clone())
        });
        let is_new = known.is_none();
        let call = Call::new(client.clone(), input_type, self.store, known, &self.interrupt)?;
        if is_new {
            if let Some(all) = &mut *self.recent() {
                let input_type = input_type.map(str::to_owned);
                all.truncate(RECENT - 1);
                let common = call.common().clone();
                all.insert(0, Recent { client: Arc::downgrade(&client), input_type, common });
            }
        }
        Ok((call.embed_one(text, &self.interrupt)?, client.encoding()))
    }

    /// Embeds one text of a statement that has asked for those in `seen`, and keeps none of them longer than that.
    ///
    /// # Errors
    /// As [`Session::embed_one`].
    #[doc(hidden)]
    pub fn embed_one_of(
        &self,
        client: &str,
        text: &str,
        input_type: Option<&str>,
        seen: &Arc<Seen>,
    ) -> Result<Vector> {
        let mut call = self.call(client, input_type)?;
        call.remember(seen);
        call.embed_one(text, &self.interrupt)
    }

    /// Says that a statement may have begun since [`Session::embed_one`] was last called. Where an engine says so, the variables
    /// and files that keys and headers name are read once a statement. Where it never does, they are read for each text.
    #[doc(hidden)]
    pub fn begin_statement(&self) {
        self.recent().get_or_insert_default().clear();
    }

    fn recent(&self) -> MutexGuard<'_, Option<Vec<Recent>>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Embeds `texts` by the client of this name: one embedding a text, in their order.
    ///
    /// # Errors
    /// An unknown client, the first text that failed, an interrupt.
    pub fn embed(&self, client: &str, texts: &[&str], input_type: Option<&str>) -> Result<Vec<Vector>> {
        let items = texts.iter().map(|text| Ok(((), Text::Text((*text).into()))));
        let mut stream = self.stream(client, input_type, items, false, Some(texts.len() as u64))?.whole();
        let mut vectors = Vec::with_capacity(texts.len());
        while let Some(row) = stream.next_row()? {
            vectors.extend(row.value?);
        }
        Ok(vectors)
    }

    /// Embeds what `source` yields, as it is read. With `isolate`, a row's error is its own; otherwise one bad
    /// text may fail those that travel with it. `total` is the number of rows, where it is known.
    ///
    /// # Errors
    /// An unknown client, an input type that its format does not have.
    #[doc(hidden)]
    pub fn stream<K, I: Iterator<Item = Result<(K, Text)>>>(
        &self,
        client: &str,
        input_type: Option<&str>,
        source: I,
        isolate: bool,
        total: Option<u64>,
    ) -> Result<Stream<K, I>> {
        let call = self.call(client, input_type)?;
        Ok(Stream::new(call, source, isolate, total, self.interrupt.clone()))
    }

    /// The call of a client whose texts are many, for whoever makes a [`Stream`] of it.
    ///
    /// # Errors
    /// As [`Session::stream`].
    #[doc(hidden)]
    pub fn call(&self, client: &str, input_type: Option<&str>) -> Result<Call> {
        Call::new(self.registry.get(client)?, input_type, self.store, None, &self.interrupt)
    }

    /// The client of this name.
    ///
    /// # Errors
    /// There is none.
    #[doc(hidden)]
    pub fn client(&self, name: &str) -> Result<Arc<Client>> {
        self.registry.get(name)
    }

    /// The names of the clients.
    ///
    /// # Errors
    /// A `REMBED_CONFIG` that cannot be read.
    #[doc(hidden)]
    pub fn client_names(&self) -> Result<Vec<String>> {
        Ok(self.registry.list()?.iter().map(|entry| entry.client.name().to_owned()).collect())
    }

    /// What keeps clients from being registered and changed, if anything does.
    #[doc(hidden)]
    pub fn locked(&self) -> Option<&'static str> {
        self.registry.locked().map(|lock| lock.name())
    }

    /// Embeds all texts of `json` into the cache, where they stay until they are read once. Returns for how many of
    /// them a vector is ready: a cache may be too small for all of them.
    ///
    /// # Errors
    /// As [`Session::embed`]; a client that keeps nothing; JSON that holds no texts.
    pub fn prefetch(&self, client: &str, json: &str, input_type: Option<&str>) -> Result<usize> {
        let call = self.call(client, input_type)?;
        let items = input::parse(json)?;
        let prefetch = call.begin_prefetch()?;
        let total = items.len() as u64;
        let source = items.map(|(_, text)| Ok(((), text)));
        let mut stream = Stream::new(call, source, false, Some(total), self.interrupt.clone()).whole();
        let (mut ready, mut without_room) = (0, Vec::new());
        while let Some(row) = stream.next_row()? {
            if let (Some(text), Some(vector)) = (row.text, row.value?) {
                match stream.call().hold(&text, vector, prefetch) {
                    true => ready += 1,
                    false => without_room.push(text),
                }
            }
        }
        ready += without_room.iter().filter(|text| stream.call().is_on_disk(text)).count();
        Ok(ready)
    }

    /// What the clients that this session sees have done, as JSON.
    ///
    /// # Errors
    /// A `REMBED_CONFIG` that cannot be read.
    pub fn stats(&self) -> Result<String> {
        let mut stats = Map::new();
        for entry in self.registry.list()? {
            let client = entry.client;
            let mut counters = client.stats().json();
            if client.cache() == Cache::Disk {
                let none = || Some("the disk cache is off: this engine has none".to_owned());
                let warning = if self.store.is_some() { cache::disk::DISK.warning() } else { none() };
                if let Some(warning) = warning {
                    counters["warning"] = warning.into();
                }
            }
            stats.insert(client.name().to_owned(), counters);
        }
        Ok(Value::Object(stats).to_string())
    }

    /// Drops cached vectors: without `what` those in memory, by `disk` those on disk, by the name of a client those of
    /// it, wherever it keeps them. Returns how many there were.
    ///
    /// # Errors
    /// A session that is locked; no client of this name; a disk cache that could not be cleared.
    pub fn cache_clear(&self, what: Option<&str>) -> Result<usize> {
        self.registry.check_unlocked()?;
        match what {
            None => Ok(cache::MEMORY.clear()),
            Some("disk") => self.clear_disk(None),
            Some(name) => {
                let client = self.registry.get(name)?;
                let key = self.call(name, None)?.key().client;
                let on_disk = match client.cache() {
                    Cache::Disk => self.clear_disk(Some(key))?,
                    Cache::Memory | Cache::Off => 0,
                };
                Ok(cache::MEMORY.clear_client(key) + on_disk)
            }
        }
    }

    fn clear_disk(&self, client: Option<u64>) -> Result<usize> {
        let failed = |why: &str| Error::invalid(format!("the disk cache was not cleared: {why}"));
        let Some(open) = self.store else { return Err(failed("this engine has none")) };
        cache::disk::DISK.clear(client, open, &self.interrupt).map_err(|trouble| match trouble {
            Trouble::Busy => failed("others hold it"),
            Trouble::Interrupted => Error::Interrupted,
            Trouble::Failed(why) => failed(&why),
        })
    }

    /// From now on, and for as long as the session lives, its clients are those that it sees now: none is registered,
    /// changed or removed, and no cache is cleared.
    pub fn lock(&self) {
        self.registry.lock();
    }

    /// The error of an input of `client` that cannot be embedded.
    #[doc(hidden)]
    pub fn bad_input(&self, client: &str, why: &str) -> Error {
        match self.registry.get(client) {
            Ok(client) => client.bad_input(why),
            Err(e) => e,
        }
    }

    /// Registers `client`, in the place of one of its name.
    ///
    /// # Errors
    /// A session that is locked.
    pub fn add(&self, client: Arc<Client>) -> Result<()> {
        self.registry.insert(client, None, true).map(drop)
    }

    /// Registers or replaces a client by its document of options. No table is touched.
    ///
    /// # Errors
    /// Options that are wrong or that the format cannot carry out; a session that is locked.
    #[doc(hidden)]
    pub fn register(&self, name: &str, document: Map<String, Value>) -> Result<()> {
        self.registry.check_unlocked()?;
        self.add(Client::new(name, Options::from_map(document)?)?)
    }

    /// Takes a client away. Returns whether there was one.
    ///
    /// # Errors
    /// A client of `REMBED_CONFIG`; a session that is locked.
    pub fn unregister(&self, name: &str) -> Result<bool> {
        self.registry.remove(name)
    }

    /// Keeps the text of an error for [`Session::last_error`].
    #[doc(hidden)]
    pub fn note_error(&self, text: &str) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
    }

    /// The last error's text: some hosts swallow the errors of a SELECT.
    #[doc(hidden)]
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What a bug report needs: version, source, engine, features, formats, what locks it. Never a key.
    #[doc(hidden)]
    pub fn debug(&self) -> String {
        let formats: Vec<_> = crate::provider::all().map(|p| p.spec().name).collect();
        let features: Vec<_> = [
            (cfg!(feature = "sqlite"), "sqlite"),
            (cfg!(feature = "static"), "static"),
            (cfg!(feature = "libsql"), "libsql"),
            (cfg!(feature = "rusqlite"), "rusqlite"),
            (cfg!(feature = "limbo"), "limbo"),
            (cfg!(feature = "limbo-static"), "limbo-static"),
            (cfg!(feature = "turso"), "turso"),
            (cfg!(feature = "turso-static"), "turso-static"),
            (cfg!(feature = "local"), "local"),
            (cfg!(feature = "rigged"), "rigged"),
        ]
        .iter()
        .filter_map(|(on, name)| on.then_some(*name))
        .collect();
        let clients = self.clients().unwrap_or_default();
        let prefixed: Vec<_> = clients
            .iter()
            .flat_map(|entry| entry.client.applied_prefixes().map(|(name, text)| (&entry.client, name, text)))
            .map(|(client, name, text)| format!("{} ({}): {name} {text:?}\n", client.name(), client.model()))
            .collect();
        format!(
            "Version: {VERSION}\nSource: {}\nEngine: {}\nFeatures: {}\nFormats: {}\nLocked: {}\n{}",
            env!("REMBED_COMMIT"),
            self.engine,
            features.join(", "),
            formats.join(", "),
            self.registry.locked().map_or_else(|| "no".into(), |lock| format!("by {}", lock.name())),
            prefixed.concat()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_holds_what_a_report_needs() {
        let text = Session::new("SQLite 3.40.1", Arc::new(Uninterrupted), None).debug();
        for part in [VERSION, "SQLite 3.40.1", "openai, nomic, cohere", "Features:", "Source: "] {
            assert!(text.contains(part), "{text}");
        }
    }
}
