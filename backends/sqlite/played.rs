//! SQLite's part, played in Rust, so that Miri, which cannot run C, can watch the tables at work (`tests/miri.sh`). `cargo test` runs
//! the same tests without it.

mod created;
mod panics;

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::batch_table::{Batch, OfJson, OfSelect};
use super::chunks_table::Chunks;
use super::clients_table::Clients;
use super::connection::{Connection, Db, Unsettled};
use super::ffi::{
    code, sqlite3, sqlite3_api_routines, sqlite3_context, sqlite3_index_info, sqlite3_module, sqlite3_stmt,
    sqlite3_value, sqlite3_vtab, sqlite3_vtab_cursor,
};
use super::ffi::{
    sqlite3_index_info_sqlite3_index_constraint as Constraint,
    sqlite3_index_info_sqlite3_index_constraint_usage as Usage,
};
use super::in_use;
use super::vtab::{self, Module, VirtualTable};
use crate::base::interrupt::Uninterrupted;
use crate::sql::session::Session;

/// What a `sqlite3_value` points to here.
enum Value {
    Null,
    Int(i64),
    Text(CString),
}

thread_local! {
    /// What a `sqlite3_context` was given.
    static GIVEN: RefCell<Option<String>> = const { RefCell::new(None) };
    /// What a step of a statement does.
    static STEP: RefCell<Option<Box<dyn Fn() -> c_int>>> = const { RefCell::new(None) };
    /// What sqlite3_errmsg() says.
    static FAILED: RefCell<CString> = RefCell::default();
}

unsafe fn value<'a>(value: *mut sqlite3_value) -> &'a Value {
    // SAFETY: made of a Value by row().
    unsafe { &*value.cast::<Value>() }
}

unsafe extern "C" fn version() -> c_int {
    3_050_000
}

unsafe extern "C" fn malloc64(bytes: u64) -> *mut c_void {
    // With its length before it, for free().
    let mut memory = vec![0_u64; bytes as usize / 8 + 2].into_boxed_slice();
    memory[0] = memory.len() as u64;
    // SAFETY: within the box.
    unsafe { Box::into_raw(memory).cast::<u64>().add(1).cast() }
}

unsafe extern "C" fn free(memory: *mut c_void) {
    if !memory.is_null() {
        // SAFETY: malloc64() made it.
        unsafe {
            let start = memory.cast::<u64>().sub(1);
            drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(start, *start as usize)));
        }
    }
}

unsafe extern "C" fn value_type(v: *mut sqlite3_value) -> c_int {
    // SAFETY: a value of row().
    match unsafe { value(v) } {
        Value::Null => code::NULL,
        Value::Int(_) => code::INTEGER,
        Value::Text(_) => 3,
    }
}

unsafe extern "C" fn value_int64(v: *mut sqlite3_value) -> i64 {
    // SAFETY: a value of row().
    if let Value::Int(n) = unsafe { value(v) } { *n } else { 0 }
}

unsafe extern "C" fn value_text(v: *mut sqlite3_value) -> *const u8 {
    // SAFETY: a value of row().
    if let Value::Text(text) = unsafe { value(v) } { text.as_ptr().cast() } else { std::ptr::null() }
}

unsafe extern "C" fn value_bytes(v: *mut sqlite3_value) -> c_int {
    // SAFETY: a value of row().
    if let Value::Text(text) = unsafe { value(v) } { text.as_bytes().len() as c_int } else { 0 }
}

unsafe extern "C" fn value_blob(v: *mut sqlite3_value) -> *const c_void {
    // SAFETY: a value of row().
    unsafe { value_text(v) }.cast()
}

unsafe extern "C" fn value_nochange(_: *mut sqlite3_value) -> c_int {
    0
}

unsafe extern "C" fn vtab_nochange(_: *mut sqlite3_context) -> c_int {
    0
}

unsafe extern "C" fn vtab_on_conflict(_: *mut sqlite3) -> c_int {
    code::ON_CONFLICT_REPLACE
}

/// No constraint is of a list here.
unsafe extern "C" fn vtab_in(_: *mut sqlite3_index_info, _: c_int, _: c_int) -> c_int {
    0
}

/// The first constraint of a query is NOCASE here, the others are BINARY.
unsafe extern "C" fn vtab_collation(_: *mut sqlite3_index_info, constraint: c_int) -> *const c_char {
    if constraint == 0 { c"NOCASE".as_ptr() } else { c"BINARY".as_ptr() }
}

unsafe extern "C" fn result_error(_: *mut sqlite3_context, text: *const c_char, bytes: c_int) {
    // SAFETY: the text has so many bytes.
    let text = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), bytes as usize) };
    GIVEN.set(Some(format!("error: {}", String::from_utf8_lossy(text))));
}

