//! A table as SQLite holds it, and how the work of a callback ends.

use std::ffi::c_int;
use std::sync::Arc;

use crate::base::error::{Error, Result};
use crate::base::guard::guard;
use crate::sql::table::Table;
use crate::sqlite::connection::{Connection, Db};
use crate::sqlite::ffi::{self, code, sqlite3_vtab};
use crate::sqlite::value::{RawValue, c_string};

/// A value that SQLite passes. What is read of it borrows from the call, whatever the lifetime says.
pub type Argument = RawValue<'static>;

/// A table as SQLite has it, which sees the first field.
#[repr(C)]
pub struct Instance<T> {
    pub base: sqlite3_vtab,
    pub connection: Arc<Connection>,
    pub db: Db,
    pub table: T,
}

// A callback borrows single fields of a table or a cursor, never the whole. SQLite writes `base` meanwhile, and a cursor may run a
// statement that calls the table again.

/// Runs the work of a callback.
///
/// # Safety
/// `vtab` is an [`Instance`] of `T`.
pub unsafe fn attempt<T: Table<Argument>>(
    vtab: *mut sqlite3_vtab,
    work: impl FnOnce() -> Result<()>,
) -> c_int {
    let (rc, text) = match guard(work) {
        Ok(Ok(())) => return code::OK,
        Ok(Err(e)) => failure(&e),
        Err(panic) => (code::ERROR, Some(panic)),
    };
    match text {
        // SAFETY: the same contract.
        Some(text) => unsafe { fail::<T>(vtab, rc, &text) },
        None => rc,
    }
}

/// The result code of an error, and its text. An interrupt has the text that SQLite gives it.
pub fn failure(e: &Error) -> (c_int, Option<String>) {
    match e {
        Error::Interrupted => (code::INTERRUPT, None),
        Error::Constraint { .. } => (code::CONSTRAINT, Some(e.to_string())),
        e => (code::ERROR, Some(e.to_string())),
    }
}

/// Says why a callback fails: to the table, from where SQLite takes the text whole
/// (<https://www.sqlite.org/vtab.html#virtual_table_object>), and to `rembed_last_error()`.
///
/// # Safety
/// `vtab` is an [`Instance`] of `T`.
pub unsafe fn fail<T: Table<Argument>>(vtab: *mut sqlite3_vtab, rc: c_int, text: &str) -> c_int {
    // SAFETY: the same contract; zErrMsg belongs to SQLite's allocator.
    unsafe {
        note::<T>(vtab, text);
        ffi::free((*vtab).zErrMsg.cast());
        (*vtab).zErrMsg = c_string(|n| ffi::malloc64(n).cast(), text);
    }
    rc
}

/// Gives `rembed_last_error()` a text.
///
/// # Safety
/// `vtab` is an [`Instance`] of `T`.
pub unsafe fn note<T: Table<Argument>>(vtab: *mut sqlite3_vtab, text: &str) {
    // SAFETY: the same contract.
    let connection = unsafe { &(*vtab.cast::<Instance<T>>()).connection };
    connection.session.note_error(text);
}
