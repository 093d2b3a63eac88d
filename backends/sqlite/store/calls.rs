//! The calls of SQLite that the store makes, each with its statement's arguments, result and error.

use std::ffi::{CStr, CString, c_int};

use super::{Database, Failure};
use crate::sql::value::Value as _;
use crate::sqlite::ffi::{self, code, sqlite3};
use crate::sqlite::value::RawValue;

impl Database {
    /// Runs a statement, and gives the number in its first row, or 0.
    pub(super) fn run(&self, statement: usize, arguments: &[i64]) -> Result<i64, Failure> {
        self.step(statement, arguments, |row| row.map_or(0, |value| value.int()))
    }

    pub(super) fn step<T>(
        &self,
        statement: usize,
        arguments: &[i64],
        read: impl FnOnce(Option<&RawValue>) -> T,
    ) -> Result<T, Failure> {
        let statement = self.statements[statement];
        // SAFETY: the statement is prepared; the value is read before it is reset.
        unsafe {
            for (i, argument) in (1..).zip(arguments) {
                ffi::bind_int64(statement, i, *argument);
            }
            let rc = ffi::step(statement);
            let done = match rc {
                code::ROW => Ok(read(Some(&RawValue::of_column(statement, 0)))),
                code::DONE => Ok(read(None)),
                rc => Err((rc & 0xff, self.message())),
            };
            ffi::reset(statement);
            done
        }
    }

    /// The number that `sql` gives.
    pub(super) fn number(&self, sql: &CStr) -> Result<i64, Failure> {
        let mut stmt = std::ptr::null_mut();
        // SAFETY: the connection is open, the text a C string; the statement is finalized once.
        unsafe {
            let rc = ffi::prepare_v2(self.db, sql.as_ptr(), -1, &mut stmt, std::ptr::null_mut());
            self.check(rc)?;
            let rc = ffi::step(stmt);
            let done = match rc {
                code::ROW => Ok(RawValue::of_column(stmt, 0).int()),
                rc => Err((rc & 0xff, self.message())),
            };
            ffi::finalize(stmt);
            done
        }
    }

    pub(super) fn try_exec(&self, sql: &str) -> Result<(), Failure> {
        let sql = CString::new(sql).map_err(|e| (code::ERROR, e.to_string()))?;
        let null = std::ptr::null_mut();
        // SAFETY: the connection is open, the text a C string.
        self.check(unsafe { ffi::exec(self.db, sql.as_ptr(), None, null, std::ptr::null_mut()) })
    }

    pub(super) fn changed(&self) -> usize {
        // SAFETY: the connection is open.
        usize::try_from(unsafe { ffi::changes(self.db) }).unwrap_or(0)
    }

    pub(super) fn check(&self, rc: c_int) -> Result<(), Failure> {
        match rc {
            code::OK => Ok(()),
            rc => Err((rc & 0xff, self.message())),
        }
    }

    pub(super) fn message(&self) -> String {
        message(self.db)
    }
}

fn message(db: *mut sqlite3) -> String {
    if db.is_null() {
        return "out of memory".into();
    }
    // SAFETY: the connection is open (a failed open leaves one that can be asked), the message is copied.
    unsafe { CStr::from_ptr(ffi::errmsg(db)) }.to_string_lossy().into_owned()
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: finalize and close take NULL, and each is called once.
        unsafe {
            for statement in self.statements {
                ffi::finalize(statement);
            }
            ffi::close(self.db);
        }
    }
}
