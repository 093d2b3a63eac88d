//! The table `rembed_clients`: what a statement on it says, and what becomes of the client.

use std::borrow::Cow;

use super::session::Session;
use crate::base::error::{Error, Result};
use crate::client::options::{Key, Options, Scope};
use crate::client::registry::{Entry, read_only};
use crate::client::secret::Secret;
use crate::client::{Client, policy};
use crate::provider;
use crate::sql::value::{Output, Value};

/// A column of a statement on `rembed_clients`: not mentioned, NULL, or a text.
pub type Column<'a> = Option<Option<&'a str>>;
/// A [`Column`] as a backend reads it: the text is the engine's, or a copy where the engine has none.
pub type Given<'a> = Option<Option<Cow<'a, str>>>;

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

/// The rows of a scan, as they were when it began.
#[derive(Default)]
pub struct Scanned {
    rows: std::vec::IntoIter<Entry>,
    current: Option<Entry>,
}

impl Scanned {
    /// At the first of `rows`.
    pub fn new(rows: Vec<Entry>) -> Scanned {
        let mut rows = rows.into_iter();
        Scanned { current: rows.next(), rows }
    }

    /// Goes to the next row.
    pub fn advance(&mut self) {
        self.current = self.rows.next();
    }

    /// The row where the scan stands; none behind the last one.
    pub fn current(&self) -> Option<&Entry> {
        self.current.as_ref()
    }

    /// A column of that row, by its place in [`Columns::NAMES`].
    pub fn column(&self, column: usize) -> Output {
        let text = self.current().and_then(|entry| entry.client.column(column));
        text.map_or(Output::Null, |text| Output::Text(text.into()))
    }
}

/// The columns that an engine passes, in the order of [`Columns::NAMES`]. What an UPDATE leaves alone is not mentioned.
///
/// # Errors
/// A BLOB; text that is not UTF-8.
pub fn texts<V: Value>(columns: &[V]) -> Result<Vec<Given<'_>>> {
    let named = Columns::NAMES.iter().zip(columns);
    let texts = named.map(|(name, value)| match value.is_unchanged() {
        true => Ok(None),
        false => value.text(name).map(Some).map_err(Error::Invalid),
    });
    texts.collect()
}

#[doc(hidden)]
impl Session {
    /// The rows of `rembed_clients`.
    ///
    /// # Errors
    /// A `REMBED_CONFIG` that cannot be read.
    pub fn clients(&self) -> Result<Vec<Entry>> {
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
        self.registry.check_unlocked()?;
        let Some(Some(name)) = columns.name else {
            return Err(no_name());
        };
        let client = Client::new(name, columns.apply(Options::default())?)?;
        self.registry.insert(client, rowid, replace)
    }

    /// UPDATE of the row `rowid`. A new server drops the literal key, unless the same statement sets one: a
    /// key must not follow a URL to another server.
    ///
    /// # Errors
    /// As [`Session::insert`]; a client of `REMBED_CONFIG`. The row stays as it was.
    pub fn update(&self, rowid: i64, new_rowid: i64, columns: &Columns<'_>, replace: bool) -> Result<()> {
        self.registry.check_unlocked()?;
        let Some(old) = self.registry.row(rowid)? else {
            return Ok(());
        };
        let old_name = old.client.name();
        if old.read_only {
            return Err(read_only(old_name));
        }
        let columns = columns.changed(&old.client);
        let name = match columns.name {
            Some(Some(name)) => name,
            Some(None) => return Err(no_name()),
            None => old_name,
        };
        let mut before = old.client.options().clone();
        if before.model.is_none() && name != old_name && old.client.local().is_none() {
            // The old name was the model by default, and is still the model under the new name.
            before.model = Some(old_name.to_owned());
        }
        let mut after = columns.apply(before)?;
        for (name, text) in old.client.applied_prefixes() {
            after.forget_prefix(name, text);
        }
        let client = Client::new(name, after)?;
        let moved = new_rowid != rowid;
        let stays = client.scope() == Scope::Connection && old.client.scope() == Scope::Connection;
        let rowid = (moved || stays).then_some(new_rowid);
        self.registry.update(&old, client, rowid, replace)
    }

