//! SQLite's callbacks of a virtual table (<https://www.sqlite.org/vtab.html>), once for every [`Table`]. All that is unsafe
//! about a table is here and below.

mod instance;
mod plan;
mod scan;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Arc;

use self::instance::{Instance, attempt, fail, failure};
use self::scan::{close, column, eof, filter, next, open, rowid};
use super::connection::{self, Connection, Db};
use super::ffi::{self, code, sqlite3, sqlite3_index_info, sqlite3_module, sqlite3_value, sqlite3_vtab};
use super::value::{arguments, c_string};
use crate::base::error::{Error, Result};
use crate::base::guard::guard;
use crate::sql::functions::Callers;
use crate::sql::table::Table;
use crate::sql::value::{Kind, Value};

pub use self::instance::Argument;

/// How SQLite comes by a table, and what happens to the table as a whole.
pub trait VirtualTable: Table<Argument> {
    /// Whether each table is made by CREATE VIRTUAL TABLE. Otherwise there is one, by the name of its module, and CREATE
    /// VIRTUAL TABLE is refused (<https://www.sqlite.org/vtab.html#eponymous_only_virtual_tables>). SQLite finds that one
    /// under any schema name, `temp.` included.
    const IS_CREATED: bool = false;

    /// The table in the connection `db`, whose state is `connection`: the one that is there by itself, or one that was
    /// created before, perhaps by another program. `arguments` are the names of the module, of the schema and of the
    /// table, and then what CREATE VIRTUAL TABLE has in brackets.
    ///
    /// # Errors
    /// Arguments that are wrong; what is missing in the file.
    fn connect(connection: &Arc<Connection>, db: Db, arguments: &[&CStr]) -> Result<Self>;

    /// CREATE VIRTUAL TABLE: makes what the table keeps in the file, and then does as [`VirtualTable::connect`].
    ///
    /// # Errors
    /// As [`VirtualTable::connect`].
    fn create(connection: &Arc<Connection>, db: Db, arguments: &[&CStr]) -> Result<Self> {
        let _ = (connection, db, arguments);
        Err(unsupported::<Self>("created"))
    }

    /// DROP TABLE: takes away what [`VirtualTable::create`] made.
    ///
    /// # Errors
    /// What fails. The table is still there then.
    fn destroy(&self) -> Result<()> {
        Ok(())
    }

    /// ALTER TABLE RENAME.
    ///
    /// # Errors
    /// What fails. The table has its old name then.
    fn rename(&self, name: &CStr) -> Result<()> {
        let _ = name;
        Err(unsupported::<Self>("renamed"))
    }

    /// Whether an ordinary table is one in which a table of this module keeps what it has: `end` is what stands in its
    /// name after the name of that table and `_`. Such a one cannot be written in a connection that is in defensive mode.
    fn is_shadow(end: &CStr) -> bool {
        let _ = end;
        false
    }
}

fn unsupported<T: VirtualTable>(what: &str) -> Error {
    Error::invalid(format!("{} cannot be {what}", T::NAME.to_string_lossy()))
}

/// The callbacks of `T`.
pub struct Module<T>(T);

impl<T: VirtualTable> Module<T> {
    pub const CALLBACKS: &'static sqlite3_module = &sqlite3_module {
        // SQLite reads the fields up to xShadowName.
        iVersion: 3,
        xCreate: if T::IS_CREATED { Some(create::<T>) } else { None },
        xConnect: Some(connect::<T>),
        xBestIndex: Some(best_index::<T>),
        xDisconnect: Some(disconnect::<T>),
        xDestroy: if T::IS_CREATED { Some(destroy::<T>) } else { None },
        xOpen: Some(open::<T>),
        xClose: Some(close::<T>),
        xFilter: Some(filter::<T>),
        xNext: Some(next::<T>),
        xEof: Some(eof::<T>),
        xColumn: Some(column::<T>),
        xRowid: Some(rowid::<T>),
        xUpdate: if T::WRITABLE { Some(update::<T>) } else { None },
        xRename: if T::IS_CREATED { Some(rename::<T>) } else { None },
        xShadowName: if T::IS_CREATED { Some(shadow_name::<T>) } else { None },
        ..ffi::EMPTY_MODULE
    };
}

