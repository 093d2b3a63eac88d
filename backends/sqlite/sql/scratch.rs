//! A connection of our own.

use super::{Arg, Failure, Statement, exec};
use crate::sqlite::connection::Db;
use crate::sqlite::ffi::{self, code};
use crate::sqlite::in_use;

/// A connection of our own to a database in memory, for what cannot be tried on the caller's.
#[derive(Debug)]
pub struct Scratch(Db);

impl Scratch {
    /// Opens it.
    ///
    /// # Errors
    /// No memory.
    pub fn open() -> Result<Scratch, Failure> {
        let mut db = std::ptr::null_mut();
        let flags = code::OPEN_READWRITE | code::OPEN_CREATE | code::OPEN_FULLMUTEX;
        // SAFETY: the name is a C string; what was opened is closed by Drop, also where that failed.
        unsafe {
            let open = || ffi::open_v2(c":memory:".as_ptr(), &mut db, flags, std::ptr::null());
            let rc = in_use::opening_our_own(open);
            if db.is_null() {
                return Err(Failure::of_text(ffi::OUT_OF_MEMORY));
            }
            let scratch = Scratch(Db::new(db));
            if rc == code::OK { Ok(scratch) } else { Err(Failure::of(scratch.0, rc)) }
        }
    }

    /// Runs the statements of `sql`.
    ///
    /// # Errors
    /// As [`exec`].
    pub fn exec(&self, sql: &str) -> Result<(), Failure> {
        exec(self.0, sql)
    }

    /// As [`Statement::all`].
    ///
    /// # Errors
    /// What SQLite says.
    pub fn all<T>(
        &self,
        sql: &str,
        args: &[Arg<'_>],
        read: impl FnMut(&Statement) -> T,
    ) -> Result<Vec<T>, Failure> {
        Statement::prepare(self.0, sql)?.all(args, read)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: it is open, and no statement of it is left.
        unsafe { ffi::close(self.0.as_ptr()) };
    }
}
