//! SQLite's C API: the functions and the tables, registered in a connection.
//!
//! With the feature `sqlite` one build serves classic SQLite and libSQL, loaded (`rembed0.so`, `libsqlite_rembed.so`,
//! or any name with an explicit entry point) and linked into a C or C++ host (`include/rembed.h`). With `libsql` or
//! `rusqlite` the same code serves an app that is built on that crate.

mod batch_table;
mod clients_table;
#[cfg(feature = "sqlite")]
mod entry;
mod ffi;
mod functions;
#[cfg(all(test, feature = "sqlite"))]
mod played;
mod schema;
mod select;
mod store;
mod value;

use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int};
use std::sync::Arc;

use ffi::{code, sqlite3, sqlite3_stmt, sqlite3_vtab};

#[cfg(feature = "sqlite")]
pub use entry::{sqlite3_rembed_init, sqlite3_sqliterembed_init};

use value::RawValue;

use crate::base::error::Error;
use crate::base::guard::guard;
use crate::base::interrupt::Interrupt;
use crate::sql::session::Session;
use crate::sql::value::Value;

/// A connection's state. It lives as long as one of its functions or its table is registered.
pub(crate) struct Connection {
    session: Session,
    // Dropped last: until then the API table may not change.
    in_use: ffi::InUse,
}

/// Asks SQLite whether the statement is interrupted.
struct Handle(*mut sqlite3);

// SAFETY: sqlite3_is_interrupted may be called from any thread while the connection is open, and a request
// is waited for within a callback of the connection.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Interrupt for Handle {
    fn is_interrupted(&self) -> bool {
        // SAFETY: asked within a callback, so the connection is open.
        unsafe { ffi::is_interrupted(self.0) }
    }
}

/// Registers everything in `db`, unless that was done before.
///
/// # Safety
/// `db` is an open connection of the SQLite that is linked.
#[cfg(not(feature = "sqlite"))]
pub(crate) unsafe fn attach(db: *mut sqlite3) -> Result<(), String> {
    // SAFETY: the same contract.
    let work = || ffi::attach(db).map_or(Ok(()), |in_use| unsafe { register(db, in_use) });
    guard(work).and_then(|done| done)
}

/// A message that SQLite frees.
#[cfg(feature = "libsql")]
pub(crate) fn message(text: &str) -> *const c_char {
    // SAFETY: the memory is SQLite's.
    unsafe { c_string(|n| ffi::malloc64(n).cast(), text) }
}

/// Registers everything in `db`, a connection that was just counted as open.
unsafe fn register(db: *mut sqlite3, in_use: ffi::InUse) -> Result<(), String> {
    // SAFETY: db is open.
    unsafe {
        // A second copy of the library, linked and loaded, has a memory of its own. One of another version takes over,
        // but not from one that is locked.
        if answer(db, c"SELECT rembed_version()")?.as_deref() == Some(crate::sql::session::VERSION)
            || answer(db, c"SELECT instr(rembed_debug(), 'Locked: by ') > 0")?.as_deref() == Some("1")
        {
            return Ok(());
        }
        let session = Session::new(engine(db)?, Arc::new(Handle(db)), Some(store::open));
        let connection = Arc::new(Connection { session, in_use });
        // Before, so that a registration that fails halfway is no way around it: nothing from here on parses a schema.
        schema::forget(db)?;
        clients_table::register(db, &connection)?;
        batch_table::register(db, &connection)?;
        // The last of them says that the connection has everything.
        functions::register(db, &connection)?;
        connection.in_use.complete();
    }
    Ok(())
}

/// The text of the one value of `sql`, if this connection has what it names.
unsafe fn answer(db: *mut sqlite3, sql: &CStr) -> Result<Option<String>, String> {
    // SAFETY: db is open; the statement is finalized after its text is out of use.
    unsafe {
        let stmt = prepare(db, sql)?;
        let text = match ffi::step(stmt) & 0xff {
            code::ROW => {
                let value = RawValue::of_column(stmt, 0);
                value.text("answer").map(|text| text.map(Cow::into_owned))
            }
            code::NOMEM => Err(OUT_OF_MEMORY.into()),
            _ => Ok(None),
        };
        ffi::finalize(stmt);
        text
    }
}

