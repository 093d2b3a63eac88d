//! The table `rembed_clients`: an eponymous writable virtual table (<https://www.sqlite.org/vtab.html>) over
//! the session's clients. SQLite resolves it under any schema name, `temp.` included.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Arc;

use super::ffi::{
    self, code, sqlite3, sqlite3_context, sqlite3_index_info, sqlite3_module, sqlite3_value, sqlite3_vtab,
    sqlite3_vtab_cursor,
};
use super::value::{RawValue, arguments, give, give_error};
use super::{Connection, destroy_connection, schema};
use crate::base::error::Error;
use crate::base::guard::guard;
use crate::client::registry::Entry;
use crate::sql::clients::{Columns, Given};
use crate::sql::value::{Kind, Output, Value};

const SCHEMA: &CStr = c"CREATE TABLE rembed_clients(
    name TEXT NOT NULL PRIMARY KEY, format TEXT, model TEXT, url TEXT, key TEXT, options TEXT)";
const NAME: c_int = 0;

/// What xBestIndex chose; 0 is a scan.
const BY_NAME: c_int = 1;

pub(super) static MODULE: sqlite3_module = sqlite3_module {
    // 3: SQLite reads the fields up to xShadowName.
    iVersion: 3,
    // No xCreate: the table exists by itself, and CREATE VIRTUAL TABLE is refused.
    xConnect: Some(connect),
    xBestIndex: Some(best_index),
    xDisconnect: Some(disconnect),
    xOpen: Some(open),
    xClose: Some(close),
    xFilter: Some(filter),
    xNext: Some(next),
    xEof: Some(eof),
    xColumn: Some(column),
    xRowid: Some(rowid),
    xUpdate: Some(update),
    ..ffi::EMPTY_MODULE
};

/// An instance of the table; SQLite sees the first field.
#[repr(C)]
struct Table {
    base: sqlite3_vtab,
    db: *mut sqlite3,
    connection: Arc<Connection>,
}

/// A scan: the rows as they were when it began.
#[repr(C)]
struct Cursor {
    base: sqlite3_vtab_cursor,
    rows: std::vec::IntoIter<Entry>,
    current: Option<Entry>,
}

/// Registers the table in `db`.
///
/// # Safety
/// `db` is an open connection.
pub unsafe fn register(db: *mut sqlite3, connection: &Arc<Connection>) -> Result<(), String> {
    let aux = Arc::into_raw(connection.clone()).cast_mut().cast();
    // SAFETY: SQLite calls `destroy` once for `aux`, also when the registration fails.
    let rc = unsafe { ffi::create_module_v2(db, c"rembed_clients".as_ptr(), &MODULE, aux, Some(destroy)) };
    match rc {
        code::OK => Ok(()),
        rc => Err(format!("rembed: cannot register rembed_clients: error {rc}")),
    }
}

unsafe extern "C" fn destroy(aux: *mut c_void) {
    // SAFETY: `aux` came from Arc::into_raw in register(), and SQLite destroys it once.
    destroy_connection(unsafe { Arc::from_raw(aux.cast::<Connection>()) });
}

/// <https://www.sqlite.org/vtab.html#the_xconnect_method>
unsafe extern "C" fn connect(
    db: *mut sqlite3,
    aux: *mut c_void,
    _: c_int,
    _: *const *const c_char,
    vtab: *mut *mut sqlite3_vtab,
    _: *mut *mut c_char,
) -> c_int {
    let made = guard(|| {
        // SAFETY: SQLite passes the connection and what register() gave it, which outlives the table.
        unsafe {
            let rc = ffi::declare_vtab(db, SCHEMA.as_ptr());
            if rc != code::OK {
                return rc;
            }
            ffi::vtab_config(db, code::VTAB_DIRECTONLY, 0);
            ffi::vtab_config(db, code::VTAB_CONSTRAINT_SUPPORT, 1);
            Arc::increment_strong_count(aux.cast::<Connection>());
            let connection = Arc::from_raw(aux.cast::<Connection>());
            *vtab = instance(db, connection);
        }
        code::OK
    });
    made.unwrap_or(code::ERROR)
}

/// A table that disconnect() frees.
pub(super) fn instance(db: *mut sqlite3, connection: Arc<Connection>) -> *mut sqlite3_vtab {
    let base = sqlite3_vtab { pModule: &MODULE, nRef: 0, zErrMsg: std::ptr::null_mut() };
    Box::into_raw(Box::new(Table { base, db, connection })).cast()
}

