//! The clients of one scope, found by their names and by their rows' numbers.

use std::collections::BTreeMap;

use super::Entry;

/// Entries by name, and their names by rowid.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clients {
    by_name: BTreeMap<String, Entry>,
    names: BTreeMap<i64, String>,
}

impl Clients {
    /// The entry of the client `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name)
    }

    /// The entry of the row `rowid`.
    pub(super) fn row(&self, rowid: i64) -> Option<&Entry> {
        self.by_name.get(self.names.get(&rowid)?)
    }

    /// Puts an entry in the place of one of its name. No other has its rowid.
    pub(super) fn insert(&mut self, entry: Entry) {
        let name = entry.client.name().to_owned();
        self.remove(&name);
        self.names.insert(entry.rowid, name.clone());
        self.by_name.insert(name, entry);
    }

    /// Takes the entry of the client `name` out.
    pub(super) fn remove(&mut self, name: &str) -> Option<Entry> {
        let entry = self.by_name.remove(name)?;
        self.names.remove(&entry.rowid);
        Some(entry)
    }

    /// All entries, by name.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.by_name.values()
    }

    /// The largest rowid that is less than `bound`.
    pub(super) fn last_row(&self, bound: i64) -> Option<i64> {
        self.names.range(..bound).next_back().map(|(rowid, _)| *rowid)
    }
}

impl FromIterator<Entry> for Clients {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Clients {
        let mut clients = Clients::default();
        entries.into_iter().for_each(|entry| clients.insert(entry));
        clients
    }
}