/// The engine's name and version, for `rembed_debug()`.
unsafe fn engine(db: *mut sqlite3) -> Result<String, String> {
    // SAFETY: db is open; the version is a static string.
    unsafe {
        let version = CStr::from_ptr(ffi::libversion()).to_string_lossy();
        let libsql = prepare(db, c"SELECT libsql_vector_idx(NULL)")?;
        ffi::finalize(libsql);
        Ok(if libsql.is_null() { format!("SQLite {version}") } else { format!("libSQL (SQLite {version})") })
    }
}

/// While a statement of the connection runs, SQLite stays out of memory until that ends: `sqlite3_create_module_v2` then
/// registers a module, and destroys what it was given all the same. So nothing is registered after the first failure.
const OUT_OF_MEMORY: &str = "rembed: out of memory";

/// A statement of `sql`, NULL where the connection lacks what it names.
unsafe fn prepare(db: *mut sqlite3, sql: &CStr) -> Result<*mut sqlite3_stmt, String> {
    let null = std::ptr::null_mut();
    let mut stmt = null;
    // SAFETY: db is open, the text a C string.
    unsafe {
        let mut rc = ffi::prepare_v2(db, sql.as_ptr(), -1, &mut stmt, null.cast());
        if stmt.is_null() && rc & 0xff != code::NOMEM {
            // sqlite3_open_v2() returns the error that is left on the connection: a statement that is fine clears it.
            let mut fine = null;
            rc = ffi::prepare_v2(db, c"SELECT 1".as_ptr(), -1, &mut fine, null.cast());
            ffi::finalize(fine);
        }
        if rc & 0xff == code::NOMEM { Err(OUT_OF_MEMORY.into()) } else { Ok(stmt) }
    }
}

/// Drops what holds a connection's state, when SQLite is done with it.
fn destroy_connection(held: impl Sized) {
    // There is nobody to tell of a panic here.
    let _ = guard(|| drop(held));
}

/// Runs the work of a virtual table's callback. An error's text goes to the table, from where SQLite takes it
/// whole (<https://www.sqlite.org/vtab.html#virtual_table_object>). By a raw pointer: the work reads the table, and may run a
/// statement that calls it again.
unsafe fn attempt(
    table: *mut sqlite3_vtab,
    connection: &Connection,
    work: impl FnOnce() -> Result<(), Error>,
) -> c_int {
    let (rc, text) = match guard(work) {
        Ok(Ok(())) => return code::OK,
        Ok(Err(Error::Interrupted)) => return code::INTERRUPT,
        Ok(Err(e @ Error::Constraint { .. })) => (code::CONSTRAINT, e.to_string()),
        Ok(Err(e)) => (code::ERROR, e.to_string()),
        Err(panic) => (code::ERROR, panic),
    };
    connection.session.note_error(&text);
    // SAFETY: a table that connect() made; zErrMsg belongs to SQLite's allocator.
    unsafe {
        ffi::free((*table).zErrMsg.cast());
        (*table).zErrMsg = c_string(|n| ffi::malloc64(n).cast(), &text);
    }
    rc
}

/// A copy of `text` in memory of `allocate`, which SQLite frees; NULL when there is none.
unsafe fn c_string(allocate: impl FnOnce(u64) -> *mut u8, text: &str) -> *mut c_char {
    let text = text.split('\0').next().unwrap_or_default();
    let copy = allocate(text.len() as u64 + 1);
    if !copy.is_null() {
        // SAFETY: the memory has room for the text and its terminator.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), copy, text.len());
            *copy.add(text.len()) = 0;
        }
    }
    copy.cast()
}
