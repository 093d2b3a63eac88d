//! The callbacks of a virtual table and of a table-valued function, as the engine calls them.
//!
//! The engine drops the text of an error of `filter` and `next`, but shows that of `column`. So these two say that
//! there is a row, and whatever is read of it is the error.

use std::ffi::{CStr, CString, c_char, c_void};

use limbo_ext::{
    Conn, ConstraintInfo, ExtIndexInfo, ExtensionApi, IndexInfo, OrderByInfo, ResultCode, VTabCreateResult,
    VTabKind, VTabModuleImpl,
};

use super::value::{RawValue, arguments, give, give_error};
use super::{attempt, registered};
use crate::base::error::Error;
use crate::base::guard::guard;
use crate::sql::value::Output;

/// What is different in each table. `Self` is a table as it was declared; it is static, since the engine makes one
/// for each statement that calls a table-valued function, and never gives it back.
pub trait Table: Sync + Sized + 'static {
    /// Its name in SQL, and its module's.
    const NAME: &'static CStr;
    /// Which of the two it is.
    const KIND: VTabKind;
    /// Its scans.
    type Cursor: Cursor;

    /// The table and its schema, for the arguments of CREATE VIRTUAL TABLE.
    ///
    /// # Errors
    /// Arguments that it does not know.
    fn create(args: &[RawValue]) -> Result<(&'static Self, &'static CStr), Error>;

    /// INSERT, UPDATE and DELETE.
    ///
    /// # Errors
    /// What the statement does wrong.
    fn update(&self, args: &[RawValue]) -> Result<(), Error>;
}

/// A scan of a table.
pub trait Cursor: Default {
    /// Begins, at the first row.
    ///
    /// # Errors
    /// Arguments that are wrong; what fails before there is a row.
    fn filter(&mut self, args: &[RawValue]) -> Result<(), Error>;

    /// Goes to the next row.
    ///
    /// # Errors
    /// What fails then.
    fn advance(&mut self) -> Result<(), Error>;

    /// Whether there is no row any more.
    fn is_done(&self) -> bool;

    /// A column of the row.
    ///
    /// # Errors
    /// A row that failed.
    fn column(&mut self, column: usize) -> Result<Output, Error>;

    /// The number of the row, never 0: the engine takes that for NULL.
    fn rowid(&self) -> i64;
}

/// A scan, and the error that whatever is read next shall be.
#[derive(Default)]
struct Scan<C> {
    cursor: C,
    failed: Option<String>,
}

/// Registers the table `T` in the connection of `api`.
///
/// # Safety
/// As [`super::register_all`].
pub unsafe fn register<T: Table>(api: &ExtensionApi) -> Result<(), Error> {
    // SAFETY: the same contract.
    unsafe { register_module::<T>(api, module::<T>()) }
}

/// Registers `module` under the name of `T`.
///
/// # Safety
/// As [`super::register_all`]; the callbacks are of the types that they say.
pub unsafe fn register_module<T: Table>(api: &ExtensionApi, module: VTabModuleImpl) -> Result<(), Error> {
    // SAFETY: the context is the API's own; the host takes the name, as a CString, and keeps the module.
    let code = unsafe {
        let name = CString::from(T::NAME).into_raw();
        (api.register_vtab_module)(api.ctx, name, module, T::KIND)
    };
    registered(&T::NAME.to_string_lossy(), code)
}

/// The callbacks of `T`.
pub fn module<T: Table>() -> VTabModuleImpl {
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

unsafe extern "C" fn create<T: Table>(argv: *const limbo_ext::Value, argc: i32) -> VTabCreateResult {
    // SAFETY: the host passes the arguments of the declaration.
    let args = unsafe { arguments(argc, argv) };
    match attempt(|| T::create(args)) {
        Ok((table, schema)) => VTabCreateResult {
            code: ResultCode::OK,
            // The host takes it, as a CString.
            schema: CString::from(schema).into_raw(),
            table: std::ptr::from_ref(table).cast(),
        },
        Err(e) => not_created(code(&e)),
    }
}

unsafe extern "C" fn open<T: Table>(_: *const c_void, _: *mut Conn) -> *const c_void {
    guard(|| Box::into_raw(Box::new(Scan::<T::Cursor>::default())).cast_const().cast())
        .unwrap_or(std::ptr::null())
}

unsafe extern "C" fn close<T: Table>(cursor: *const c_void) -> ResultCode {
    // SAFETY: a cursor of open(), which the host is done with.
    let scan = unsafe { Box::from_raw(cursor.cast_mut().cast::<Scan<T::Cursor>>()) };
    guard(|| drop(scan)).map_or(ResultCode::Internal, |()| ResultCode::OK)
}

unsafe extern "C" fn filter<T: Table>(
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
        scan.step(|cursor| cursor.filter(args))
    }
}

unsafe extern "C" fn next<T: Table>(cursor: *const c_void) -> ResultCode {
    // SAFETY: a cursor of open(), which no other callback uses meanwhile.
    let scan = unsafe { &mut *cursor.cast_mut().cast::<Scan<T::Cursor>>() };
    if scan.failed.is_some() {
        // Nothing was read of the row that is the error.
        return ResultCode::Error;
    }
    scan.step(Cursor::advance)
}

impl<C: Cursor> Scan<C> {
    fn step(&mut self, work: impl FnOnce(&mut C) -> Result<(), Error>) -> ResultCode {
        self.failed = attempt(|| work(&mut self.cursor)).err().map(|e| e.to_string());
        match self.failed.is_none() && self.cursor.is_done() {
            true => ResultCode::EOF,
            false => ResultCode::OK,
        }
    }
}

unsafe extern "C" fn eof<T: Table>(cursor: *const c_void) -> bool {
    // SAFETY: as in next().
    let scan = unsafe { &*cursor.cast::<Scan<T::Cursor>>() };
    scan.failed.is_none() && scan.cursor.is_done()
}

unsafe extern "C" fn column<T: Table>(cursor: *const c_void, column: u32) -> limbo_ext::Value {
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

unsafe extern "C" fn rowid<T: Table>(cursor: *const c_void) -> i64 {
    // SAFETY: as in next().
    unsafe { &*cursor.cast::<Scan<T::Cursor>>() }.cursor.rowid()
}

unsafe extern "C" fn update<T: Table>(
    table: *const c_void,
    argc: i32,
    argv: *const limbo_ext::Value,
    // The host gives the address of a constant.
    _: *mut i64,
) -> ResultCode {
    // SAFETY: a table of create(), which is static; arguments that stay until we return.
    unsafe {
        let (table, args) = (&*table.cast::<T>(), arguments(argc, argv));
        attempt(|| table.update(args)).map_or_else(|e| code(&e), |()| ResultCode::OK)
    }
}

unsafe extern "C" fn destroy(_: *const c_void) -> ResultCode {
    ResultCode::OK
}

/// Always a scan: the engine compares by itself.
unsafe extern "C" fn best_index(
    _: *const ConstraintInfo,
    _: i32,
    _: *const OrderByInfo,
    _: i32,
) -> ExtIndexInfo {
    IndexInfo::default().to_ffi()
}

/// The code whose name is all that the user sees of an error, which is in `rembed_last_error()`.
fn code(e: &Error) -> ResultCode {
    match e {
        Error::Constraint { constraint: "UNIQUE", .. } => ResultCode::AlreadyExists,
        Error::Request(_) => ResultCode::Error,
        Error::Interrupted => ResultCode::Interrupt,
        _ => ResultCode::InvalidArgs,
    }
}
