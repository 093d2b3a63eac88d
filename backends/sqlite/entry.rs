//! The entry points that a host calls by name, with its table of functions.

use std::ffi::{c_char, c_int};

use super::ffi::{code, sqlite3, sqlite3_api_routines};
use super::in_use;
use super::register::register;
use super::value::c_string;
use crate::base::guard::guard;

/// Entry point of `rembed0.so`, and of hosts that link the library: registers everything in `db`.
/// See <https://www.sqlite.org/loadext.html> and `include/rembed.h`.
///
/// # Safety
/// To be called by SQLite: `db` is an open connection, `error` NULL or a place for a message, `api` SQLite's
/// table of API routines or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_rembed_init(
    db: *mut sqlite3,
    error: *mut *mut c_char,
    api: *mut sqlite3_api_routines,
) -> c_int {
    // SAFETY: the same contract.
    unsafe { entry(db, error, api) }
}

/// The entry point that SQLite derives from the file name `libsqlite_rembed.so`.
///
/// # Safety
/// As [`sqlite3_rembed_init`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_sqliterembed_init(
    db: *mut sqlite3,
    error: *mut *mut c_char,
    api: *mut sqlite3_api_routines,
) -> c_int {
    // SAFETY: the same contract.
    unsafe { entry(db, error, api) }
}

/// What both entry points do. One does not call the other: SQLite opens libraries with RTLD_GLOBAL, so an exported name
/// means the function of the library that was loaded first.
unsafe fn entry(db: *mut sqlite3, error: *mut *mut c_char, api: *mut sqlite3_api_routines) -> c_int {
    // SAFETY: passed on as SQLite gave it.
    match guard(|| unsafe { init(db, api) }) {
        Ok(Ok(())) => code::OK,
        Ok(Err(text)) | Err(text) => {
            // SAFETY: a table that is not NULL is SQLite's, and its malloc64 is what SQLite frees with.
            unsafe {
                // Read by the pointer: a reference claims the whole type, and the table of an old SQLite is shorter.
                let malloc = if api.is_null() { None } else { (*api).malloc64 };
                if let (Some(malloc), Some(error)) = (malloc, error.as_mut()) {
                    *error = c_string(|n| malloc(n).cast(), &text);
                }
            }
            code::ERROR
        }
    }
}

unsafe fn init(db: *mut sqlite3, api: *mut sqlite3_api_routines) -> Result<(), String> {
    // SAFETY: as SQLite gave them to the entry point.
    unsafe {
        // The library may be an auto-extension and be loaded as well. The second call for a connection must not
        // replace the session of the first, and its clients with it.
        let Some(in_use) = in_use::attach(db, api)? else {
            return Ok(());
        };
        register(db, in_use)
    }
}