/// <https://www.sqlite.org/vtab.html#the_xdisconnect_method>
unsafe extern "C" fn disconnect(vtab: *mut sqlite3_vtab) -> c_int {
    // SAFETY: `vtab` came from Box::into_raw in connect(), and SQLite is done with it.
    destroy_connection(unsafe { Box::from_raw(vtab.cast::<Table>()) });
    code::OK
}

/// <https://www.sqlite.org/vtab.html#the_xbestindex_method>
unsafe extern "C" fn best_index(_: *mut sqlite3_vtab, raw: *mut sqlite3_index_info) -> c_int {
    let chosen = guard(|| {
        // SAFETY: SQLite passes arrays of nConstraint entries.
        unsafe {
            // Not by a reference: sqlite3_vtab_collation() reads what stands behind the struct.
            (*raw).estimatedCost = 100.0;
            let n = usize::try_from((*raw).nConstraint).unwrap_or(0);
            for i in 0..n {
                let constraint = &*(*raw).aConstraint.add(i);
                if constraint.usable == 0 || constraint.op != code::INDEX_CONSTRAINT_EQ {
                    continue;
                }
                // Names are compared byte by byte: a comparison with another collation needs the scan.
                if constraint.iColumn != NAME || !is_binary(raw, i) {
                    continue;
                }
                (*(*raw).aConstraintUsage.add(i)).argvIndex = 1;
                (*raw).idxNum = BY_NAME;
                (*raw).idxFlags = code::INDEX_SCAN_UNIQUE;
                (*raw).estimatedCost = 1.0;
                (*raw).estimatedRows = 1;
                break;
            }
        }
    });
    chosen.map_or(code::ERROR, |()| code::OK)
}

unsafe fn is_binary(info: *mut sqlite3_index_info, constraint: usize) -> bool {
    // SAFETY: asked in xBestIndex for a constraint of it; the name is a C string or NULL.
    unsafe {
        let name = ffi::vtab_collation(info, constraint as c_int);
        !name.is_null() && CStr::from_ptr(name).to_bytes().eq_ignore_ascii_case(b"BINARY")
    }
}

/// <https://www.sqlite.org/vtab.html#the_xopen_method>
unsafe extern "C" fn open(_: *mut sqlite3_vtab, cursor: *mut *mut sqlite3_vtab_cursor) -> c_int {
    let base = sqlite3_vtab_cursor { pVtab: std::ptr::null_mut() };
    let new = Box::new(Cursor { base, rows: Vec::new().into_iter(), current: None });
    // SAFETY: SQLite passes a place for the pointer, and sets pVtab.
    unsafe { *cursor = Box::into_raw(new).cast() };
    code::OK
}

/// <https://www.sqlite.org/vtab.html#the_xclose_method>
unsafe extern "C" fn close(cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: `cursor` came from Box::into_raw in open(), and SQLite is done with it.
    let cursor = unsafe { Box::from_raw(cursor.cast::<Cursor>()) };
    guard(|| drop(cursor)).map_or(code::ERROR, |()| code::OK)
}

/// <https://www.sqlite.org/vtab.html#the_xfilter_method>
unsafe extern "C" fn filter(
    cursor: *mut sqlite3_vtab_cursor,
    plan: c_int,
    _: *const c_char,
    argc: c_int,
    argv: *mut *mut sqlite3_value,
) -> c_int {
    // SAFETY: SQLite passes a cursor of open() on a table of connect(), and what best_index() asked for.
    unsafe {
        let vtab = (*cursor).pVtab;
        attempt(vtab, || {
            let connection = &(*vtab.cast::<Table>()).connection;
            let session = &connection.session;
            let wanted = arguments(argc, argv).first();
            let rows: Vec<Entry> = match (plan, wanted) {
                (BY_NAME, Some(name)) => match name.text("name") {
                    Ok(Some(name)) => session.row_named(&name)?.into_iter().collect(),
                    // A BLOB or NULL equals no name.
                    _ => Vec::new(),
                },
                _ => session.clients()?,
            };
            let cursor = cursor.cast::<Cursor>();
            let mut rows = rows.into_iter();
            (*cursor).current = rows.next();
            (*cursor).rows = rows;
            Ok(())
        })
    }
}