unsafe extern "C" fn result_null(_: *mut sqlite3_context) {
    GIVEN.set(None);
}

unsafe extern "C" fn result_int64(_: *mut sqlite3_context, number: i64) {
    GIVEN.set(Some(number.to_string()));
}

unsafe extern "C" fn result_text64(
    _: *mut sqlite3_context,
    text: *const c_char,
    bytes: u64,
    _: Option<unsafe extern "C" fn(*mut c_void)>,
    _: u8,
) {
    // SAFETY: the text has so many bytes.
    let text = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), bytes as usize) };
    GIVEN.set(Some(String::from_utf8_lossy(text).into_owned()));
}

unsafe extern "C" fn declare_vtab(_: *mut sqlite3, sql: *const c_char) -> c_int {
    // SAFETY: a C string.
    created::DECLARED.set(Some(unsafe { CStr::from_ptr(sql) }.into()));
    code::OK
}

/// A statement is an address here, and what it does is in STEP.
unsafe extern "C" fn prepare_v2(
    _: *mut sqlite3,
    _: *const c_char,
    _: c_int,
    stmt: *mut *mut sqlite3_stmt,
    _: *mut *const c_char,
) -> c_int {
    // SAFETY: a place for the statement.
    unsafe { *stmt = std::ptr::without_provenance_mut(8) };
    code::OK
}

unsafe extern "C" fn stmt_readonly(_: *mut sqlite3_stmt) -> c_int {
    1
}

unsafe extern "C" fn column_count(_: *mut sqlite3_stmt) -> c_int {
    2
}

unsafe extern "C" fn bind_parameter_count(_: *mut sqlite3_stmt) -> c_int {
    0
}

unsafe extern "C" fn next_stmt(_: *mut sqlite3, _: *mut sqlite3_stmt) -> *mut sqlite3_stmt {
    std::ptr::null_mut()
}

unsafe extern "C" fn step(_: *mut sqlite3_stmt) -> c_int {
    STEP.with_borrow(|step| step.as_ref().map_or(code::DONE, |step| step()))
}

unsafe extern "C" fn finalize(_: *mut sqlite3_stmt) -> c_int {
    code::OK
}

unsafe extern "C" fn errmsg(_: *mut sqlite3) -> *const c_char {
    FAILED.with_borrow(|text| text.as_ptr())
}

macro_rules! play {
    ($api:ident, $($name:ident),*) => { $($api.$name = Some($name);)* };
}

/// The connection and its table of routines; one test at a time has them.
fn connection() -> (Arc<Connection>, MutexGuard<'static, ()>) {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    static API: OnceLock<sqlite3_api_routines> = OnceLock::new();
    let api = API.get_or_init(|| {
        // SAFETY: optional functions, for all of which zero is a value.
        let mut api: sqlite3_api_routines = unsafe { std::mem::zeroed() };
        api.libversion_number = Some(version);
        play!(api, malloc64, free, value_type, value_int64, value_text, value_bytes, value_blob);
        play!(api, value_nochange);
        play!(api, vtab_nochange, vtab_on_conflict, result_null, result_int64, result_text64);
        play!(api, vtab_collation, vtab_in, result_error);
        play!(api, prepare_v2, step, finalize, stmt_readonly, column_count, errmsg);
        play!(api, bind_parameter_count, next_stmt, declare_vtab);
        api
    });
    // SAFETY: a table of routines that stays.
    let in_use = unsafe { in_use::attach(DB, std::ptr::from_ref(api).cast_mut()) }.unwrap().unwrap();
    let session = Session::new("played", Arc::new(Uninterrupted), None);
    (Arc::new(Connection { session, number: 0, unsettled: Unsettled::default(), in_use }), one)
}

const DB: *mut sqlite3 = std::ptr::without_provenance_mut(16);

/// A table and its module, called as SQLite calls them.
struct Table {
    module: &'static sqlite3_module,
    vtab: *mut sqlite3_vtab,
}

impl Table {
    fn of<T: VirtualTable>(connection: Arc<Connection>) -> Table {
        // SAFETY: an address that nothing reads.
        let db = unsafe { Db::new(DB) };
        let table = T::connect(&connection, db, &[]).unwrap();
        Table { module: Module::<T>::CALLBACKS, vtab: vtab::instance(connection, db, table) }
    }

    fn open(&self) -> *mut sqlite3_vtab_cursor {
        let mut cursor = std::ptr::null_mut();
        // SAFETY: as SQLite does.
        unsafe {
            assert_eq!(self.module.xOpen.unwrap()(self.vtab, &mut cursor), code::OK);
            (*cursor).pVtab = self.vtab;
        }
        cursor
    }