    /// DELETE of the row `rowid`.
    ///
    /// # Errors
    /// A client of `REMBED_CONFIG`; a session that is locked.
    pub fn delete(&self, rowid: i64) -> Result<()> {
        self.registry.check_unlocked()?;
        match self.registry.row(rowid)? {
            Some(entry) => self.registry.remove(entry.client.name()).map(drop),
            None => Ok(()),
        }
    }
}

impl<'a> Columns<'a> {
    /// The columns of `rembed_clients`, in their order.
    pub const NAMES: [&'static str; 6] = ["name", "format", "model", "url", "key", "options"];

    /// Columns given in the order of [`Columns::NAMES`]; those that are missing are not mentioned.
    pub fn of(texts: &'a [Given<'_>]) -> Columns<'a> {
        let column = |i: usize| texts.get(i).and_then(|given| given.as_ref().map(Option::as_deref));
        Columns {
            name: column(0),
            format: column(1),
            model: column(2),
            url: column(3),
            key: column(4),
            options: column(5),
        }
    }

    /// Without the columns whose new value is what the table shows: UPDATE … FROM writes back what it has read, and `***` is
    /// not the key.
    fn changed(self, old: &Client) -> Columns<'a> {
        let unless =
            |column: Column<'a>, shown: Option<String>| column.filter(|new| *new != shown.as_deref());
        Columns {
            name: unless(self.name, Some(old.name().into())),
            format: unless(self.format, Some(old.format().into())),
            model: unless(self.model, Some(old.model().into())),
            url: unless(self.url, old.url()),
            key: unless(self.key, old.shown_key()),
            options: unless(self.options, Some(old.shown_options())),
        }
    }

    /// What a client's options become by this statement.
    fn apply(&self, before: Options) -> Result<Options> {
        let mut after = match self.options {
            Some(text) => {
                let mut given = text.map_or(Ok(Options::default()), Options::parse)?;
                given.keep_scope(&before);
                given
            }
            // All options stay as they are but those that have a column, which are settled below.
            None => Options { format: None, model: None, url: None, key: None, ..before.clone() },
        };
        let old_server = (before.url.clone(), before.format.clone(), token_server(&before));
        let text = |t: &str| Ok(t.trim().to_owned());
        let key_given = after.key.is_some() || self.key.is_some();
        after.format = settle("format", self.format, after.format, before.format, |t| {
            Ok(t.trim().to_ascii_lowercase())
        })?;
        after.model = settle("model", self.model, after.model, before.model, text)?;
        after.url = settle("url", self.url, after.url, before.url, text)?;
        after.key = settle("key", self.key, after.key, before.key, |t| match t {
            "" => Ok(Key::None),
            key => Ok(Key::Secret(Secret::parse(key)?)),
        })?;
        // Without a url, the format says where requests go.
        let is_other = after.url != old_server.0 || (after.url.is_none() && after.format != old_server.1);
        if is_other || token_server(&after) != old_server.2 {
            if !key_given && matches!(&after.key, Some(Key::Secret(key)) if key.is_literal()) {
                after.key = None;
            }
            if self.options.is_none() {
                after.drop_headers(|name, value| policy::is_secret(name, value) && value.is_literal());
            }
        }
        Ok(after)
    }
}

/// Who is given the key instead of the server at the url.
fn token_server(options: &Options) -> Option<String> {
    let spec = provider::find(options.format.as_deref()?)?.spec();
    options.token_url.clone().or(spec.token_url.map(str::to_owned))
}

/// The new value of what has a column and a field in the options. Both may be given, but must not differ. A column that is
/// NULL takes the old value away.
fn settle<T: PartialEq>(
    name: &str,
    column: Column<'_>,
    in_options: Option<T>,
    before: Option<T>,
    read: impl Fn(&str) -> Result<T>,
) -> Result<Option<T>> {
    match (column, in_options) {
        (Some(Some(text)), given) => {
            let new = read(text)?;
            match given {
                Some(given) if given != new => Err(Error::invalid(format!(
                    "'{name}' is given twice: by the column and by the options, with different values"
                ))),
                _ => Ok(Some(new)),
            }
        }
        (_, Some(given)) => Ok(Some(given)),
        (Some(None), None) => Ok(None),
        (None, None) => Ok(before),
    }
}

/// The error of a row without a name.
pub fn no_name() -> Error {
    Error::Constraint { constraint: "NOT NULL", column: "name", value: String::new() }
}

#[cfg(test)]
mod tests;
