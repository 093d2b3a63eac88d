//! What a connection holds while our functions and tables are registered in it.

use std::thread::ThreadId;

use super::ffi::{self, sqlite3};
use super::in_use::InUse;
use crate::base::guard::guard;
use crate::base::interrupt::Interrupt;
use crate::sql::session::Session;

/// A connection's state. It lives as long as one of its functions or its tables is registered.
pub(crate) struct Connection {
    pub(super) session: Session,
    /// By this number other connections know it, in this process and in others.
    pub(super) number: u64,
    // Dropped last: until then the API table may not change.
    pub(super) in_use: InUse,
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
