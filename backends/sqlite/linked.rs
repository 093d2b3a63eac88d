//! The way in for apps on a crate that brings its SQLite (libsql, rusqlite).

#[cfg(feature = "libsql")]
use std::ffi::c_char;

use super::ffi::sqlite3;
use super::in_use;
use super::register::register;
use crate::base::guard::guard;

/// Registers everything in `db`, unless that was done before.
///
/// # Safety
/// `db` is an open connection of the SQLite that is linked.
pub(crate) unsafe fn attach(db: *mut sqlite3) -> Result<(), String> {
    // SAFETY: the same contract.
    let work = || in_use::attach(db).map_or(Ok(()), |in_use| unsafe { register(db, in_use) });
    guard(work).and_then(|done| done)
}

/// A message that SQLite frees.
#[cfg(feature = "libsql")]
pub(crate) fn message(text: &str) -> *const c_char {
    // SAFETY: the memory is SQLite's.
    unsafe { super::value::c_string(|n| super::ffi::malloc64(n).cast(), text) }
}