/// Registers `T` in `db`.
///
/// # Errors
/// What SQLite refuses.
///
/// # Safety
/// `db` is an open connection.
pub unsafe fn register<T: VirtualTable>(
    db: *mut sqlite3,
    connection: &Arc<Connection>,
) -> Result<(), String> {
    let aux = Arc::into_raw(connection.clone()).cast_mut().cast();
    // SAFETY: SQLite calls `release` once for `aux`, also when the registration fails.
    let rc =
        unsafe { ffi::create_module_v2(db, T::NAME.as_ptr(), Module::<T>::CALLBACKS, aux, Some(release)) };
    match rc {
        code::OK => Ok(()),
        rc => Err(format!("rembed: cannot register {}: error {rc}", T::NAME.to_string_lossy())),
    }
}

unsafe extern "C" fn release(aux: *mut c_void) {
    // SAFETY: `aux` came from Arc::into_raw in register(), and SQLite destroys it once.
    connection::destroy(unsafe { Arc::from_raw(aux.cast::<Connection>()) });
}

/// <https://www.sqlite.org/vtab.html#the_xcreate_method>
unsafe extern "C" fn create<T: VirtualTable>(
    db: *mut sqlite3,
    aux: *mut c_void,
    argc: c_int,
    argv: *const *const c_char,
    vtab: *mut *mut sqlite3_vtab,
    error: *mut *mut c_char,
) -> c_int {
    // SAFETY: the same contract.
    unsafe { made(db, aux, strings(argc, argv), vtab, error, T::create) }
}

/// <https://www.sqlite.org/vtab.html#the_xconnect_method>
unsafe extern "C" fn connect<T: VirtualTable>(
    db: *mut sqlite3,
    aux: *mut c_void,
    argc: c_int,
    argv: *const *const c_char,
    vtab: *mut *mut sqlite3_vtab,
    error: *mut *mut c_char,
) -> c_int {
    // SAFETY: the same contract.
    unsafe { made(db, aux, strings(argc, argv), vtab, error, T::connect) }
}

unsafe fn strings<'a>(argc: c_int, argv: *const *const c_char) -> Vec<&'a CStr> {
    // SAFETY: SQLite passes `argc` C strings, which stay as they are during the call.
    unsafe { (0..usize::try_from(argc).unwrap_or(0)).map(|i| CStr::from_ptr(*argv.add(i))).collect() }
}

/// Makes the table by `make`, and tells SQLite of it.
unsafe fn made<T: VirtualTable>(
    db: *mut sqlite3,
    aux: *mut c_void,
    arguments: Vec<&CStr>,
    vtab: *mut *mut sqlite3_vtab,
    error: *mut *mut c_char,
    make: fn(&Arc<Connection>, Db, &[&CStr]) -> Result<T>,
) -> c_int {
    // SAFETY: SQLite passes the connection, what register() gave it, which outlives the table, and places for the table
    // and a message.
    unsafe {
        Arc::increment_strong_count(aux.cast::<Connection>());
        let connection = Arc::from_raw(aux.cast::<Connection>());
        let made = guard(|| {
            let table = make(&connection, Db::new(db), &arguments)?;
            let rc = ffi::declare_vtab(db, table.declaration().as_ptr());
            if rc != code::OK {
                return Ok(rc);
            }
            if T::CALLERS == Callers::Application {
                ffi::vtab_config(db, code::VTAB_DIRECTONLY, 0);
            }
            if T::WRITABLE {
                // A failed statement changes no row here, so that SQLite may go on with OR IGNORE and OR REPLACE.
                ffi::vtab_config(db, code::VTAB_CONSTRAINT_SUPPORT, 1);
            }
            *vtab = instance(connection.clone(), Db::new(db), table);
            Ok(code::OK)
        });
        let (rc, text) = match made.map(|made| made.map_err(|e| failure(&e))) {
            Ok(Ok(rc)) => (rc, None),
            Ok(Err((rc, text))) => (rc, text),
            Err(panic) => (code::ERROR, Some(panic)),
        };
        if let Some(text) = text {
            connection.session.note_error(&text);
            *error = c_string(|n| ffi::malloc64(n).cast(), &text);
        }
        connection::destroy(connection);
        rc
    }
}

/// A table that disconnect() frees.
pub fn instance<T: Table<Argument>>(connection: Arc<Connection>, db: Db, table: T) -> *mut sqlite3_vtab {
    // SQLite sets pModule.
    let base = sqlite3_vtab { pModule: std::ptr::null(), nRef: 0, zErrMsg: std::ptr::null_mut() };
    Box::into_raw(Box::new(Instance { base, connection, db, table })).cast()
}

