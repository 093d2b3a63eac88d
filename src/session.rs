//! What one connection sees: the core's whole face to a backend.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::client::Client;
use crate::embed::embed;
use crate::error::{Error, Result};
use crate::options::{self, Key, Options};
use crate::registry::{Entry, Registry, read_only};
use crate::secret::Secret;
use crate::transport::{Interrupt, policy};
use crate::vector::Vectors;

/// The crate's version as `rembed_version()` gives it.
pub const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// A column of a statement on `rembed_clients`: not mentioned, NULL, or a text.
pub type Column<'a> = Option<Option<&'a str>>;

/// The columns of a statement on `rembed_clients`.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)] // each field is the column of its name
pub struct Columns<'a> {
    pub name: Column<'a>,
    pub format: Column<'a>,
    pub model: Column<'a>,
    pub url: Column<'a>,
    pub key: Column<'a>,
    pub options: Column<'a>,
}

/// The state of one connection.
pub struct Session {
    registry: Registry,
    interrupt: Arc<dyn Interrupt>,
    last_error: Mutex<Option<String>>,
}

impl Session {
    /// A session whose waits end when `interrupt` says so.
    pub fn new(interrupt: Arc<dyn Interrupt>) -> Session {
        Session { registry: Registry::default(), interrupt, last_error: Mutex::new(None) }
    }

    /// Embeds `texts` by the client of this name: one embedding a text, in their order.
    ///
    /// # Errors
    /// An unknown client, a request that failed, an interrupt.
    pub fn embed(&self, client: &str, texts: &[&str], input_type: Option<&str>) -> Result<Vectors> {
        embed(&*self.registry.get(client)?, texts, input_type, &self.interrupt)
    }

    /// The error of an input of `client` that cannot be embedded.
    pub fn bad_input(&self, client: &str, why: &str) -> Error {
        match self.registry.get(client) {
            Ok(client) => Error::invalid(format!("client '{}' ({}): {why}", client.name(), client.format())),
            Err(e) => e,
        }
    }

    /// Registers or replaces a client. No table is touched.
    ///
    /// # Errors
    /// Options that are wrong or that the format cannot carry out.
    pub fn register(&self, name: &str, document: Map<String, Value>) -> Result<()> {
        let client = Client::new(name, Options::from_map(document)?)?;
        self.registry.insert(client, None, true).map(drop)
    }

    /// Takes a client away. Returns whether there was one.
    ///
    /// # Errors
    /// A client of `REMBED_CONFIG`.
    pub fn unregister(&self, name: &str) -> Result<bool> {
        self.registry.remove(name)
    }

    /// The rows of `rembed_clients`.
    ///
    /// # Errors
    /// A `REMBED_CONFIG` that cannot be read.
    pub fn rows(&self) -> Result<Vec<Entry>> {
        self.registry.list()
    }

    /// The row of the client `name`.
    ///
    /// # Errors
    /// A `REMBED_CONFIG` that cannot be read.
    pub fn row_named(&self, name: &str) -> Result<Option<Entry>> {
        self.registry.named(name)
    }

    /// The row `rowid`.
    ///
    /// # Errors
    /// A `REMBED_CONFIG` that cannot be read.
    pub fn row(&self, rowid: i64) -> Result<Option<Entry>> {
        self.registry.row(rowid)
    }

    /// INSERT, or INSERT OR REPLACE. Returns the rowid.
    ///
    /// # Errors
    /// A name or rowid that is taken, or what [`Session::register`] refuses.
    pub fn insert(&self, columns: &Columns<'_>, rowid: Option<i64>, replace: bool) -> Result<i64> {
        let Some(Some(name)) = columns.name else {
            return Err(Error::invalid("rembed_clients: a client needs a name"));
        };
        let client = Client::new(name, columns.apply(Options::default())?)?;
        self.registry.insert(client, rowid, replace)
    }

