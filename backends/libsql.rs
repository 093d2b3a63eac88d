//! Apps on the [libsql](https://docs.rs/libsql) crate, which brings libSQL compiled in.
//!
//! ```no_run
//! # async fn app() -> Result<(), Box<dyn std::error::Error>> {
//! let db = libsql::Builder::new_local("app.db").build().await?;
//! sqlite_rembed::libsql::register(&db)?; // once, after the first build() of a local database
//! let conn = db.connect()?; // this and every later connection of the process has the functions
//! conn.execute("SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text')", ()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! An embedded replica runs reads here and sends writes to its primary, which lacks these functions, and a remote
//! connection sends everything: compute `rembed()` in a SELECT of a local connection, and bind the BLOB.

use std::ffi::{c_char, c_int};

use ::libsql::{Database, ffi};

use crate::error::{Error, Result};
use crate::sqlite;

/// Gives every connection that this process opens from now on the functions and the table `rembed_clients`, also
/// connections to other databases. A second call changes nothing.
///
/// `_database` is the proof that libSQL is ready: the crate's first `build()` of a local database configures libSQL,
/// and panics where something of libSQL was in use before.
///
/// # Errors
/// A remote database, while no local one was built: nothing has configured libSQL, and the next `build()` of a
/// local one would panic.
pub fn register(_database: &Database) -> Result<()> {
    // SAFETY: sqlite3_config() changes nothing, and says so, once libSQL is initialized
    // (https://www.sqlite.org/c3ref/config.html). Before that it sets what the crate sets too.
    if unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_SERIALIZED) } == ffi::SQLITE_OK {
        return Err(Error::invalid(
            "rembed: libSQL is not initialized yet: call register() after Builder::new_local(…).build(), or that of a \
             replica (a remote database runs no function here)",
        ));
    }
    // SAFETY: the entry point is a function of this program, which is never unmapped. A second registration of
    // it is ignored (https://www.sqlite.org/c3ref/auto_extension.html).
    match unsafe { ffi::sqlite3_auto_extension(Some(entry)) } {
        ffi::SQLITE_OK => Ok(()),
        rc => Err(Error::invalid(format!("rembed: sqlite3_auto_extension() fails with code {rc}"))),
    }
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
