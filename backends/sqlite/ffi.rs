//! SQLite's C API by its own names, from whoever supplies it: the table that a host passes to the entry point
//! ([`table`], with the types of `bindings.rs`), or the library that an app links (libsql, rusqlite).

use std::ffi::{c_char, c_int, c_void};

cfg_if::cfg_if! {
    if #[cfg(feature = "sqlite")] {
        // Written by generate.sh.
        #[allow(missing_docs, non_camel_case_types, non_snake_case, dead_code, unreachable_pub, clippy::all)]
        #[rustfmt::skip]
        mod bindings;
        pub mod table;
        pub use bindings::{
            sqlite3, sqlite3_api_routines, sqlite3_blob, sqlite3_context, sqlite3_index_info, sqlite3_module, sqlite3_stmt,
            sqlite3_value, sqlite3_vtab, sqlite3_vtab_cursor,
        };
        #[cfg(test)]
        pub use bindings::{
            sqlite3_index_info_sqlite3_index_constraint, sqlite3_index_info_sqlite3_index_constraint_usage,
        };
        macro_rules! supplied {
            ($name:ident, $symbol:ident) => {
                // Every function here has a slot in the table since OLDEST.
                (*table::get()).$name.expect(concat!("SQLite lacks ", stringify!($symbol)))
            };
        }
    } else {
        #[cfg(feature = "libsql")]
        use ::libsql::ffi as linked;
        #[cfg(not(feature = "libsql"))]
        use ::rusqlite::ffi as linked;
        pub use linked::{
            sqlite3, sqlite3_blob, sqlite3_context, sqlite3_index_info, sqlite3_module, sqlite3_stmt, sqlite3_value, sqlite3_vtab,
            sqlite3_vtab_cursor,
        };
        macro_rules! supplied {
            ($name:ident, $symbol:ident) => {
                linked::$symbol
            };
        }
    }
}

mod lists;

/// Result codes, datatypes and flags (<https://www.sqlite.org/c3ref/constlist.html>).
pub mod code {
    #![allow(missing_docs)]
    pub const OK: i32 = 0;
    pub const ERROR: i32 = 1;
    pub const BUSY: i32 = 5;
    pub const LOCKED: i32 = 6;
    pub const NOMEM: i32 = 7;
    pub const INTERRUPT: i32 = 9;
    pub const CORRUPT: i32 = 11;
    pub const FULL: i32 = 13;
    pub const PROTOCOL: i32 = 15;
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

    pub const DBCONFIG_ENABLE_TRIGGER: i32 = 1003;
    pub const DBCONFIG_DEFENSIVE: i32 = 1010;
    pub const DBCONFIG_WRITABLE_SCHEMA: i32 = 1011;
    pub const DBCONFIG_ENABLE_VIEW: i32 = 1015;
    pub const DBCONFIG_TRUSTED_SCHEMA: i32 = 1017;
    /// The value that leaves an option as it is, and asks for it.
    pub const DBCONFIG_ASK: i32 = -1;
    pub const DBSTATUS_SCHEMA_USED: i32 = 2;
    pub const TESTCTRL_IMPOSTER: i32 = 25;

    pub const OPEN_READWRITE: i32 = 2;
    pub const OPEN_CREATE: i32 = 4;
    pub const OPEN_FULLMUTEX: i32 = 0x1_0000;
    pub const OPEN_NOFOLLOW: i32 = 0x100_0000;

    pub const VTAB_CONSTRAINT_SUPPORT: i32 = 1;
    pub const VTAB_DIRECTONLY: i32 = 3;
    pub const INDEX_CONSTRAINT_EQ: u8 = 2;
    pub const INDEX_CONSTRAINT_GT: u8 = 4;
    pub const INDEX_CONSTRAINT_LE: u8 = 8;
    pub const INDEX_CONSTRAINT_IS: u8 = 72;
    pub const INDEX_CONSTRAINT_LT: u8 = 16;
    pub const INDEX_CONSTRAINT_GE: u8 = 32;
    pub const INDEX_CONSTRAINT_LIMIT: u8 = 73;
    pub const INDEX_CONSTRAINT_OFFSET: u8 = 74;
    pub const INDEX_SCAN_UNIQUE: i32 = 1;
    pub const ON_CONFLICT_REPLACE: i32 = 5;
}

/// The error of whatever SQLite has no memory for.
pub const OUT_OF_MEMORY: &str = "rembed: out of memory";