    /// UPDATE of the row `rowid`. A new `url` drops the literal key, unless the same statement sets one: a
    /// key must not follow a URL to another server.
    ///
    /// # Errors
    /// As [`Session::insert`]; a client of `REMBED_CONFIG`. The row stays as it was.
    pub fn update(&self, rowid: i64, new_rowid: i64, columns: &Columns<'_>, replace: bool) -> Result<()> {
        let Some(old) = self.registry.row(rowid)? else {
            return Ok(());
        };
        let old_name = old.client.name();
        if old.read_only {
            return Err(read_only(old_name));
        }
        let name = match columns.name {
            Some(Some(name)) => name,
            Some(None) => return Err(Error::invalid("rembed_clients: a client needs a name")),
            None => old_name,
        };
        let mut before = old.client.options().clone();
        if before.model.is_none() && name != old_name {
            // The model was the old name, and stays it.
            before.model = Some(old_name.to_owned());
        }
        let client = Client::new(name, columns.apply(before)?)?;
        let moved = new_rowid != rowid;
        let renamed = name != old_name;
        if !replace {
            if renamed && self.registry.named(name)?.is_some_and(|e| !e.read_only) {
                return Err(Error::Duplicate { column: "name", value: name.into() });
            }
            if moved && self.registry.row(new_rowid)?.is_some() {
                return Err(Error::Duplicate { column: "rowid", value: new_rowid.to_string() });
            }
        }
        let process = client.scope() == options::Scope::Process;
        if renamed || client.scope() != old.client.scope() {
            self.registry.remove(old_name)?;
        }
        self.registry.insert(client, (!process).then_some(new_rowid), true).map(drop)
    }

    /// DELETE of the row `rowid`.
    ///
    /// # Errors
    /// A client of `REMBED_CONFIG`.
    pub fn delete(&self, rowid: i64) -> Result<()> {
        match self.registry.row(rowid)? {
            Some(entry) => self.registry.remove(entry.client.name()).map(drop),
            None => Ok(()),
        }
    }

    /// Keeps the text of an error for [`Session::last_error`].
    pub fn note_error(&self, text: &str) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
    }

    /// The last error's text: some hosts swallow the errors of a SELECT.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The lines of `rembed_debug()`, for an engine named `engine`.
pub fn debug(engine: &str) -> String {
    let formats: Vec<_> = crate::provider::all().map(|p| p.spec().name).collect();
    let features: Vec<_> = [
        (cfg!(feature = "sqlite"), "sqlite"),
        (cfg!(feature = "static"), "static"),
        (cfg!(feature = "rigged"), "rigged"),
    ]
    .iter()
    .filter_map(|(on, name)| on.then_some(*name))
    .collect();
    format!(
        "Version: {VERSION}\nSource: {}\nEngine: {engine}\nFeatures: {}\nFormats: {}\n",
        env!("REMBED_COMMIT"),
        features.join(", "),
        formats.join(", ")
    )
}

impl Columns<'_> {
    /// What a client's options become by this statement.
    fn apply(&self, before: Options) -> Result<Options> {
        let old_url = before.url.clone();
        let mut named = [false; 4];
        let mut after = match self.options {
            None => before,
            Some(text) => {
                let mut given = match text {
                    Some(text) => Options::parse(text)?,
                    None => Options::default(),
                };
                named =
                    [given.format.is_some(), given.model.is_some(), given.url.is_some(), given.key.is_some()];
                given.keep(before);
                given
            }
        };
        let text = |t: &str| Ok(t.trim().to_owned());
        set(&mut after.format, self.format, named[0], "format", |t| Ok(t.trim().to_ascii_lowercase()))?;
        set(&mut after.model, self.model, named[1], "model", text)?;
        set(&mut after.url, self.url, named[2], "url", text)?;
        set(&mut after.key, self.key, named[3], "key", |t| match t {
            "" => Ok(Key::None),
            key => Ok(Key::Secret(Secret::parse(key)?)),
        })?;
        let key_given = named[3] || self.key.is_some();
        if after.url != old_url {
            if !key_given && matches!(&after.key, Some(Key::Secret(key)) if key.is_literal()) {
                after.key = None;
            }
            if self.options.is_none() {
                after.drop_headers(|name, value| policy::is_secret_header(name) && value.is_literal());
            }
        }
        Ok(after)
    }
}

