//! Registers the functions and the tables in a connection.

use std::borrow::Cow;
use std::ffi::CStr;
use std::sync::Arc;

use super::batch_table::{Batch, OfJson, OfSelect};
use super::chunks_table::Chunks;
use super::clients_table::Clients;
use super::connection::{Connection, Handle, Unsettled};
use super::ffi::{self, OUT_OF_MEMORY, code, sqlite3, sqlite3_stmt};
use super::in_use::InUse;
use super::index::report::{Errors, OfIndex, Reports};
use super::value::RawValue;
use super::{functions, index, schema, store, vtab};
use crate::sql::session::{Session, VERSION};
use crate::sql::value::Value;

/// Registers everything in `db`, a connection that was just counted as open, or nothing where another copy of the
/// library did.
///
/// It stops at the first failure. While a statement of the connection runs, SQLite that is out of memory stays so until
/// the statement ends, and `sqlite3_create_module_v2` then registers a module and destroys its state all the same.
///
/// # Errors
/// What SQLite refuses; no memory.
///
/// # Safety
/// `db` is open.
pub unsafe fn register(db: *mut sqlite3, in_use: InUse) -> Result<(), String> {
    // SAFETY: db is open.
    unsafe {
        // The library may be linked and loaded too: two copies, which do not share what in_use counts. A copy of another
        // version replaces what is registered, unless that is locked.
        if answer(db, c"SELECT rembed_version()")?.as_deref() == Some(VERSION)
            || answer(db, c"SELECT instr(rembed_debug(), 'Locked: by ') > 0")?.as_deref() == Some("1")
        {
            return Ok(());
        }
        let session = Session::new(engine(db)?, Arc::new(Handle(db)), Some(store::open));
        let connection = Arc::new(Connection {
            session,
            number: fastrand::u64(..),
            unsettled: Unsettled::default(),
            in_use,
        });
        // First: a registration that fails halfway must not leave a parsed schema that was never checked. Nothing from
        // here on parses one.
        schema::forget(db)?;
        vtab::register::<Clients>(db, &connection)?;
        vtab::register::<Batch<OfJson>>(db, &connection)?;
        vtab::register::<Batch<OfSelect>>(db, &connection)?;
        vtab::register::<Chunks>(db, &connection)?;
        vtab::register::<index::table::Index>(db, &connection)?;
        vtab::register::<Reports<OfIndex>>(db, &connection)?;
        vtab::register::<Reports<Errors>>(db, &connection)?;
        functions::register_on_connection(db, &connection, index::FUNCTIONS)?;
        // rembed_version() comes last, and `answer` above takes it for the sign that everything is there.
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
