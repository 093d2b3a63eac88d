//! SQLite's C API, reached through the table that the host passes to the entry point.
//!
//! The same build serves a host that loads the library and one that links it: both pass the table
//! (<https://www.sqlite.org/loadext.html#statically_linking_a_run_time_loadable_extension>). The functions here
//! are those of the table by their C names; the types are sqlite-loadable's.

use std::collections::BTreeSet;
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use sqlite_loadable::ext::{
    sqlite3, sqlite3_api_routines, sqlite3_context, sqlite3_index_info, sqlite3_module, sqlite3_stmt,
    sqlite3_value, sqlite3_vtab, sqlite3_vtab_cursor,
};

/// Result codes, datatypes and flags (<https://www.sqlite.org/c3ref/constlist.html>).
pub mod code {
    #![allow(missing_docs)]
    pub const OK: i32 = 0;
    pub const ERROR: i32 = 1;
    pub const BUSY: i32 = 5;
    pub const INTERRUPT: i32 = 9;
    pub const FULL: i32 = 13;
    pub const ROW: i32 = 100;
    pub const DONE: i32 = 101;
    pub const CONSTRAINT: i32 = 19;

    pub const INTEGER: i32 = 1;
    pub const FLOAT: i32 = 2;
    pub const BLOB: i32 = 4;
    pub const NULL: i32 = 5;

    pub const UTF8: i32 = 1;
    pub const DETERMINISTIC: i32 = 0x800;
    pub const DIRECTONLY: i32 = 0x8_0000;
    pub const RESULT_SUBTYPE: i32 = 0x100_0000;

    pub const OPEN_READWRITE: i32 = 2;
    pub const OPEN_CREATE: i32 = 4;
    pub const OPEN_FULLMUTEX: i32 = 0x1_0000;

    pub const VTAB_CONSTRAINT_SUPPORT: i32 = 1;
    pub const VTAB_DIRECTONLY: i32 = 3;
    pub const INDEX_CONSTRAINT_EQ: u8 = 2;
    pub const INDEX_SCAN_UNIQUE: i32 = 1;
    pub const ON_CONFLICT_REPLACE: i32 = 5;
}

/// The oldest SQLite whose table has every function used without a check of the version: 3.34.0.
const OLDEST: c_int = 3_034_000;
/// Since 3.40.0 SQLite itself keeps triggers of the schema from writing a table that is DIRECTONLY.
pub const GUARDS_TABLES_SINCE: c_int = 3_040_000;
const IS_INTERRUPTED_SINCE: c_int = 3_041_000;

static API: AtomicPtr<sqlite3_api_routines> = AtomicPtr::new(std::ptr::null_mut());

/// The addresses of the connections that use the table.
static OPEN: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

fn open_connections() -> MutexGuard<'static, BTreeSet<usize>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a connection as open while it lives. SQLite drops what is registered in a connection before it frees
/// the connection, so an address is not in use twice.
#[derive(Debug)]
pub struct InUse(usize);

impl Drop for InUse {
    fn drop(&mut self) {
        open_connections().remove(&self.0);
    }
}

/// Takes the table of the SQLite that calls the entry point for `db`; `None` where that was done before.
///
/// # Errors
/// No table; one of an SQLite that is too old; one of a second SQLite while connections of a first are open,
/// since the C API gives a function no way to tell which one called it.
///
/// # Safety
/// `api` is NULL or SQLite's table, which lives as long as that SQLite is mapped.
pub unsafe fn attach(
    db: *mut sqlite3,
    api: *mut sqlite3_api_routines,
) -> Result<Option<InUse>, &'static str> {
    if api.is_null() {
        return Err("rembed: SQLite passed no API table (is it built with SQLITE_OMIT_LOAD_EXTENSION?)");
    }
    // SAFETY: not NULL, so it is SQLite's table.
    let version = unsafe { (*api).libversion_number.map_or(0, |f| f()) };
    if version < OLDEST {
        return Err("rembed: needs SQLite 3.34.0 or later");
    }
    let mut open = open_connections();
    if API.load(Ordering::Acquire) != api {
        if !open.is_empty() {
            return Err("rembed: another SQLite library of this process uses this copy of the extension: \
                        load a copy of the file under another name");
        }
        API.store(api, Ordering::Release);
    }
    Ok(open.insert(db.addr()).then(|| InUse(db.addr())))
}

macro_rules! api {
    ($($name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        #[doc = concat!("<https://www.sqlite.org/c3ref/funclist.html>: `sqlite3_", stringify!($name), "`.")]
        ///
        /// # Safety
        /// As SQLite documents it, after [`attach`].
        #[allow(clippy::too_many_arguments)] // they are SQLite's
        pub unsafe fn $name($($arg: $type),*) $(-> $result)? {
            // SAFETY: attach() stored SQLite's table before any callback could run, and every function here
            // has a slot in it since OLDEST.
            unsafe {
                let function = (*API.load(Ordering::Acquire)).$name;
                (function.expect(concat!("SQLite lacks ", stringify!($name))))($($arg),*)
            }
        }
    )*};
}

type Destructor = Option<unsafe extern "C" fn(*mut c_void)>;
type ScalarFunction = Option<unsafe extern "C" fn(*mut sqlite3_context, c_int, *mut *mut sqlite3_value)>;
type ExecRow = Option<unsafe extern "C" fn(*mut c_void, c_int, *mut *mut c_char, *mut *mut c_char) -> c_int>;
type Finalizer = Option<unsafe extern "C" fn(*mut sqlite3_context)>;