/// Sets what a column and a field of the options may both say, but not differently.
fn set<T: PartialEq>(
    value: &mut Option<T>,
    column: Column<'_>,
    in_options: bool,
    name: &str,
    read: impl Fn(&str) -> Result<T>,
) -> Result<()> {
    let Some(column) = column else { return Ok(()) };
    let new = column.map(read).transpose()?;
    if in_options {
        if new.is_some() && new != *value {
            return Err(Error::invalid(format!(
                "'{name}' is given twice: by the column and by the options, with different values"
            )));
        }
        return Ok(());
    }
    *value = new;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Never;

    fn session() -> Session {
        Session::new(Arc::new(Never))
    }

    fn add(session: &Session, options: &str) -> Result<i64> {
        let columns = Columns { name: Some(Some("c")), options: Some(Some(options)), ..Columns::default() };
        session.insert(&columns, None, false)
    }

    fn row(session: &Session) -> (String, Option<String>, String) {
        let client = session.row_named("c").unwrap().unwrap().client;
        (client.model().into(), client.shown_key(), client.shown_options())
    }

    #[test]
    fn a_new_url_drops_a_literal_key_unless_one_is_given() {
        let s = session();
        let id =
            add(&s, r#"{"format":"openai","key":"sk-1","headers":{"api-key":"k","x-org":"o"}}"#).unwrap();
        let url = Columns { url: Some(Some("http://localhost:1")), ..Columns::default() };
        s.update(id, id, &url, false).unwrap();
        assert_eq!(row(&s), ("c".into(), None, r#"{"headers":{"x-org":"***"}}"#.into()));
        let both = Columns { url: Some(Some("http://localhost:2")), key: Some(Some("sk-2")), ..url };
        s.update(id, id, &both, false).unwrap();
        assert_eq!(row(&s).1.as_deref(), Some("***"));
        let reference = Columns { key: Some(Some("env:K")), ..Columns::default() };
        s.update(id, id, &reference, false).unwrap();
        s.update(id, id, &url, false).unwrap();
        assert_eq!(row(&s).1.as_deref(), Some("env:K"));
    }

    #[test]
    fn an_update_changes_what_it_names_and_a_failed_one_nothing() {
        let s = session();
        let id = add(&s, r#"{"format":"openai","dimensions":4,"key":"sk-1"}"#).unwrap();
        let model = Columns { model: Some(Some("big")), ..Columns::default() };
        s.update(id, id, &model, false).unwrap();
        assert_eq!(row(&s), ("big".into(), Some("***".into()), r#"{"dimensions":4}"#.into()));
        let bad = Columns { format: Some(Some("nope")), ..Columns::default() };
        assert!(s.update(id, id, &bad, false).is_err());
        let options = Columns { options: Some(Some(r#"{"retries":1}"#)), ..Columns::default() };
        s.update(id, id, &options, false).unwrap();
        assert_eq!(row(&s), ("big".into(), Some("***".into()), r#"{"retries":1}"#.into()));
        let name = Columns { name: Some(Some("d")), ..Columns::default() };
        s.update(id, 9, &name, false).unwrap();
        assert!(s.row_named("c").unwrap().is_none());
        assert_eq!(s.row(9).unwrap().unwrap().client.name(), "d");
    }

    #[test]
    fn a_column_and_the_options_may_not_disagree() {
        let s = session();
        let columns = Columns {
            name: Some(Some("c")),
            model: Some(Some("a")),
            options: Some(Some(r#"{"format":"openai","model":"b"}"#)),
            ..Columns::default()
        };
        assert!(s.insert(&columns, None, false).unwrap_err().to_string().contains("given twice"));
        let agree = Columns { model: Some(Some("b")), ..columns };
        s.insert(&agree, None, false).unwrap();
    }

    #[test]
    fn the_model_survives_a_new_name() {
        let s = session();
        let id = add(&s, "openai").unwrap();
        let name = Columns { name: Some(Some("d")), ..Columns::default() };
        s.update(id, id, &name, false).unwrap();
        assert_eq!(s.row(id).unwrap().unwrap().client.model(), "c");
    }

    #[test]
    fn debug_holds_what_a_report_needs() {
        let text = debug("SQLite 3.40.1");
        for part in [VERSION, "SQLite 3.40.1", "openai, nomic, cohere", "Features:", "Source: "] {
            assert!(text.contains(part), "{text}");
        }
    }
}
