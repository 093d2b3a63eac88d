//! The table of functions that a host passes to the entry point
//! (<https://www.sqlite.org/loadext.html#statically_linking_a_run_time_loadable_extension>): the same build serves one
//! that loads the library and one that links it.

use std::ffi::c_int;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::sqlite3_api_routines;

/// The oldest SQLite whose table has every function used without a check of the version: 3.34.0.
const OLDEST: c_int = 3_034_000;

static API: AtomicPtr<sqlite3_api_routines> = AtomicPtr::new(std::ptr::null_mut());

/// The table in use; NULL before [`set`].
pub fn get() -> *mut sqlite3_api_routines {
    API.load(Ordering::Acquire)
}

/// Uses `api` from now on.
///
/// # Safety
/// [`check`] has accepted it, and no function of another table is called any more.
pub unsafe fn set(api: *mut sqlite3_api_routines) {
    API.store(api, Ordering::Release);
}

/// Whether the table that a host passes has what is used here.
///
/// # Errors
/// No table; one of an SQLite that is too old.
///
/// # Safety
/// `api` is NULL or SQLite's table, which lives as long as that SQLite is mapped.
pub unsafe fn check(api: *mut sqlite3_api_routines) -> Result<(), &'static str> {
    if api.is_null() {
        return Err("rembed: SQLite passed no API table (is it built with SQLITE_OMIT_LOAD_EXTENSION?)");
    }
    // SAFETY: not NULL, so it is SQLite's table.
    let version = unsafe { (*api).libversion_number.map_or(0, |f| f()) };
    match version < OLDEST {
        true => Err("rembed: needs SQLite 3.34.0 or later"),
        false => Ok(()),
    }
}