api! {
    libversion_number() -> c_int;
    libversion() -> *const c_char;
    malloc64(bytes: u64) -> *mut c_void;
    free(memory: *mut c_void);
    create_function_v2(
        db: *mut sqlite3, name: *const c_char, args: c_int, flags: c_int, app: *mut c_void,
        function: ScalarFunction, step: ScalarFunction, last: Finalizer, destroy: Destructor
    ) -> c_int;
    create_module_v2(
        db: *mut sqlite3, name: *const c_char, module: *const sqlite3_module, aux: *mut c_void,
        destroy: Destructor
    ) -> c_int;
    column_text(stmt: *mut sqlite3_stmt, column: c_int) -> *const u8;
    declare_vtab(db: *mut sqlite3, sql: *const c_char) -> c_int;
    prepare_v2(
        db: *mut sqlite3, sql: *const c_char, bytes: c_int, stmt: *mut *mut sqlite3_stmt,
        tail: *mut *const c_char
    ) -> c_int;
    step(stmt: *mut sqlite3_stmt) -> c_int;
    reset(stmt: *mut sqlite3_stmt) -> c_int;
    finalize(stmt: *mut sqlite3_stmt) -> c_int;
    stmt_readonly(stmt: *mut sqlite3_stmt) -> c_int;
    column_count(stmt: *mut sqlite3_stmt) -> c_int;
    column_value(stmt: *mut sqlite3_stmt, column: c_int) -> *mut sqlite3_value;
    bind_blob(
        stmt: *mut sqlite3_stmt, parameter: c_int, blob: *const c_void, bytes: c_int, destroy: Destructor
    ) -> c_int;
    open_v2(
        name: *const c_char, db: *mut *mut sqlite3, flags: c_int, vfs: *const c_char
    ) -> c_int;
    close_v2(db: *mut sqlite3) -> c_int;
    busy_timeout(db: *mut sqlite3, milliseconds: c_int) -> c_int;
    changes(db: *mut sqlite3) -> c_int;
    exec(
        db: *mut sqlite3, sql: *const c_char, row: ExecRow, app: *mut c_void, error: *mut *mut c_char
    ) -> c_int;
    next_stmt(db: *mut sqlite3, stmt: *mut sqlite3_stmt) -> *mut sqlite3_stmt;
    stmt_busy(stmt: *mut sqlite3_stmt) -> c_int;
    sql(stmt: *mut sqlite3_stmt) -> *const c_char;
    errmsg(db: *mut sqlite3) -> *const c_char;
    user_data(context: *mut sqlite3_context) -> *mut c_void;
    value_type(value: *mut sqlite3_value) -> c_int;
    value_text(value: *mut sqlite3_value) -> *const u8;
    value_bytes(value: *mut sqlite3_value) -> c_int;
    value_blob(value: *mut sqlite3_value) -> *const c_void;
    value_int64(value: *mut sqlite3_value) -> i64;
    value_double(value: *mut sqlite3_value) -> f64;
    value_nochange(value: *mut sqlite3_value) -> c_int;
    vtab_nochange(context: *mut sqlite3_context) -> c_int;
    vtab_on_conflict(db: *mut sqlite3) -> c_int;
    vtab_collation(info: *mut sqlite3_index_info, constraint: c_int) -> *const c_char;
    result_null(context: *mut sqlite3_context);
    result_int64(context: *mut sqlite3_context, value: i64);
    result_double(context: *mut sqlite3_context, value: f64);
    result_error(context: *mut sqlite3_context, text: *const c_char, bytes: c_int);
    result_error_code(context: *mut sqlite3_context, code: c_int);
    result_subtype(context: *mut sqlite3_context, subtype: u32);
    result_text64(
        context: *mut sqlite3_context, text: *const c_char, bytes: u64, destroy: Destructor, encoding: u8
    );
    result_blob64(context: *mut sqlite3_context, blob: *const c_void, bytes: u64, destroy: Destructor);
}

/// `sqlite3_vtab_config` with an integer (<https://www.sqlite.org/c3ref/vtab_config.html>).
///
/// # Safety
/// Inside xConnect of a virtual table on `db`.
pub unsafe fn vtab_config(db: *mut sqlite3, option: c_int, value: c_int) -> c_int {
    // SAFETY: as in api!.
    unsafe {
        let function = (*API.load(Ordering::Acquire)).vtab_config;
        (function.expect("SQLite lacks vtab_config"))(db, option, value)
    }
}

/// `sqlite3_is_interrupted`, which SQLite has since 3.41.0; before, no extension can tell.
///
/// # Safety
/// `db` is open.
pub unsafe fn is_interrupted(db: *mut sqlite3) -> bool {
    // SAFETY: as in api!; the slot is read only where the table is known to be long enough.
    unsafe {
        libversion_number() >= IS_INTERRUPTED_SINCE
            && (*API.load(Ordering::Acquire)).is_interrupted.is_some_and(|f| f(db) != 0)
    }
}

/// The destructor by which SQLite copies what it is given (`SQLITE_TRANSIENT`).
pub fn transient() -> Destructor {
    // SAFETY: SQLite compares this with -1 and never calls it.
    Some(unsafe { std::mem::transmute::<isize, unsafe extern "C" fn(*mut c_void)>(-1) })
}
