//! The table-valued functions `rembed_batch(client, json)` and `rembed_rows(client, select)`: eponymous virtual
//! tables whose hidden columns are the arguments (<https://www.sqlite.org/vtab.html#tabfunc2>).

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Arc;

use super::ffi::{
    self, code, sqlite3, sqlite3_context, sqlite3_index_info, sqlite3_module, sqlite3_value, sqlite3_vtab,
    sqlite3_vtab_cursor,
};
use super::select::Select;
use super::value::{RawValue, arguments, give, give_error};
use super::{Connection, destroy_connection};
use crate::base::error::Result;
use crate::base::guard::guard;
use crate::embed::seen::Seen;
use crate::sql::functions::Arguments;
use crate::sql::rows::{self, ERROR_COLUMN, Rows};
use crate::sql::value::Output;

/// Which of the two functions a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Batch,
    Rows,
}

impl Kind {
    fn name(self) -> &'static CStr {
        match self {
            Kind::Batch => c"rembed_batch",
            Kind::Rows => c"rembed_rows",
        }
    }

    fn schema(self) -> &'static CStr {
        match self {
            Kind::Batch => {
                c"CREATE TABLE rembed_batch(key, text, embedding, error, client HIDDEN, json HIDDEN, input_type HIDDEN)"
            }
            Kind::Rows => {
                c"CREATE TABLE rembed_rows(key, text, embedding, error, client HIDDEN, \"select\" HIDDEN, input_type HIDDEN)"
            }
        }
    }
}

const FIRST_ARGUMENT: c_int = 4;
/// Set in idxNum when the query reads the column `error`; the lower bits say which arguments are given.
const READS_ERROR: c_int = 8;
const READS_ARGUMENTS: c_int = 16;

pub(super) static MODULE: sqlite3_module = sqlite3_module {
    iVersion: 3,
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
    ..ffi::EMPTY_MODULE
};

const NO_ARGUMENTS: [Output; 3] = [const { Output::Null }; 3];

/// What SQLite hands back to connect().
struct Aux {
    connection: Arc<Connection>,
    kind: Kind,
}

/// An instance of the table; SQLite sees the first field.
#[repr(C)]
struct Table {
    base: sqlite3_vtab,
    db: *mut sqlite3,
    connection: Arc<Connection>,
    kind: Kind,
}

#[repr(C)]
struct Cursor {
    base: sqlite3_vtab_cursor,
    rows: Option<Rows>,
    rowid: i64,
    /// The arguments, where the query reads the hidden columns that have them.
    arguments: [Output; 3],
    /// Lives as long as the statement: a join reads the table again for each row of another one.
    seen: Arc<Seen>,
}

/// Registers both functions in `db`.
///
/// # Safety
/// `db` is an open connection.
pub unsafe fn register(db: *mut sqlite3, connection: &Arc<Connection>) -> std::result::Result<(), String> {
    for kind in [Kind::Batch, Kind::Rows] {
        let aux = Box::new(Aux { connection: connection.clone(), kind });
        let aux = Box::into_raw(aux).cast();
        // SAFETY: SQLite calls `destroy` once for `aux`, also when the registration fails.
        let rc = unsafe { ffi::create_module_v2(db, kind.name().as_ptr(), &MODULE, aux, Some(destroy)) };
        if rc != code::OK {
            return Err(format!("rembed: cannot register {}: error {rc}", kind.name().to_string_lossy()));
        }
    }
    Ok(())
}

unsafe extern "C" fn destroy(aux: *mut c_void) {
    // SAFETY: `aux` came from Box::into_raw in register(), and SQLite destroys it once.
    destroy_connection(unsafe { Box::from_raw(aux.cast::<Aux>()) });
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
            let aux = &*aux.cast::<Aux>();
            let rc = ffi::declare_vtab(db, aux.kind.schema().as_ptr());
            if rc != code::OK {
                return rc;
            }
            if aux.kind == Kind::Rows {
                // It runs SQL that it is given: not for the schema of a stranger's file.
                ffi::vtab_config(db, code::VTAB_DIRECTONLY, 0);
            }
            *vtab = instance(db, aux.connection.clone(), aux.kind);
        }
        code::OK
    });
    made.unwrap_or(code::ERROR)
}

/// A table that disconnect() frees.
pub(super) fn instance(db: *mut sqlite3, connection: Arc<Connection>, kind: Kind) -> *mut sqlite3_vtab {
    let base = sqlite3_vtab { pModule: &MODULE, nRef: 0, zErrMsg: std::ptr::null_mut() };
    Box::into_raw(Box::new(Table { base, db, connection, kind })).cast()
}

/// <https://www.sqlite.org/vtab.html#the_xdisconnect_method>
unsafe extern "C" fn disconnect(vtab: *mut sqlite3_vtab) -> c_int {
    // SAFETY: `vtab` came from Box::into_raw in connect(), and SQLite is done with it.
    destroy_connection(unsafe { Box::from_raw(vtab.cast::<Table>()) });
    code::OK
}

