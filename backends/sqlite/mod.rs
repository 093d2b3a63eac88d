//! SQLite's C API: the functions and the table, registered in a connection.
//!
//! One build serves classic SQLite loaded (`rembed0.so`, `libsqlite_rembed.so`, or any name with an explicit
//! entry point) and linked into a C or C++ host (`include/rembed.h`).

mod batch_table;
mod clients_table;
mod ffi;
mod functions;
mod select;
mod store;
mod value;

use std::ffi::{c_char, c_int};
use std::sync::Arc;

use ffi::{code, sqlite3, sqlite3_api_routines, sqlite3_vtab};

use crate::error::Error;
use crate::guard::guard;
use crate::session::Session;
use crate::transport::Interrupt;

/// A connection's state. It lives as long as one of its functions or its table is registered.
pub(crate) struct Connection {
    session: Session,
    // Dropped last: until then the API table may not change.
    _in_use: ffi::InUse,
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
        let Some(in_use) = ffi::attach(db, api)? else {
            return Ok(());
        };
        // A second copy of the library, linked and loaded, has a memory of its own.
        if registered_version(db).as_deref() == Some(crate::session::VERSION) {
            return Ok(());
        }
        let version = std::ffi::CStr::from_ptr(ffi::libversion()).to_string_lossy();
        let session = Session::new(format!("SQLite {version}"), Arc::new(Handle(db)), Some(store::open));
        let connection = Arc::new(Connection { session, _in_use: in_use });
        functions::register(db, &connection)?;
        clients_table::register(db, &connection)?;
        batch_table::register(db, &connection)
    }
}

/// Drops what holds a connection's state, when SQLite is done with it.
fn destroy_connection(held: impl Sized) {
    // There is nobody to tell of a panic here.
    let _ = guard(|| drop(held));
}

/// Runs the work of a virtual table's callback. An error's text goes to the table, from where SQLite takes it
/// whole (<https://www.sqlite.org/vtab.html#virtual_table_object>).
unsafe fn attempt(
    table: &mut sqlite3_vtab,
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
    // SAFETY: zErrMsg belongs to SQLite's allocator.
    unsafe {
        ffi::free(table.zErrMsg.cast());
        table.zErrMsg = c_string(|n| ffi::malloc64(n).cast(), &text);
    }
    rc
}

/// What `rembed_version()` of this connection says, if it has one.
unsafe fn registered_version(db: *mut sqlite3) -> Option<String> {
    // SAFETY: db is open; a statement is finalized after its text is out of use.
    unsafe {
        let prepare = |sql: &std::ffi::CStr| {
            let mut stmt = std::ptr::null_mut();
            ffi::prepare_v2(db, sql.as_ptr(), -1, &mut stmt, std::ptr::null_mut());
            stmt
        };
        let stmt = prepare(c"SELECT rembed_version()");
        if stmt.is_null() {
            // sqlite3_open_v2() returns the error that is left on the connection: a statement that is fine clears it.
            ffi::finalize(prepare(c"SELECT 1"));
            return None;
        }
        let text = match ffi::step(stmt) {
            code::ROW => ffi::column_text(stmt, 0),
            _ => std::ptr::null(),
        };
        let version =
            (!text.is_null()).then(|| std::ffi::CStr::from_ptr(text.cast()).to_string_lossy().into_owned());
        ffi::finalize(stmt);
        version
    }
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