/// Since 3.40.0 SQLite itself keeps triggers of the schema from writing a table that is DIRECTONLY.
pub const GUARDS_TABLES_SINCE: c_int = 3_040_000;
const IS_INTERRUPTED_SINCE: c_int = 3_041_000;

macro_rules! api {
    ($($name:ident, $symbol:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        #[doc = concat!("<https://www.sqlite.org/c3ref/funclist.html>: `", stringify!($symbol), "`.")]
        ///
        /// # Safety
        /// As SQLite documents it; of a connection that an entry point was called for.
        #[allow(clippy::too_many_arguments)] // they are SQLite's
        pub unsafe fn $name($($arg: $type),*) $(-> $result)? {
            // SAFETY: the same contract. Where a table supplies it, it was stored before any callback could run.
            unsafe { supplied!($name, $symbol)($($arg),*) }
        }
    )*};
}

type Destructor = Option<unsafe extern "C" fn(*mut c_void)>;
type ScalarFunction = Option<unsafe extern "C" fn(*mut sqlite3_context, c_int, *mut *mut sqlite3_value)>;
type ExecRow = Option<unsafe extern "C" fn(*mut c_void, c_int, *mut *mut c_char, *mut *mut c_char) -> c_int>;
type BusyHandler = Option<unsafe extern "C" fn(*mut c_void, c_int) -> c_int>;
type Finalizer = Option<unsafe extern "C" fn(*mut sqlite3_context)>;

