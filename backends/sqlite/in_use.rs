//! Which connections have our functions. While there is one, the table of SQLite's functions must stay the one it is of.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ffi::sqlite3;
#[cfg(feature = "sqlite")]
use super::ffi::{sqlite3_api_routines, table};
use crate::base::process::PerProcess;

/// What is known of a connection: which registration counts it, and whether that registered everything.
#[derive(Clone, Copy)]
struct State {
    registration: u64,
    complete: bool,
}

/// The connections, by address.
type Connections = BTreeMap<usize, State>;

static OPEN: PerProcess<Mutex<Connections>> = PerProcess::new(|parent| {
    let inherited = parent.and_then(|parent| parent.try_lock().ok().map(|open| open.clone()));
    Mutex::new(inherited.unwrap_or_default())
});

fn open_connections() -> MutexGuard<'static, Connections> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    static OPENS_OUR_OWN: Cell<bool> = const { Cell::new(false) };
}

/// Opens a connection that is to have none of our functions, by `open`: SQLite may call our entry point for it, as for
/// every connection of the process.
pub fn opening_our_own<T>(open: impl FnOnce() -> T) -> T {
    OPENS_OUR_OWN.set(true);
    let opened = open();
    OPENS_OUR_OWN.set(false);
    opened
}

/// Counts a connection as one that has our functions, while it lives. SQLite drops what is registered in a connection
/// before it frees the connection, so no two open ones have the same address.
#[derive(Debug)]
pub struct InUse {
    address: usize,
    registration: u64,
}

impl InUse {
    /// Counts `db`; `None` where nothing is to be registered: all is there, or the connection is
    /// [our own](opening_our_own). One whose registration stopped halfway is counted anew.
    fn count(open: &mut Connections, db: *mut sqlite3) -> Option<InUse> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let address = db.addr();
        if OPENS_OUR_OWN.get() || open.get(&address).is_some_and(|state| state.complete) {
            return None;
        }
        let registration = COUNT.fetch_add(1, Ordering::Relaxed);
        open.insert(address, State { registration, complete: false });
        Some(InUse { address, registration })
    }

    /// Says that everything is registered.
    pub fn complete(&self) {
        let state = State { registration: self.registration, complete: true };
        open_connections().insert(self.address, state);
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut open = open_connections();
        // A later registration in the same connection keeps it counted.
        if open.get(&self.address).is_some_and(|state| state.registration == self.registration) {
            open.remove(&self.address);
        }
    }
}

/// Counts `db`; `None` where nothing is to be registered.
#[cfg(not(feature = "sqlite"))]
pub fn attach(db: *mut sqlite3) -> Option<InUse> {
    InUse::count(&mut open_connections(), db)
}

/// Counts `db`, and takes the table of the SQLite that calls the entry point for it; `None` where nothing is to be
/// registered.
///
/// # Errors
/// A table that is of no use ([`table::check`]); one of a second SQLite while connections of a first are open, since the
/// C API gives a function no way to tell which one called it.
///
/// # Safety
/// As [`table::check`].
#[cfg(feature = "sqlite")]
pub unsafe fn attach(
    db: *mut sqlite3,
    api: *mut sqlite3_api_routines,
) -> Result<Option<InUse>, &'static str> {
    // SAFETY: the same contract.
    unsafe { table::check(api)? };
    let mut open = open_connections();
    if table::get() != api {
        if !open.is_empty() {
            return Err("rembed: another SQLite library of this process uses this copy of the extension: \
                        load a copy of the file under another name");
        }
        // SAFETY: accepted above, and no connection calls functions of the table before it.
        unsafe { table::set(api) };
    }
    Ok(InUse::count(&mut open, db))
}