/// <https://www.sqlite.org/vtab.html#the_xdisconnect_method>
unsafe extern "C" fn disconnect<T: Table<Argument>>(vtab: *mut sqlite3_vtab) -> c_int {
    // SAFETY: `vtab` came from Box::into_raw in instance(), and SQLite is done with it.
    unsafe {
        // A message that SQLite has not taken, as those of xDestroy.
        ffi::free((*vtab).zErrMsg.cast());
        connection::destroy(Box::from_raw(vtab.cast::<Instance<T>>()));
    }
    code::OK
}

/// <https://www.sqlite.org/vtab.html#the_xdestroy_method>
unsafe extern "C" fn destroy<T: VirtualTable>(vtab: *mut sqlite3_vtab) -> c_int {
    // SAFETY: SQLite passes a table of create() or connect(), and is done with it unless this fails.
    unsafe {
        match attempt::<T>(vtab, || (*vtab.cast::<Instance<T>>()).table.destroy()) {
            code::OK => disconnect::<T>(vtab),
            rc => rc,
        }
    }
}

/// <https://www.sqlite.org/vtab.html#the_xrename_method>
unsafe extern "C" fn rename<T: VirtualTable>(vtab: *mut sqlite3_vtab, name: *const c_char) -> c_int {
    // SAFETY: SQLite passes a table of create() or connect(), and a C string.
    unsafe { attempt::<T>(vtab, || (*vtab.cast::<Instance<T>>()).table.rename(CStr::from_ptr(name))) }
}

/// <https://www.sqlite.org/vtab.html#the_xshadowname_method>
unsafe extern "C" fn shadow_name<T: VirtualTable>(end: *const c_char) -> c_int {
    // SAFETY: SQLite passes a C string.
    let is_shadow = guard(|| T::is_shadow(unsafe { CStr::from_ptr(end) }));
    is_shadow.unwrap_or(false).into()
}

/// <https://www.sqlite.org/vtab.html#the_xbestindex_method>
unsafe extern "C" fn best_index<T: Table<Argument>>(
    vtab: *mut sqlite3_vtab,
    info: *mut sqlite3_index_info,
) -> c_int {
    // SAFETY: SQLite passes a table of connect() and what it asks.
    unsafe {
        let chosen = guard(|| {
            let plan = (*vtab.cast::<Instance<T>>()).table.plan(&plan::query(info));
            plan.map(|plan| plan::answer(info, &plan)).is_some()
        });
        match chosen {
            Ok(true) => code::OK,
            // SQLite looks for another order of the tables.
            Ok(false) => code::CONSTRAINT,
            Err(panic) => fail::<T>(vtab, code::ERROR, &panic),
        }
    }
}

/// INSERT, UPDATE and DELETE (<https://www.sqlite.org/vtab.html#the_xupdate_method>).
unsafe extern "C" fn update<T: Table<Argument>>(
    vtab: *mut sqlite3_vtab,
    argc: c_int,
    argv: *mut *mut sqlite3_value,
    rowid: *mut i64,
) -> c_int {
    // SAFETY: SQLite passes a table of connect(), one argument (DELETE) or two and the columns, and a place for the rowid.
    unsafe {
        attempt::<T>(vtab, || {
            let instance = vtab.cast::<Instance<T>>();
            let (table, db) = (&(*instance).table, (*instance).db);
            let replace = || ffi::vtab_on_conflict(db.as_ptr()) == code::ON_CONFLICT_REPLACE;
            match arguments::<'_, 'static>(argc, argv) {
                [old] => table.delete(old.int()),
                [old, new, columns @ ..] if old.is_null() => {
                    let chosen = if new.is_null() { None } else { Some(rowid_of::<T>(new)?) };
                    *rowid = table.insert(chosen, columns, replace())?;
                    Ok(())
                }
                [old, new, columns @ ..] => table.update(old.int(), rowid_of::<T>(new)?, columns, replace()),
                [] => Ok(()),
            }
        })
    }
}

fn rowid_of<T: Table<Argument>>(value: &Argument) -> Result<i64> {
    match value.kind() {
        Kind::Integer => Ok(value.int()),
        _ => Err(Error::invalid(format!("{}: a rowid must be an integer", T::NAME.to_string_lossy()))),
    }
}