    /// Asks for a plan: of comparisons by `=` of these columns, each usable or not, in a query that reads `columns`.
    /// Returns it with the place of each comparison's value among the arguments, and whether SQLite leaves the check
    /// to the table.
    fn best_index(
        &self,
        constraints: &[(c_int, bool)],
        columns: u64,
    ) -> Result<(sqlite3_index_info, Vec<(c_int, u8)>), c_int> {
        let constraint = |(column, usable): &(c_int, bool)| Constraint {
            iColumn: *column,
            op: code::INDEX_CONSTRAINT_EQ,
            usable: (*usable).into(),
            iTermOffset: 0,
        };
        self.ask(&mut constraints.iter().map(constraint).collect::<Vec<_>>(), columns)
    }

    fn ask(
        &self,
        asked: &mut [Constraint],
        columns: u64,
    ) -> Result<(sqlite3_index_info, Vec<(c_int, u8)>), c_int> {
        let mut used = vec![Usage { argvIndex: 0, omit: 0 }; asked.len()];
        // SAFETY: numbers and pointers, for all of which zero is a value.
        let mut info: sqlite3_index_info = unsafe { std::mem::zeroed() };
        info.nConstraint = asked.len() as c_int;
        (info.aConstraint, info.aConstraintUsage) = (asked.as_mut_ptr(), used.as_mut_ptr());
        info.colUsed = columns;
        // SAFETY: as SQLite does.
        match unsafe { self.module.xBestIndex.unwrap()(self.vtab, &mut info) } {
            code::OK => Ok((info, used.iter().map(|usage| (usage.argvIndex, usage.omit)).collect())),
            rc => Err(rc),
        }
    }

    /// Starts a scan with these arguments; its error.
    fn filter(
        &self,
        cursor: *mut sqlite3_vtab_cursor,
        plan: c_int,
        values: &mut [Value],
    ) -> Result<(), String> {
        let mut argv = row(values);
        let (argc, none) = (argv.len() as c_int, std::ptr::null());
        // SAFETY: as SQLite does.
        let rc = unsafe { self.module.xFilter.unwrap()(cursor, plan, none, argc, argv.as_mut_ptr()) };
        self.result(rc)
    }

    fn update(&self, values: &mut [Value]) -> Result<i64, String> {
        let mut argv = row(values);
        let mut rowid = 0;
        let argc = argv.len() as c_int;
        // SAFETY: as SQLite does.
        let rc = unsafe { self.module.xUpdate.unwrap()(self.vtab, argc, argv.as_mut_ptr(), &mut rowid) };
        self.result(rc).map(|()| rowid)
    }

    /// The first column of every row that is left.
    fn rest(&self, cursor: *mut sqlite3_vtab_cursor) -> Vec<Option<String>> {
        let mut rows = Vec::new();
        // SAFETY: as SQLite does.
        unsafe {
            while self.module.xEof.unwrap()(cursor) == 0 {
                self.module.xColumn.unwrap()(cursor, std::ptr::null_mut(), 0);
                rows.push(GIVEN.take());
                let rc = self.module.xNext.unwrap()(cursor);
                self.result(rc).unwrap();
            }
            assert_eq!(self.module.xClose.unwrap()(cursor), code::OK);
        }
        rows
    }

