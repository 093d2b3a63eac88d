//! Apps on the [libsql](https://docs.rs/libsql) crate, which brings libSQL compiled in.
//!
//! ```no_run
//! # async fn app() -> Result<(), Box<dyn std::error::Error>> {
//! let db = libsql::Builder::new_local("app.db").build().await?;
//! sqlite_rembed::libsql::register(&db)?; // once: before connect(), after the first build()
//! let conn = db.connect()?; // this and every later connection of the process has the functions
//! conn.execute("SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text')", ()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The app and this crate must use one version of libsql. Where the app stays on 0.9 and cargo has chosen 0.10 for this crate, the
//! compiler reports mismatched types; `cargo update -p libsql@0.10.0 --precise 0.9.30` mends that.
//!
//! An embedded replica runs reads here and sends writes to its primary, which lacks these functions, and a remote
//! connection sends everything: compute `rembed()` in a SELECT of a local connection, and bind the BLOB.

use std::ffi::{c_char, c_int};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use ::libsql::{Builder, Database, ffi};

use crate::base::error::{Error, Result};
use crate::sqlite;

/// Gives every connection that this process opens from now on the functions and the table `rembed_clients`: those of
/// `_database`, and of any other, since libSQL takes entry points for the process alone. A second call changes nothing.
///
/// # Errors
/// Another binding, or the app by the C API, used libSQL before the libsql crate could configure it. The crate would panic at
/// the next `connect()`. It does so here instead, where the panic is caught; the app's panic hook still sees it. An app that
/// configures libSQL by itself (`Builder::skip_safety_assert`) opens a database in the crate's own way first, or loads the
/// library.
pub fn register(_database: &Database) -> Result<()> {
    initialize()?;
    // SAFETY: the entry point is a function of this program, which is never unmapped. A second registration of
    // it is ignored (https://www.sqlite.org/c3ref/auto_extension.html).
    match unsafe { ffi::sqlite3_auto_extension(Some(entry)) } {
        ffi::SQLITE_OK => Ok(()),
        rc => Err(Error::invalid(format!("rembed: sqlite3_auto_extension() fails with code {rc}"))),
    }
}

/// Has the libsql crate configure libSQL. The crate does so when a database is first opened, and panics where libSQL is in use
/// already. `sqlite3_auto_extension()` would be such a use, so this comes before.
fn initialize() -> Result<()> {
    let build = || {
        let mut build = std::pin::pin!(Builder::new_local(":memory:").build());
        match build.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(built) => built.map(drop).map_err(|e| e.to_string()),
            Poll::Pending => Err("it does not open a database in memory at once".to_owned()),
        }
    };
    // What the panic left half done belongs to the crate, which panics at every later connect() as well.
    let built = catch_unwind(AssertUnwindSafe(build));
    built
        .unwrap_or_else(|_| Err("it was in use before".to_owned()))
        .map_err(|why| Error::invalid(format!("rembed: the libsql crate cannot initialize libSQL: {why}")))
}

unsafe extern "C" fn entry(
    db: *mut ffi::sqlite3,
    error: *mut *const c_char,
    _: *const ffi::sqlite3_api_routines,
) -> c_int {
    // SAFETY: libSQL passes the connection that it opens, and NULL or a place for a message.
    unsafe {
        match sqlite::attach(db) {
            Ok(()) => ffi::SQLITE_OK,
            Err(text) => {
                if let Some(error) = error.as_mut() {
                    *error = sqlite::message(&text);
                }
                ffi::SQLITE_ERROR
            }
        }
    }
}
