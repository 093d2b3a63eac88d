//! What the schema of a stranger's file may call.
//!
//! SQLite checks the functions that a schema calls when it parses the schema (<https://www.sqlite.org/security.html>), so it
//! must know them by then. A schema that was parsed before they were registered is thrown away, and SQLite parses it
//! again. SQLite before 3.40 does not check which tables a trigger writes.

use std::ffi::{CStr, CString, c_int};

use super::connection::Db;
use super::ffi::{self, code, sqlite3, sqlite3_stmt};
use super::running::writers;
use super::value::RawValue;
use crate::sql::value::Value;

/// Has SQLite parse the schema anew when it next needs it. Nothing is read here, so a file that is encrypted or damaged
/// is no error.
///
/// # Errors
/// A statement that writes, an authorizer that denies: nothing has changed then.
///
/// # Safety
/// `db` is open.
pub unsafe fn forget(db: *mut sqlite3) -> Result<(), String> {
    // SAFETY: db is open.
    unsafe {
        if !is_parsed(db) {
            return Ok(());
        }
        // The program of such a statement has pointers into the parsed schema.
        if !writers(db).is_empty() {
            return Err(
                "rembed: cannot be loaded while a statement writes: load it before, or when that is over"
                    .into(),
            );
        }
        // Virtual tables are connected anew, too. An FTS table keeps some changes of a transaction in memory, and writes
        // them when a savepoint begins.
        if ffi::get_autocommit(db) == 0 {
            exec(db, c"SAVEPOINT rembed_load; RELEASE rembed_load")?;
        }
        let writable = ffi::db_config(db, code::DBCONFIG_WRITABLE_SCHEMA, code::DBCONFIG_ASK);
        let done = reset(db);
        if writable {
            ffi::db_config(db, code::DBCONFIG_WRITABLE_SCHEMA, 1);
        }
        done
    }
}

/// The first SQLite for which the pragma alone must do. Older ones may not know RESET (3.35 does not), and get
/// [`ffi::imposter_off`], which newer ones may change.
const RESETS_SINCE: c_int = 3_040_000;

/// `PRAGMA writable_schema = RESET`. Most often it is enough to prepare it, and to run it would end the SELECTs that are
/// under way.
unsafe fn reset(db: *mut sqlite3) -> Result<(), String> {
    // SAFETY: db is open, the statement is finalized once.
    unsafe {
        let mut stmt = std::ptr::null_mut();
        let sql = c"PRAGMA writable_schema = RESET";
        let mut rc = ffi::prepare_v2(db, sql.as_ptr(), -1, &mut stmt, std::ptr::null_mut());
        if rc == code::OK && is_parsed(db) {
            match ffi::libversion_number() < RESETS_SINCE {
                true => ffi::imposter_off(db),
                false => rc = ffi::step(stmt),
            }
        }
        ffi::finalize(stmt);
        // Inside a running statement SQLite stays out of memory, and every registration from now on would fail.
        if rc & 0xff == code::NOMEM {
            return Err(ffi::OUT_OF_MEMORY.into());
        }
        // An authorizer may have denied the statement, or have made it do nothing.
        if is_parsed(db) { Err(refusal(db, sql)) } else { Ok(()) }
    }
}

unsafe fn exec(db: *mut sqlite3, sql: &CStr) -> Result<(), String> {
    let null = std::ptr::null_mut();
    // SAFETY: db is open, the text a C string.
    match unsafe { ffi::exec(db, sql.as_ptr(), None, null, std::ptr::null_mut()) } {
        code::OK => Ok(()),
        // SAFETY: as above.
        _ => Err(unsafe { refusal(db, sql) }),
    }
}

unsafe fn refusal(db: *mut sqlite3, sql: &CStr) -> String {
    // SAFETY: db is open, the message is copied.
    let why = unsafe { CStr::from_ptr(ffi::errmsg(db)) }.to_string_lossy().into_owned();
    let why = if why == "not an error" { "it had no effect".into() } else { why };
    let sql = sql.to_string_lossy();
    format!(
        "rembed: {sql}: {why}. Without it, a file's schema that was read before could register clients: let the authorizer allow it, or \
         load the library before it is set"
    )
}

/// Whether the schema of any database of the connection is in memory.
unsafe fn is_parsed(db: *mut sqlite3) -> bool {
    let (mut bytes, mut most) = (0, 0);
    // SAFETY: db is open; the places are there during the call.
    let rc = unsafe { ffi::db_status(db, code::DBSTATUS_SCHEMA_USED, &mut bytes, &mut most, 0) };
    rc != code::OK || bytes != 0
}

/// Whether a virtual table that is being written may be written by a trigger, where SQLite itself does not keep triggers
/// from it. A trigger is fired by a statement that writes something else.
pub fn may_be_a_trigger(db: Db) -> bool {
    let db = db.as_ptr();
    // SAFETY: db is open.
    unsafe {
        ffi::libversion_number() < ffi::GUARDS_TABLES_SINCE
            && !writers(db).into_iter().all(|stmt| writes_a_virtual_table(db, stmt))
    }
}

/// Whether `stmt` itself, and no trigger of it, writes a virtual table. EXPLAIN tells: it lists the program of the statement
/// first and then those of its triggers, each from address 0.
unsafe fn writes_a_virtual_table(db: *mut sqlite3, stmt: *mut sqlite3_stmt) -> bool {
    // SAFETY: db is open; the text lives as long as its statement; the new statement is finalized after its values are
    // out of use.
    unsafe {
        let sql = ffi::sql(stmt);
        if sql.is_null() {
            return false;
        }
        let Ok(sql) = CString::new([b"EXPLAIN ", CStr::from_ptr(sql).to_bytes()].concat()) else {
            return false;
        };
        let mut explain = std::ptr::null_mut();
        ffi::prepare_v2(db, sql.as_ptr(), -1, &mut explain, std::ptr::null_mut());
        let mut found = false;
        let mut next = 0;
        while !found && ffi::step(explain) == code::ROW {
            let (address, opcode) = (RawValue::of_column(explain, 0), RawValue::of_column(explain, 1));
            if address.int() < next {
                break;
            }
            next = address.int() + 1;
            found = opcode.text("opcode").is_ok_and(|text| text.as_deref() == Some("VUpdate"));
        }
        ffi::finalize(explain);
        found
    }
}

/// Whether a database file has a table `rembed_clients` of its own, which then is the one that a statement without `temp.`
/// means.
///
/// # Safety
/// `db` is open.
pub unsafe fn has_clients_table(db: *mut sqlite3) -> bool {
    use std::ptr::{null, null_mut};
    let table = c"rembed_clients".as_ptr();
    let (text, int) = (null_mut(), null_mut());
    // SAFETY: db is open; without a column, the call asks for the table alone.
    unsafe { ffi::table_column_metadata(db, null(), table, null(), text, text, int, int, int) == code::OK }
}

/// Sets options of a connection that is our own, so that no trigger, view or function call of its file runs.
///
/// # Safety
/// `db` is open.
pub unsafe fn distrust(db: *mut sqlite3) {
    let options: [(c_int, c_int); 4] = [
        (code::DBCONFIG_ENABLE_TRIGGER, 0),
        (code::DBCONFIG_ENABLE_VIEW, 0),
        (code::DBCONFIG_TRUSTED_SCHEMA, 0),
        (code::DBCONFIG_DEFENSIVE, 1),
    ];
    for (option, value) in options {
        // SAFETY: db is open.
        unsafe { ffi::db_config(db, option, value) };
    }
}
