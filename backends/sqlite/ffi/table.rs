//! The table of functions that a host passes to the entry point
//! (<https://www.sqlite.org/loadext.html#statically_linking_a_run_time_loadable_extension>): the same build serves one
//! that loads the library and one that links it.

use std::ffi::c_int;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::{InUse, open_connections, sqlite3, sqlite3_api_routines};

/// The oldest SQLite whose table has every function used without a check of the version: 3.34.0.
const OLDEST: c_int = 3_034_000;

static API: AtomicPtr<sqlite3_api_routines> = AtomicPtr::new(std::ptr::null_mut());

/// The table in use; NULL before [`attach`].
pub fn get() -> *mut sqlite3_api_routines {
    API.load(Ordering::Acquire)
}

/// Takes the table of the SQLite that calls the entry point for `db`; `None` where that was done before.
///
/// # Errors
/// No table; one of an SQLite that is too old; one of a second SQLite while connections of a first are open,
/// since the C API gives a function no way to tell which one called it.
///
/// # Safety
/// `api` is NULL or SQLite's table, which lives as long as that SQLite is mapped.
pub unsafe fn attach(
    db: *mut sqlite3,
    api: *mut sqlite3_api_routines,
) -> Result<Option<InUse>, &'static str> {
    if api.is_null() {
        return Err("rembed: SQLite passed no API table (is it built with SQLITE_OMIT_LOAD_EXTENSION?)");
    }
    // SAFETY: not NULL, so it is SQLite's table.
    let version = unsafe { (*api).libversion_number.map_or(0, |f| f()) };
    if version < OLDEST {
        return Err("rembed: needs SQLite 3.34.0 or later");
    }
    let mut open = open_connections();
    if get() != api {
        if !open.is_empty() {
            return Err("rembed: another SQLite library of this process uses this copy of the extension: \
                        load a copy of the file under another name");
        }
        API.store(api, Ordering::Release);
    }
    Ok(InUse::count(&mut open, db))
}
