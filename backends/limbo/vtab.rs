//! The callbacks of a virtual table and of a table-valued function, as the engine calls them.
//!
//! The engine drops the text of an error of `filter` and `next`, but shows that of `column`. So these two say that
//! there is a row, and whatever is read of it is the error.

use std::ffi::{c_char, c_void};

use limbo_ext::{
    Conn, ConstraintInfo, ExtIndexInfo, ExtensionApi, IndexInfo, OrderByInfo, ResultCode, VTabCreateResult,
    VTabKind, VTabModuleImpl,
};

use super::value::{RawValue, arguments, give, give_error};
use super::{attempt, crossing, registered};
use crate::base::error::Error;
use crate::base::guard::guard;
use crate::sql::table::{Cursor, Table};
use crate::sql::value::Value;

/// A table as Limbo declares it.
pub trait Declared: Table<RawValue> + Sync {
    /// Which of the two it is.
    const KIND: VTabKind;

    /// The table, for the arguments of CREATE VIRTUAL TABLE. It is static: the engine asks for one in each statement
    /// that calls a table-valued function, and never gives it back.
    ///
    /// # Errors
    /// Arguments that it does not know.
    fn declare(args: &[RawValue]) -> Result<&'static Self, Error>;
}

/// A scan, and the error that the next column to be read gives.
struct Scan<C> {
    cursor: C,
    failed: Option<String>,
}

/// Registers the table `T` in the connection of `api`.
///
/// # Safety
/// As [`super::register_all`].
pub unsafe fn register<T: Declared>(api: &ExtensionApi) -> Result<(), Error> {
    // SAFETY: the same contract.
    unsafe { register_module::<T>(api, module::<T>()) }
}

/// Registers `module` under the name of `T`.
///
/// # Safety
/// As [`super::register_all`]; the callbacks are of the types that they say.
pub unsafe fn register_module<T: Declared>(api: &ExtensionApi, module: VTabModuleImpl) -> Result<(), Error> {
    // SAFETY: the context is the API's own; the host takes the name, as a CString, and keeps the module.
    let code = unsafe { (api.register_vtab_module)(api.ctx, crossing::text(T::NAME), module, T::KIND) };
    registered(&T::NAME.to_string_lossy(), code)
}

/// The callbacks of `T`.
pub fn module<T: Declared>() -> VTabModuleImpl {
    VTabModuleImpl {
        name: T::NAME.as_ptr(),
        create: create::<T>,
        open: open::<T>,
        close: close::<T>,
        filter: filter::<T>,
        column: column::<T>,
        next: next::<T>,
        eof: eof::<T>,
        update: update::<T>,
        rowid: rowid::<T>,
        destroy,
        best_idx: best_index,
    }
}

/// The answer to a CREATE VIRTUAL TABLE that fails.
pub fn not_created(code: ResultCode) -> VTabCreateResult {
    VTabCreateResult { code, schema: std::ptr::null(), table: std::ptr::null() }
}

unsafe extern "C" fn create<T: Declared>(argv: *const limbo_ext::Value, argc: i32) -> VTabCreateResult {
    // SAFETY: the host passes the arguments of the declaration.
    let args = unsafe { arguments(argc, argv) };
    match attempt(|| T::declare(args)) {
        Ok(table) => VTabCreateResult {
            code: ResultCode::OK,
            // The host takes it, as a CString.
            schema: crossing::text(&table.declaration()),
            table: std::ptr::from_ref(table).cast(),
        },
        Err(e) => not_created(code(&e)),
    }
}

unsafe extern "C" fn open<T: Declared>(table: *const c_void, _: *mut Conn) -> *const c_void {
    let made = guard(|| {
        // SAFETY: a table of create(), which is static.
        let cursor = unsafe { &*table.cast::<T>() }.open();
        Box::into_raw(Box::new(Scan { cursor, failed: None })).cast_const().cast()
    });
    made.unwrap_or(std::ptr::null())
}

unsafe extern "C" fn close<T: Declared>(cursor: *const c_void) -> ResultCode {
    // SAFETY: a cursor of open(), which the host is done with.
    let scan = unsafe { Box::from_raw(cursor.cast_mut().cast::<Scan<T::Cursor>>()) };
    guard(|| drop(scan)).map_or(ResultCode::Internal, |()| ResultCode::OK)
}

