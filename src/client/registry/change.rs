//! What was done to the clients of one name, so that it can be undone.

use std::sync::Arc;

use super::{Clients, Entry, Registry, SHARED, read, write};

/// The entries of one name in the two scopes that can be changed.
#[derive(Debug, Clone)]
struct Entries {
    own: Option<Entry>,
    shared: Option<Entry>,
}

/// A name, with its entries before and after a change.
#[derive(Debug)]
pub struct Change {
    name: String,
    before: Entries,
    after: Entries,
}

impl Registry {
    /// Does `work`, and says what it has changed of `names`.
    pub fn changes_of<T>(&self, names: &[&str], work: impl FnOnce() -> T) -> (T, Vec<Change>) {
        let before: Vec<_> = names.iter().map(|name| self.entries_of(name)).collect();
        let done = work();
        let changed = |(name, before): (&&str, Entries)| {
            let after = self.entries_of(name);
            let same = is_same(before.own.as_ref(), after.own.as_ref())
                && is_same(before.shared.as_ref(), after.shared.as_ref());
            (!same).then(|| Change { name: (*name).to_owned(), before, after })
        };
        (done, names.iter().zip(before).filter_map(changed).collect())
    }

    /// Undoes `changes`, the last one first. A locked registry stays as it is.
    pub fn undo(&self, changes: &[Change]) {
        changes.iter().rev().for_each(|change| self.replace(&change.name, &change.after, &change.before));
    }

    /// Does again what was undone.
    pub fn redo(&self, changes: &[Change]) {
        changes.iter().for_each(|change| self.replace(&change.name, &change.before, &change.after));
    }

    fn entries_of(&self, name: &str) -> Entries {
        let (own, shared) = (read(&self.own), read(&SHARED));
        Entries { own: own.get(name).cloned(), shared: shared.get(name).cloned() }
    }

    /// Puts the entries `to` in the place of `from`. Where somebody else has put others since then, they stay.
    fn replace(&self, name: &str, from: &Entries, to: &Entries) {
        let Ok(mut own) = self.write_own() else { return };
        replace(&mut own, name, from.own.as_ref(), to.own.as_ref());
        if !is_same(from.shared.as_ref(), to.shared.as_ref()) {
            replace(&mut write(&SHARED), name, from.shared.as_ref(), to.shared.as_ref());
        }
    }
}

fn replace(clients: &mut Clients, name: &str, from: Option<&Entry>, to: Option<&Entry>) {
    if is_same(clients.get(name), from) {
        clients.remove(name);
        to.into_iter().for_each(|entry| clients.insert(entry.clone()));
    }
}

fn is_same(one: Option<&Entry>, other: Option<&Entry>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.rowid == other.rowid && Arc::ptr_eq(&one.client, &other.client),
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{client, names};
    use super::*;

    #[test]
    fn a_change_is_undone_and_done_again_in_both_scopes() {
        let r = Registry::default();
        r.insert(client("reg-undo-moves", "connection"), None, false).unwrap();
        let old = r.named("reg-undo-moves").unwrap().unwrap();
        let (done, moved) = r.changes_of(&["reg-undo-moves", "reg-undo-new"], || {
            r.update(&old, client("reg-undo-new", "connection"), Some(old.rowid), false)
        });
        done.unwrap();
        let (done, added) =
            r.changes_of(&["reg-undo-moves"], || r.insert(client("reg-undo-moves", "process"), None, false));
        done.unwrap();
        let all: Vec<_> = moved.into_iter().chain(added).collect();
        assert_eq!(all.len(), 3);
        let mine = |r: &Registry| {
            let mut all = names(r);
            all.retain(|name| name.starts_with("reg-undo"));
            all
        };
        assert_eq!(mine(&r), ["reg-undo-new", "reg-undo-moves"]);
        r.undo(&all);
        assert_eq!(mine(&r), ["reg-undo-moves"]);
        assert!(is_same(r.named("reg-undo-moves").unwrap().as_ref(), Some(&old)));
        assert!(mine(&Registry::default()).is_empty());
        r.redo(&all);
        assert_eq!(mine(&r), ["reg-undo-new", "reg-undo-moves"]);
        assert_eq!(mine(&Registry::default()), ["reg-undo-moves"]);
        // Another session has replaced the client of the process: that is not undone.
        Registry::default().insert(client("reg-undo-moves", "process"), None, true).unwrap();
        r.undo(&all);
        assert_eq!(mine(&Registry::default()), ["reg-undo-moves"]);
        r.remove("reg-undo-moves").unwrap();
        Registry::default().remove("reg-undo-moves").unwrap();
    }
}
