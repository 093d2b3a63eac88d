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

/// What both entry points do. Not by way of each other: SQLite opens libraries with RTLD_GLOBAL, and an exported
/// name would be that of the first one that has it.
unsafe fn entry(db: *mut sqlite3, error: *mut *mut c_char, api: *mut sqlite3_api_routines) -> c_int {
    // SAFETY: passed on as SQLite gave it.
    match guard(|| unsafe { init(db, api) }) {
        Ok(Ok(())) => code::OK,
        Ok(Err(text)) | Err(text) => {
            // SAFETY: a table that is not NULL is SQLite's, and its malloc64 is what SQLite frees with.
            unsafe {
                // Not by a reference: the table of an old SQLite is shorter than the type.
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
        // An auto-extension and a load_extension() of the same library meet on one connection: the second
        // must not replace the session, and with it the clients, of the first.
        let Some(in_use) = in_use::attach(db, api)? else {
            return Ok(());
        };
        register(db, in_use)
    }
}