api! {
    libversion_number, sqlite3_libversion_number() -> c_int;
    libversion, sqlite3_libversion() -> *const c_char;
    malloc64, sqlite3_malloc64(bytes: u64) -> *mut c_void;
    free, sqlite3_free(memory: *mut c_void);
    create_function_v2, sqlite3_create_function_v2(
        db: *mut sqlite3, name: *const c_char, args: c_int, flags: c_int, app: *mut c_void,
        function: ScalarFunction, step: ScalarFunction, last: Finalizer, destroy: Destructor
    ) -> c_int;
    create_module_v2, sqlite3_create_module_v2(
        db: *mut sqlite3, name: *const c_char, module: *const sqlite3_module, aux: *mut c_void,
        destroy: Destructor
    ) -> c_int;
    declare_vtab, sqlite3_declare_vtab(db: *mut sqlite3, sql: *const c_char) -> c_int;
    prepare_v2, sqlite3_prepare_v2(
        db: *mut sqlite3, sql: *const c_char, bytes: c_int, stmt: *mut *mut sqlite3_stmt,
        tail: *mut *const c_char
    ) -> c_int;
    bind_double, sqlite3_bind_double(stmt: *mut sqlite3_stmt, parameter: c_int, value: f64) -> c_int;
    bind_pointer, sqlite3_bind_pointer(
        stmt: *mut sqlite3_stmt, parameter: c_int, value: *mut c_void, kind: *const c_char, destroy: Destructor
    ) -> c_int;
    bind_null, sqlite3_bind_null(stmt: *mut sqlite3_stmt, parameter: c_int) -> c_int;
    bind_text64, sqlite3_bind_text64(
        stmt: *mut sqlite3_stmt, parameter: c_int, text: *const c_char, bytes: u64, destroy: Destructor, encoding: u8
    ) -> c_int;
    bind_blob64, sqlite3_bind_blob64(
        stmt: *mut sqlite3_stmt, parameter: c_int, blob: *const c_void, bytes: u64, destroy: Destructor
    ) -> c_int;
    last_insert_rowid, sqlite3_last_insert_rowid(db: *mut sqlite3) -> i64;
    txn_state, sqlite3_txn_state(db: *mut sqlite3, schema: *const c_char) -> c_int;
    step, sqlite3_step(stmt: *mut sqlite3_stmt) -> c_int;
    reset, sqlite3_reset(stmt: *mut sqlite3_stmt) -> c_int;
    finalize, sqlite3_finalize(stmt: *mut sqlite3_stmt) -> c_int;
    get_autocommit, sqlite3_get_autocommit(db: *mut sqlite3) -> c_int;
    db_status, sqlite3_db_status(
        db: *mut sqlite3, what: c_int, now: *mut c_int, most: *mut c_int, reset: c_int
    ) -> c_int;
    stmt_readonly, sqlite3_stmt_readonly(stmt: *mut sqlite3_stmt) -> c_int;
    column_count, sqlite3_column_count(stmt: *mut sqlite3_stmt) -> c_int;
    bind_parameter_count, sqlite3_bind_parameter_count(stmt: *mut sqlite3_stmt) -> c_int;
    bind_parameter_name, sqlite3_bind_parameter_name(stmt: *mut sqlite3_stmt, parameter: c_int) -> *const c_char;
    column_value, sqlite3_column_value(stmt: *mut sqlite3_stmt, column: c_int) -> *mut sqlite3_value;
    bind_int64, sqlite3_bind_int64(stmt: *mut sqlite3_stmt, parameter: c_int, value: i64) -> c_int;
    bind_blob, sqlite3_bind_blob(
        stmt: *mut sqlite3_stmt, parameter: c_int, blob: *const c_void, bytes: c_int, destroy: Destructor
    ) -> c_int;
    open_v2, sqlite3_open_v2(
        name: *const c_char, db: *mut *mut sqlite3, flags: c_int, vfs: *const c_char
    ) -> c_int;
    close, sqlite3_close(db: *mut sqlite3) -> c_int;
    blob_open, sqlite3_blob_open(
        db: *mut sqlite3, schema: *const c_char, table: *const c_char, column: *const c_char, row: i64,
        write: c_int, blob: *mut *mut sqlite3_blob
    ) -> c_int;
    blob_close, sqlite3_blob_close(blob: *mut sqlite3_blob) -> c_int;
    busy_handler, sqlite3_busy_handler(db: *mut sqlite3, handler: BusyHandler, app: *mut c_void) -> c_int;
    changes, sqlite3_changes(db: *mut sqlite3) -> c_int;
    exec, sqlite3_exec(
        db: *mut sqlite3, sql: *const c_char, row: ExecRow, app: *mut c_void, error: *mut *mut c_char
    ) -> c_int;
    next_stmt, sqlite3_next_stmt(db: *mut sqlite3, stmt: *mut sqlite3_stmt) -> *mut sqlite3_stmt;
    stmt_busy, sqlite3_stmt_busy(stmt: *mut sqlite3_stmt) -> c_int;
    sql, sqlite3_sql(stmt: *mut sqlite3_stmt) -> *const c_char;
    errmsg, sqlite3_errmsg(db: *mut sqlite3) -> *const c_char;
    get_auxdata, sqlite3_get_auxdata(context: *mut sqlite3_context, argument: c_int) -> *mut c_void;
    set_auxdata, sqlite3_set_auxdata(context: *mut sqlite3_context, argument: c_int, data: *mut c_void, destroy: Destructor);
    context_db_handle, sqlite3_context_db_handle(context: *mut sqlite3_context) -> *mut sqlite3;
    table_column_metadata, sqlite3_table_column_metadata(
        db: *mut sqlite3, schema: *const c_char, table: *const c_char, column: *const c_char,
        datatype: *mut *const c_char, collation: *mut *const c_char, not_null: *mut c_int,
        primary_key: *mut c_int, autoincrement: *mut c_int
    ) -> c_int;
    user_data, sqlite3_user_data(context: *mut sqlite3_context) -> *mut c_void;
    value_type, sqlite3_value_type(value: *mut sqlite3_value) -> c_int;
    value_text, sqlite3_value_text(value: *mut sqlite3_value) -> *const u8;
    value_bytes, sqlite3_value_bytes(value: *mut sqlite3_value) -> c_int;
    value_blob, sqlite3_value_blob(value: *mut sqlite3_value) -> *const c_void;
    value_int64, sqlite3_value_int64(value: *mut sqlite3_value) -> i64;
    value_double, sqlite3_value_double(value: *mut sqlite3_value) -> f64;
    value_nochange, sqlite3_value_nochange(value: *mut sqlite3_value) -> c_int;
    vtab_nochange, sqlite3_vtab_nochange(context: *mut sqlite3_context) -> c_int;
    vtab_on_conflict, sqlite3_vtab_on_conflict(db: *mut sqlite3) -> c_int;
    vtab_collation, sqlite3_vtab_collation(info: *mut sqlite3_index_info, constraint: c_int) -> *const c_char;
    result_null, sqlite3_result_null(context: *mut sqlite3_context);
    result_int64, sqlite3_result_int64(context: *mut sqlite3_context, value: i64);
    result_double, sqlite3_result_double(context: *mut sqlite3_context, value: f64);
    result_error, sqlite3_result_error(context: *mut sqlite3_context, text: *const c_char, bytes: c_int);
    result_error_code, sqlite3_result_error_code(context: *mut sqlite3_context, code: c_int);
    result_subtype, sqlite3_result_subtype(context: *mut sqlite3_context, subtype: u32);
    result_text64, sqlite3_result_text64(
        context: *mut sqlite3_context, text: *const c_char, bytes: u64, destroy: Destructor, encoding: u8
    );
    result_blob64, sqlite3_result_blob64(context: *mut sqlite3_context, blob: *const c_void, bytes: u64, destroy: Destructor);
}