unsafe extern "C" fn filter<T: Declared>(
    cursor: *const c_void,
    argc: i32,
    argv: *const limbo_ext::Value,
    index: *const c_char,
    _: i32,
) -> ResultCode {
    // SAFETY: a cursor of open(), which no other callback uses meanwhile; arguments that stay until we return; the
    // name of an index, which best_index() gives none.
    unsafe {
        debug_assert!(index.is_null());
        let scan = &mut *cursor.cast_mut().cast::<Scan<T::Cursor>>();
        let args = arguments(argc, argv);
        scan.step(|cursor| cursor.filter(0, args))
    }
}

unsafe extern "C" fn next<T: Declared>(cursor: *const c_void) -> ResultCode {
    // SAFETY: a cursor of open(), which no other callback uses meanwhile.
    let scan = unsafe { &mut *cursor.cast_mut().cast::<Scan<T::Cursor>>() };
    if scan.failed.is_some() {
        // The error was to be read as a row, and nothing of that row was read.
        return ResultCode::Error;
    }
    scan.step(Cursor::advance)
}

impl<C: Cursor<RawValue>> Scan<C> {
    fn step(&mut self, work: impl FnOnce(&mut C) -> Result<(), Error>) -> ResultCode {
        self.failed = attempt(|| work(&mut self.cursor)).err().map(|e| e.to_string());
        match self.failed.is_none() && self.cursor.is_done() {
            true => ResultCode::EOF,
            false => ResultCode::OK,
        }
    }
}

unsafe extern "C" fn eof<T: Declared>(cursor: *const c_void) -> bool {
    // SAFETY: as in next().
    let scan = unsafe { &*cursor.cast::<Scan<T::Cursor>>() };
    scan.failed.is_none() && scan.cursor.is_done()
}

unsafe extern "C" fn column<T: Declared>(cursor: *const c_void, column: u32) -> limbo_ext::Value {
    // SAFETY: as in next().
    let scan = unsafe { &mut *cursor.cast_mut().cast::<Scan<T::Cursor>>() };
    if let Some(text) = &scan.failed {
        return give_error(text.clone());
    }
    match attempt(|| scan.cursor.column(column as usize)) {
        Ok(output) => give(output),
        Err(e) => give_error(e.to_string()),
    }
}

unsafe extern "C" fn rowid<T: Declared>(cursor: *const c_void) -> i64 {
    // SAFETY: as in next().
    unsafe { &*cursor.cast::<Scan<T::Cursor>>() }.cursor.rowid()
}

unsafe extern "C" fn update<T: Declared>(
    table: *const c_void,
    argc: i32,
    argv: *const limbo_ext::Value,
    // The host gives the address of a constant.
    _: *mut i64,
) -> ResultCode {
    // SAFETY: a table of create(), which is static; arguments that stay until we return.
    unsafe {
        let (table, args) = (&*table.cast::<T>(), arguments(argc, argv));
        attempt(|| change(table, args)).map_or_else(|e| code(&e), |()| ResultCode::OK)
    }
}

/// DELETE, INSERT or UPDATE. The engine has no OR REPLACE here, and passes no rowid of its own to INSERT.
fn change<T: Declared>(table: &T, args: &[RawValue]) -> Result<(), Error> {
    match args {
        [old, new] if new.is_null() => table.delete(old.int()),
        [old, _, columns @ ..] if old.is_null() => table.insert(None, columns, false).map(drop),
        [old, new, columns @ ..] => table.update(old.int(), new.int(), columns, false),
        _ => Ok(()),
    }
}

unsafe extern "C" fn destroy(_: *const c_void) -> ResultCode {
    ResultCode::OK
}

/// Always a scan: the engine compares by itself. The answer has no constraint and no name, so nothing is allocated for it.
unsafe extern "C" fn best_index(
    _: *const ConstraintInfo,
    _: i32,
    _: *const OrderByInfo,
    _: i32,
) -> ExtIndexInfo {
    IndexInfo::default().to_ffi()
}

/// The code of an error. The code's name is all that the user sees; the text is in `rembed_last_error()`.
fn code(e: &Error) -> ResultCode {
    match e {
        Error::Constraint { constraint: "UNIQUE", .. } => ResultCode::AlreadyExists,
        Error::Request(_) => ResultCode::Error,
        Error::Interrupted => ResultCode::Interrupt,
        _ => ResultCode::InvalidArgs,
    }
}
