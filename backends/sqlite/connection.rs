//! What a connection holds while our functions and tables are registered in it.

use std::ffi::CString;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;

use super::ffi::{self, code, sqlite3};
use super::in_use::InUse;
use crate::base::guard::guard;
use crate::base::interrupt::Interrupt;
use crate::sql::session::Session;

/// A connection's state. It lives as long as one of its functions or its tables is registered.
pub(crate) struct Connection {
    pub(super) session: Session,
    /// By this number other connections know it, in this process and in others.
    pub(super) number: u64,
    pub(super) unsettled: Unsettled,
    // Dropped last: until then the API table may not change.
    pub(super) in_use: InUse,
}

/// Pragmas that give the application its settings back, which SQLite did not take: the connection was interrupted, and its
/// schema was another. They are tried again by the next function of ours, which runs when the interrupt is over.
#[derive(Default)]
pub(super) struct Unsettled {
    is_any: AtomicBool,
    pragmas: Mutex<Vec<CString>>,
}

impl Unsettled {
    /// Runs a pragma now or later, of those that do their work when they are prepared.
    pub fn settle(&self, db: Db, pragma: CString) {
        let (mut statement, rest) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the connection is open, and the text ends in a NUL. A statement that was not prepared is null, which is no error.
        let rc = unsafe {
            let rc = ffi::prepare_v2(db.0, pragma.as_ptr(), -1, &mut statement, rest);
            ffi::finalize(statement);
            rc
        };
        if rc != code::OK {
            self.pragmas.lock().unwrap_or_else(PoisonError::into_inner).push(pragma);
            self.is_any.store(true, Relaxed);
        }
    }

    /// Runs those that are left.
    pub fn try_again(&self, db: Db) {
        // The flag and the list are of one connection, whose functions run one after the other.
        if self.is_any.swap(false, Relaxed) {
            let left = std::mem::take(&mut *self.pragmas.lock().unwrap_or_else(PoisonError::into_inner));
            left.into_iter().for_each(|pragma| self.settle(db, pragma));
        }
    }
}

/// Asks SQLite whether the statement is interrupted.
pub struct Handle(pub *mut sqlite3);

// SAFETY: sqlite3_is_interrupted may be called from any thread while the connection is open, and a request
// is waited for within a callback of the connection.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Interrupt for Handle {
    fn is_interrupted(&self) -> bool {
        // SAFETY: asked within a callback, so the connection is open.
        unsafe { ffi::is_interrupted(self.0) }
    }
}

/// The open connection that a table, a cursor or a statement is of. SQLite has these end before it closes the connection.
#[derive(Debug, Clone, Copy)]
pub struct Db(*mut sqlite3);

impl Db {
    /// The connection `db`.
    ///
    /// # Safety
    /// `db` is open, and stays so as long as anything keeps the value.
    pub unsafe fn new(db: *mut sqlite3) -> Db {
        Db(db)
    }

    /// As SQLite's functions take it.
    pub fn as_ptr(self) -> *mut sqlite3 {
        self.0
    }
}

/// Ends waits as [`Handle`] does, and has the thread that made it do something meanwhile, each time that it asks.
pub struct Meanwhile {
    handle: Handle,
    thread: ThreadId,
    work: Box<dyn Fn(Db) + Send + Sync>,
}

impl Meanwhile {
    /// Does `work` within the callback of `db` that runs. The value does not outlive it.
    pub fn new(db: Db, work: impl Fn(Db) + Send + Sync + 'static) -> Meanwhile {
        Meanwhile { handle: Handle(db.0), thread: std::thread::current().id(), work: Box::new(work) }
    }
}

impl Interrupt for Meanwhile {
    fn is_interrupted(&self) -> bool {
        let is_interrupted = self.handle.is_interrupted();
        // Another thread must not use the connection.
        if !is_interrupted && std::thread::current().id() == self.thread {
            (self.work)(Db(self.handle.0));
        }
        is_interrupted
    }
}

/// Drops what holds a connection's state, when SQLite is done with it.
pub fn destroy(held: impl Sized) {
    // There is nobody to tell of a panic here.
    let _ = guard(|| drop(held));
}
