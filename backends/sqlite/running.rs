//! The statements of a connection that are under way.

use std::ffi::CStr;

use super::connection::Db;
use super::ffi::{self, sqlite3, sqlite3_stmt};
use crate::sql::whole;

/// The statements that were begun and have neither ended nor been reset, and whether they write.
///
/// # Safety
/// `db` is open. A statement lives until it is finalized.
unsafe fn all(db: *mut sqlite3) -> Vec<(*mut sqlite3_stmt, bool)> {
    // SAFETY: db is open, and what next_stmt gives is not finalized meanwhile.
    unsafe {
        let mut all = Vec::new();
        let mut stmt = ffi::next_stmt(db, std::ptr::null_mut());
        while !stmt.is_null() {
            if ffi::stmt_busy(stmt) != 0 {
                all.push((stmt, ffi::stmt_readonly(stmt) == 0));
            }
            stmt = ffi::next_stmt(db, stmt);
        }
        all
    }
}

/// Which they are.
pub fn statements(db: Db) -> Vec<usize> {
    // SAFETY: the connection is open.
    unsafe { all(db.as_ptr()) }.into_iter().map(|(stmt, _)| stmt as usize).collect()
}

/// Those that write.
///
/// # Safety
/// `db` is open. A statement lives until it is finalized.
pub unsafe fn writers(db: *mut sqlite3) -> Vec<*mut sqlite3_stmt> {
    // SAFETY: the same contract.
    unsafe { all(db) }.into_iter().filter_map(|(stmt, writes)| writes.then_some(stmt)).collect()
}

/// Whether there is one that writes.
pub fn is_writing(db: Db) -> bool {
    // SAFETY: the connection is open.
    unsafe { !writers(db.as_ptr()).is_empty() }
}

/// Whether a scan of the table-valued `function` that begins now is read to its end. Nothing tells which statement the scan
/// is of: so all that are under way must say so.
pub fn takes_every_row(db: Db, function: &CStr) -> bool {
    let Ok(function) = function.to_str() else { return false };
    // SAFETY: the connection is open; the text lives as long as its statement.
    let takes_all = |(stmt, writes)| unsafe {
        let sql = ffi::sql(stmt);
        !sql.is_null()
            && CStr::from_ptr(sql).to_str().is_ok_and(|sql| whole::takes_every_row(sql, function, writes))
    };
    // SAFETY: the connection is open.
    let all = unsafe { all(db.as_ptr()) };
    !all.is_empty() && all.into_iter().all(takes_all)
}
