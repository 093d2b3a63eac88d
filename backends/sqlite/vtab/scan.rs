//! SQLite's callbacks of a cursor.

use std::ffi::{c_char, c_int};

use super::instance::{Argument, Instance, attempt, note};
use crate::base::error::{Error, Result};
use crate::base::guard::guard;
use crate::sql::table::{Cursor, Table};
use crate::sqlite::ffi::{self, code, sqlite3_context, sqlite3_value, sqlite3_vtab, sqlite3_vtab_cursor};
use crate::sqlite::value::{arguments, give, give_error};

/// A cursor as SQLite has it, which sees the first field.
#[repr(C)]
struct Scan<C> {
    base: sqlite3_vtab_cursor,
    cursor: C,
    /// What xEof answers. xFilter and xNext ask the cursor: they can say why it fails, and xEof cannot.
    done: bool,
}

/// <https://www.sqlite.org/vtab.html#the_xopen_method>
pub unsafe extern "C" fn open<T: Table<Argument>>(
    vtab: *mut sqlite3_vtab,
    cursor: *mut *mut sqlite3_vtab_cursor,
) -> c_int {
    // SAFETY: SQLite passes a table of connect() and a place for the cursor, whose pVtab it sets.
    unsafe {
        attempt::<T>(vtab, || {
            let base = sqlite3_vtab_cursor { pVtab: std::ptr::null_mut() };
            let scan = Scan { base, cursor: (*vtab.cast::<Instance<T>>()).table.open(), done: true };
            *cursor = Box::into_raw(Box::new(scan)).cast();
            Ok(())
        })
    }
}

/// <https://www.sqlite.org/vtab.html#the_xclose_method>
pub unsafe extern "C" fn close<T: Table<Argument>>(cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: `cursor` came from Box::into_raw in open(), and SQLite is done with it.
    let scan = unsafe { Box::from_raw(cursor.cast::<Scan<T::Cursor>>()) };
    guard(|| drop(scan)).map_or(code::ERROR, |()| code::OK)
}

/// <https://www.sqlite.org/vtab.html#the_xfilter_method>
pub unsafe extern "C" fn filter<T: Table<Argument>>(
    cursor: *mut sqlite3_vtab_cursor,
    plan: c_int,
    _: *const c_char,
    argc: c_int,
    argv: *mut *mut sqlite3_value,
) -> c_int {
    // SAFETY: SQLite passes a cursor of open(), and the arguments that best_index() asked for.
    unsafe { step::<T>(cursor, |cursor| cursor.filter(plan, arguments(argc, argv))) }
}

/// <https://www.sqlite.org/vtab.html#the_xnext_method>
pub unsafe extern "C" fn next<T: Table<Argument>>(cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: a cursor of open().
    unsafe { step::<T>(cursor, T::Cursor::advance) }
}

/// Moves a cursor.
unsafe fn step<T: Table<Argument>>(
    cursor: *mut sqlite3_vtab_cursor,
    work: impl FnOnce(&mut T::Cursor) -> Result<()>,
) -> c_int {
    // SAFETY: a cursor of open().
    unsafe {
        attempt::<T>((*cursor).pVtab, || {
            let scan = cursor.cast::<Scan<T::Cursor>>();
            (*scan).done = true;
            let cursor = &mut (*scan).cursor;
            work(cursor)?;
            (*scan).done = cursor.is_done();
            Ok(())
        })
    }
}

/// <https://www.sqlite.org/vtab.html#the_xeof_method>
pub unsafe extern "C" fn eof<T: Table<Argument>>(cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: a cursor of open().
    unsafe { (*cursor.cast::<Scan<T::Cursor>>()).done.into() }
}

/// <https://www.sqlite.org/vtab.html#the_xcolumn_method>
pub unsafe extern "C" fn column<T: Table<Argument>>(
    cursor: *mut sqlite3_vtab_cursor,
    context: *mut sqlite3_context,
    column: c_int,
) -> c_int {
    // SAFETY: a cursor of open(), and the context of this call.
    unsafe {
        // A column that an UPDATE leaves alone is not read: as shown, it may be less than what is there.
        // Value::is_unchanged then tells the table.
        if ffi::vtab_nochange(context) != 0 {
            return code::OK;
        }
        let value = guard(|| {
            let column = usize::try_from(column).unwrap_or(usize::MAX);
            (*cursor.cast::<Scan<T::Cursor>>()).cursor.column(column)
        });
        match value.unwrap_or_else(|panic| Err(Error::Invalid(panic))) {
            Ok(value) => give(value, context),
            Err(Error::Interrupted) => ffi::result_error_code(context, code::INTERRUPT),
            Err(e) => {
                let text = e.to_string();
                note::<T>((*cursor).pVtab, &text);
                give_error(context, &text);
            }
        }
    }
    code::OK
}

/// <https://www.sqlite.org/vtab.html#the_xrowid_method>
pub unsafe extern "C" fn rowid<T: Table<Argument>>(
    cursor: *mut sqlite3_vtab_cursor,
    rowid: *mut i64,
) -> c_int {
    // SAFETY: a cursor of open(), and a place for the rowid.
    unsafe {
        attempt::<T>((*cursor).pVtab, || {
            *rowid = (*cursor.cast::<Scan<T::Cursor>>()).cursor.rowid();
            Ok(())
        })
    }
}