/// `sqlite3_vtab_config` with an integer (<https://www.sqlite.org/c3ref/vtab_config.html>).
///
/// # Safety
/// Inside xConnect of a virtual table on `db`.
pub unsafe fn vtab_config(db: *mut sqlite3, option: c_int, value: c_int) -> c_int {
    // SAFETY: as in api!.
    unsafe { supplied!(vtab_config, sqlite3_vtab_config)(db, option, value) }
}

/// `sqlite3_db_config` with an option that is on or off (<https://www.sqlite.org/c3ref/c_dbconfig_defensive.html>).
/// Returns what it is now.
///
/// # Safety
/// `db` is open.
pub unsafe fn db_config(db: *mut sqlite3, option: c_int, value: c_int) -> bool {
    let mut now: c_int = 0;
    // SAFETY: as in api!; these options take an int and a place for an int.
    unsafe { supplied!(db_config, sqlite3_db_config)(db, option, value, &raw mut now) };
    now != 0
}

/// `SQLITE_TESTCTRL_IMPOSTER`, as the shell's `.imposter off` calls it: SQLite then parses the schema anew.
///
/// # Safety
/// `db` is open, and its SQLite is one that this was tried on: a later version may change the interface.
pub unsafe fn imposter_off(db: *mut sqlite3) {
    // SAFETY: as in api!; this control takes a connection, a name and two ints.
    unsafe {
        supplied!(test_control, sqlite3_test_control)(
            code::TESTCTRL_IMPOSTER,
            db,
            c"main".as_ptr(),
            0 as c_int,
            1 as c_int,
        )
    };
}

/// `sqlite3_is_interrupted`, which SQLite has since 3.41.0; before, no extension can tell.
///
/// # Safety
/// `db` is open.
pub unsafe fn is_interrupted(db: *mut sqlite3) -> bool {
    // SAFETY: as in api!; the slot is read only where the table is known to be long enough.
    unsafe {
        libversion_number() >= IS_INTERRUPTED_SINCE
            && supplied!(is_interrupted, sqlite3_is_interrupted)(db) != 0
    }
}

/// To [`vtab_in`]: asks, and changes nothing.
pub const ASK_WHETHER_IN: c_int = -1;
/// To [`vtab_in`]: the list comes whole.
pub const TAKE_IN_WHOLE: c_int = 1;

/// `sqlite3_vtab_in` (<https://www.sqlite.org/c3ref/vtab_in.html>), which SQLite has since 3.38.0: whether the constraint is of a
/// list that may come whole. `None` where SQLite cannot tell.
///
/// # Safety
/// SQLite has just passed `info` to xBestIndex.
pub unsafe fn vtab_in(info: *mut sqlite3_index_info, constraint: c_int, handle: c_int) -> Option<bool> {
    // SAFETY: the same contract.
    lists::get().map(|lists| unsafe { (lists.is_in)(info, constraint, handle) != 0 })
}

/// Calls `each` with the values of a list that comes whole.
///
/// # Safety
/// SQLite has just passed `list` to xFilter.
pub unsafe fn vtab_in_each(list: *mut sqlite3_value, mut each: impl FnMut(*mut sqlite3_value)) -> c_int {
    let Some(lists) = lists::get() else { return code::ERROR };
    let mut value = std::ptr::null_mut();
    // SAFETY: the same contract. A value is read before the next one is asked for.
    unsafe {
        let mut rc = (lists.first)(list, &mut value);
        while rc == code::OK && !value.is_null() {
            each(value);
            rc = (lists.next)(list, &mut value);
        }
        if rc == code::DONE { code::OK } else { rc }
    }
}

/// The destructor by which SQLite copies what it is given (`SQLITE_TRANSIENT`).
pub fn transient() -> Destructor {
    // SAFETY: SQLite compares this with -1 and never calls it.
    Some(unsafe { std::mem::transmute::<isize, unsafe extern "C" fn(*mut c_void)>(-1) })
}

/// A module without callbacks, from which others take the fields that they do not set: the declarations of a newer SQLite have
/// more of them.
pub const EMPTY_MODULE: sqlite3_module = {
    // SAFETY: a version and optional functions, for all of which zero is a value.
    unsafe { std::mem::zeroed() }
};