    /// Takes the error as SQLite does: the text is freed, and its place cleared.
    fn result(&self, rc: c_int) -> Result<(), String> {
        if rc == code::OK {
            return Ok(());
        }
        // SAFETY: the text is of malloc64(), or NULL.
        unsafe {
            let text = std::mem::replace(&mut (*self.vtab).zErrMsg, std::ptr::null_mut());
            assert!(!text.is_null());
            let said = CStr::from_ptr(text).to_string_lossy().into_owned();
            free(text.cast());
            FAILED.set(CString::new(said.as_str()).unwrap());
            Err(said)
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: as SQLite does, at last.
        unsafe { self.module.xDisconnect.unwrap()(self.vtab) };
    }
}

fn row(values: &mut [Value]) -> Vec<*mut sqlite3_value> {
    values.iter_mut().map(|value| std::ptr::from_mut(value).cast()).collect()
}

fn text(text: &str) -> Value {
    Value::Text(CString::new(text).unwrap())
}

#[test]
fn the_table_of_clients_is_read_and_written() {
    let (connection, _one) = connection();
    let table = Table::of::<Clients>(connection);
    let insert = |name, format| {
        let [model, url, key, options] = [const { Value::Null }; 4];
        table.update(&mut [Value::Null, Value::Null, text(name), text(format), model, url, key, options])
    };
    assert_eq!(insert("a", "openai"), Ok(1));
    assert_eq!(insert("b", "ollama"), Ok(2));
    assert!(insert("c", "nope").unwrap_err().contains("nope"));
    assert!(insert("c", "neither").unwrap_err().contains("neither"));
    let cursor = table.open();
    table.filter(cursor, 0, &mut []).unwrap();
    assert_eq!(table.rest(cursor), [Some("a".into()), Some("b".into())]);
    let cursor = table.open();
    table.filter(cursor, 1, &mut [text("b")]).unwrap();
    assert_eq!(table.update(&mut [Value::Int(1)]), Ok(0));
    assert_eq!(table.rest(cursor), [Some("b".into())]);
}

/// A query whose step scans the same table again, down to the limit. Each level writes its error into the table while the levels above
/// are using it.
#[test]
fn a_scan_within_a_scan() {
    let (connection, _one) = connection();
    connection.session.register("c", crate::client::options::document("openai").unwrap()).unwrap();
    let table = Table::of::<Batch<OfSelect>>(connection);
    let (module, vtab) = (table.module, table.vtab);
    STEP.set(Some(Box::new(move || {
        let inner = ManuallyDrop::new(Table { module, vtab });
        let cursor = inner.open();
        let failed = inner.filter(cursor, 3, &mut [text("c"), text("SELECT 1, 2")]).is_err();
        assert!(inner.rest(cursor).is_empty());
        if failed { code::ERROR } else { code::DONE }
    })));
    let cursor = table.open();
    let failed = table.filter(cursor, 3, &mut [text("c"), text("SELECT 1, 2")]).unwrap_err();
    assert!(failed.starts_with("rembed_rows: nested more than"), "{failed}");
    STEP.set(None);
    table.filter(cursor, 3, &mut [text("c"), text("SELECT 1, 2")]).unwrap();
    assert!(table.filter(cursor, 0, &mut []).unwrap_err().contains("wants a client"));
    assert!(table.rest(cursor).is_empty());
}

/// The chunks are of the cursor's own copy of the text.
#[test]
fn the_chunks_of_a_text() {
    let (connection, _one) = connection();
    let table = Table::of::<Chunks>(connection);
    let cursor = table.open();
    table.filter(cursor, 1, &mut [text("one")]).unwrap();
    table.filter(cursor, 3, &mut [text("One two. Three."), Value::Int(9)]).unwrap();
    assert_eq!(table.rest(cursor).len(), 2);
    let cursor = table.open();
    assert!(table.filter(cursor, 0, &mut []).unwrap_err().contains("wants a text"));
    assert!(table.rest(cursor).is_empty());
}

/// A value is read by reference, and an error reaches the caller.
#[test]
fn a_batch_of_json() {
    let (connection, _one) = connection();
    connection.session.register("c", crate::client::options::document("openai").unwrap()).unwrap();
    let table = Table::of::<Batch<OfJson>>(connection);
    let cursor = table.open();
    table.filter(cursor, 3, &mut [text("c"), text("[null, null]")]).unwrap();
    table.filter(cursor, 3, &mut [text("c"), text("{\"a\": null, \"b\": null}")]).unwrap();
    assert_eq!(table.rest(cursor), [Some("a".into()), Some("b".into())]);
    let cursor = table.open();
    assert!(table.filter(cursor, 3, &mut [text("c"), text("[")]).unwrap_err().contains("must be JSON"));
    assert!(
        table.filter(cursor, 3, &mut [text("d"), text("[]")]).unwrap_err().contains("was not registered")
    );
    assert!(table.rest(cursor).is_empty());
}

#[test]
fn a_plan_uses_what_it_can() {
    let (connection, _one) = connection();
    let clients = Table::of::<Clients>(connection.clone());
    // Of three comparisons of the name, the first is by another collation and the second comes too late.
    let (info, used) = clients.best_index(&[(0, true), (0, false), (0, true)], 0).unwrap();
    assert_eq!(
        (info.idxNum, info.idxFlags, used),
        (1, code::INDEX_SCAN_UNIQUE, vec![(0, 0), (0, 0), (1, 0)])
    );
    let (info, used) = clients.best_index(&[(0, true), (1, true), (-1, true)], 0).unwrap();
    assert_eq!((info.idxNum, info.idxFlags, used), (0, 0, vec![(0, 0); 3]));
    let batch = Table::of::<Batch<OfJson>>(connection);
    // Arguments come in their own order, and the bit 8 is for a query that reads the column 3, `error`.
    let (info, used) = batch.best_index(&[(0, true), (6, true), (4, true)], 1 << 3).unwrap();
    assert_eq!((info.idxNum, used), (1 + 4 + 8, vec![(0, 0), (2, 1), (1, 1)]));
    assert!(batch.best_index(&[(4, true), (5, false)], 0).is_err_and(|rc| rc == code::CONSTRAINT));
}