/// <https://www.sqlite.org/vtab.html#the_xbestindex_method>
unsafe extern "C" fn best_index(_: *mut sqlite3_vtab, info: *mut sqlite3_index_info) -> c_int {
    let chosen = guard(|| {
        // SAFETY: SQLite passes arrays of nConstraint entries.
        unsafe {
            let info = &mut *info;
            let mut arguments = [None; 3];
            for i in 0..usize::try_from(info.nConstraint).unwrap_or(0) {
                let constraint = &*info.aConstraint.add(i);
                let argument = constraint.iColumn - FIRST_ARGUMENT;
                if constraint.op != code::INDEX_CONSTRAINT_EQ || !(0..3).contains(&argument) {
                    continue;
                }
                if constraint.usable == 0 {
                    // An argument comes from a table that this plan reads later: another plan has to do.
                    return code::CONSTRAINT;
                }
                arguments[argument as usize] = Some(i);
            }
            let mut given = 0;
            for (argument, constraint) in arguments.iter().enumerate() {
                if let Some(i) = constraint {
                    given += 1;
                    let usage = &mut *info.aConstraintUsage.add(*i);
                    usage.argvIndex = given;
                    usage.omit = 1;
                    info.idxNum |= 1 << argument;
                }
            }
            if info.colUsed & (1 << ERROR_COLUMN) != 0 {
                info.idxNum |= READS_ERROR;
            }
            if (info.colUsed >> FIRST_ARGUMENT) & 0b111 != 0 {
                info.idxNum |= READS_ARGUMENTS;
            }
            info.estimatedCost = 1e6;
            info.estimatedRows = 1000;
            code::OK
        }
    });
    chosen.unwrap_or(code::ERROR)
}

/// <https://www.sqlite.org/vtab.html#the_xopen_method>
unsafe extern "C" fn open(_: *mut sqlite3_vtab, cursor: *mut *mut sqlite3_vtab_cursor) -> c_int {
    let base = sqlite3_vtab_cursor { pVtab: std::ptr::null_mut() };
    let new = Box::new(Cursor { base, rows: None, rowid: 1, arguments: NO_ARGUMENTS, seen: Arc::default() });
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
    // SAFETY: SQLite passes a cursor of open() on a table of connect(), and the arguments that best_index()
    // asked for.
    unsafe {
        attempt(cursor, || {
            // Each field by itself: what runs here may call the table, and SQLite writes what is its own.
            let table = (*cursor).pVtab.cast::<Table>();
            let (db, kind, connection) = ((*table).db, (*table).kind, &(*table).connection);
            let cursor = cursor.cast::<Cursor>();
            (*cursor).rows = None;
            (*cursor).rowid = 1;
            let mut given = arguments(argc, argv).iter();
            let mut argument = |bit: c_int| if plan & bit != 0 { given.next() } else { None };
            let (client, texts, input_type) = (argument(1), argument(2), argument(4));
            if plan & READS_ARGUMENTS != 0 {
                let copy = |value: Option<&RawValue<'_>>| value.map_or(Ok(Output::Null), RawValue::to_output);
                (*cursor).arguments = [copy(client)?, copy(texts)?, copy(input_type)?];
            }
            let (Some(client), Some(texts)) = (client, texts) else {
                return Err(rows::usage(&kind.name().to_string_lossy()));
            };
            let session = &connection.session;
            let asked = Arguments::read(session, client, texts, "the second argument", input_type)?;
            let isolate = plan & READS_ERROR != 0;
            (*cursor).rows = Some(match (kind, asked.input.as_deref()) {
                (Kind::Rows, Some(sql)) => {
                    let source = Box::new(Select::prepare(db, sql)?);
                    Rows::new(session, &asked, source, None, isolate, &(*cursor).seen)?
                }
                (Kind::Batch, _) | (Kind::Rows, None) => {
                    Rows::of_json(session, &asked, isolate, &(*cursor).seen)?
                }
            });
            Ok(())
        })
    }
}

/// <https://www.sqlite.org/vtab.html#the_xnext_method>
unsafe extern "C" fn next(cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: a cursor of open() on a table of connect().
    unsafe {
        attempt(cursor, || {
            let cursor = cursor.cast::<Cursor>();
            (*cursor).rowid += 1;
            let rows = &mut (*cursor).rows;
            rows.as_mut().map_or(Ok(()), Rows::advance)
        })
    }
}

/// <https://www.sqlite.org/vtab.html#the_xeof_method>
unsafe extern "C" fn eof(cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: a cursor of open().
    unsafe { &*cursor.cast::<Cursor>() }.rows.as_ref().is_none_or(Rows::is_done).into()
}

/// <https://www.sqlite.org/vtab.html#the_xcolumn_method>
unsafe extern "C" fn column(
    cursor: *mut sqlite3_vtab_cursor,
    context: *mut sqlite3_context,
    column: c_int,
) -> c_int {
    // SAFETY: a cursor of open(), and the context of this call.
    unsafe {
        let value = guard(|| {
            let cursor = &*cursor.cast::<Cursor>();
            let argument = usize::try_from(column - FIRST_ARGUMENT).ok();
            if let Some(argument) = argument.and_then(|i| cursor.arguments.get(i)) {
                return argument.clone();
            }
            cursor
                .rows
                .as_ref()
                .map_or(Output::Null, |rows| rows.column(usize::try_from(column).unwrap_or(usize::MAX)))
        });
        match value {
            Ok(value) => give(value, context),
            Err(panic) => give_error(context, &panic),
        }
    }
    code::OK
}

/// <https://www.sqlite.org/vtab.html#the_xrowid_method>
unsafe extern "C" fn rowid(cursor: *mut sqlite3_vtab_cursor, rowid: *mut i64) -> c_int {
    // SAFETY: a cursor of open(), and a place for the rowid.
    unsafe { *rowid = (*cursor.cast::<Cursor>()).rowid };
    code::OK
}

unsafe fn attempt(cursor: *mut sqlite3_vtab_cursor, work: impl FnOnce() -> Result<()>) -> c_int {
    // SAFETY: a cursor of open() on a table of connect().
    unsafe {
        let table = (*cursor).pVtab;
        let connection = &(*table.cast::<Table>()).connection;
        super::attempt(table, connection, work)
    }
}