/// <https://www.sqlite.org/vtab.html#the_xnext_method>
unsafe extern "C" fn next(cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: a cursor of open().
    let cursor = unsafe { &mut *cursor.cast::<Cursor>() };
    guard(|| cursor.current = cursor.rows.next()).map_or(code::ERROR, |()| code::OK)
}

/// <https://www.sqlite.org/vtab.html#the_xeof_method>
unsafe extern "C" fn eof(cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: a cursor of open().
    unsafe { &*cursor.cast::<Cursor>() }.current.is_none().into()
}

/// <https://www.sqlite.org/vtab.html#the_xcolumn_method>
unsafe extern "C" fn column(
    cursor: *mut sqlite3_vtab_cursor,
    context: *mut sqlite3_context,
    column: c_int,
) -> c_int {
    // SAFETY: a cursor of open(), and the context of this call.
    unsafe {
        // An UPDATE that leaves a column alone must not read it back: `***` is no key.
        if ffi::vtab_nochange(context) != 0 {
            return code::OK;
        }
        let value = guard(|| {
            let cursor = &*cursor.cast::<Cursor>();
            cursor.current.as_ref()?.client.column(usize::try_from(column).ok()?)
        });
        match value {
            Ok(value) => give(value.map_or(Output::Null, |text| Output::Text(text.into())), context),
            Err(panic) => give_error(context, &panic),
        }
    }
    code::OK
}

/// <https://www.sqlite.org/vtab.html#the_xrowid_method>
unsafe extern "C" fn rowid(cursor: *mut sqlite3_vtab_cursor, rowid: *mut i64) -> c_int {
    // SAFETY: a cursor of open(), and a place for the rowid.
    unsafe {
        let cursor = &*cursor.cast::<Cursor>();
        *rowid = cursor.current.as_ref().map_or(0, |entry| entry.rowid);
    }
    code::OK
}

/// INSERT, UPDATE and DELETE (<https://www.sqlite.org/vtab.html#the_xupdate_method>).
unsafe extern "C" fn update(
    vtab: *mut sqlite3_vtab,
    argc: c_int,
    argv: *mut *mut sqlite3_value,
    rowid: *mut i64,
) -> c_int {
    // SAFETY: SQLite passes a table of connect() and one argument (DELETE) or two and the columns.
    unsafe {
        attempt(vtab, || {
            let db = (*vtab.cast::<Table>()).db;
            let connection = &(*vtab.cast::<Table>()).connection;
            let session = &connection.session;
            let replace = || ffi::vtab_on_conflict(db) == code::ON_CONFLICT_REPLACE;
            let args = arguments(argc, argv);
            if schema::may_be_a_trigger(db) {
                return Err(Error::invalid(
                    "rembed_clients may not be written by a trigger, nor while another statement writes: a database file \
                     must not redirect where text is sent. SELECT rembed_register(…) may",
                ));
            }
            match args {
                [old] => session.delete(old.int()),
                [old, new, columns @ ..] if old.is_null() => {
                    let chosen = if new.is_null() { None } else { Some(rowid_of(new)?) };
                    *rowid = session.insert(&Columns::of(&read(columns)?), chosen, replace())?;
                    Ok(())
                }
                [old, new, columns @ ..] => {
                    session.update(old.int(), rowid_of(new)?, &Columns::of(&read(columns)?), replace())
                }
                [] => Ok(()),
            }
        })
    }
}

fn rowid_of(value: &RawValue<'_>) -> Result<i64, Error> {
    match value.kind() {
        Kind::Integer => Ok(value.int()),
        _ => Err(Error::invalid("rembed_clients: a rowid must be an integer")),
    }
}

/// The texts of the columns, in their order; what an UPDATE leaves alone is not mentioned.
fn read<'a>(columns: &'a [RawValue<'_>]) -> Result<Vec<Given<'a>>, Error> {
    let names = Columns::NAMES.iter().zip(columns);
    let texts = names.map(|(name, value)| match value.is_unchanged() {
        true => Ok(None),
        false => value.text(name).map(Some).map_err(Error::Invalid),
    });
    texts.collect()
}

unsafe fn attempt(vtab: *mut sqlite3_vtab, work: impl FnOnce() -> Result<(), Error>) -> c_int {
    // SAFETY: a table of connect().
    unsafe {
        let connection = &(*vtab.cast::<Table>()).connection;
        super::attempt(vtab, connection, work)
    }
}
