//! Where a client is put, and the number of its row.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::{Clients, Entry};
use crate::base::error::{Error, Result};
use crate::client::Client;
use crate::client::options::Scope;

/// Rows that several sessions see are numbered from here, those of one session from 1.
const FIRST_SHARED: i64 = 1 << 32;
static SHARED_ROWIDS: AtomicI64 = AtomicI64::new(FIRST_SHARED);

/// The number of a row that several sessions see. Relaxed, for the counter alone is read: no number is given twice.
pub(super) fn shared_rowid() -> i64 {
    SHARED_ROWIDS.fetch_add(1, Ordering::Relaxed)
}

/// Adds `client` to the clients of its scope. Returns its rowid.
///
/// # Errors
/// A name or rowid that is taken, unless `replace`; a `rowid` that cannot be had.
pub(super) fn insert(
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
    let before = shared.as_ref().and_then(|shared| shared.get(name)).or_else(|| own.get(name));
    if before.is_some() && !replace {
        return Err(Error::taken("name", name));
    }
    // A client that is registered again as it is counts on.
    let client = match before {
        Some(before) if before.client.is_alike(&client) => client.clone().counting_as(&before.client),
        _ => client.clone(),
    };
    let other = rowid.and_then(|rowid| own.row(rowid)).filter(|e| e.client.name() != name);
    if let Some(other) = other.map(|e| e.client.name().to_owned()) {
        if !replace {
            return Err(Error::taken("rowid", rowid.unwrap_or_default()));
        }
        own.remove(&other);
    }
    // Also for a client of the process: a client of this connection by the same name would hide it.
    let replaced = own.remove(name);
    let rowid = if process {
        shared_rowid()
    } else {
        rowid.or(replaced.map(|e| e.rowid)).unwrap_or_else(|| free_rowid(own))
    };
    shared.unwrap_or(own).insert(Entry { rowid, client, read_only: false });
    Ok(rowid)
}

/// One more than the largest, or the lowest that is free.
fn free_rowid(own: &Clients) -> i64 {
    match own.last_row(FIRST_SHARED) {
        Some(last) if last + 1 == FIRST_SHARED => (1..).find(|id| own.row(*id).is_none()).unwrap_or(1),
        Some(last) => last + 1,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Registry;
    use super::super::tests::{client, names};
    use super::*;

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
}
