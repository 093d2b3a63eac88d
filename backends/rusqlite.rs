//! Apps on [rusqlite](https://docs.rs/rusqlite) that bundle SQLite (its feature `bundled`).
//!
//! ```no_run
//! # fn app() -> Result<(), Box<dyn std::error::Error>> {
//! let conn = rusqlite::Connection::open("app.db")?;
//! sqlite_rembed::rusqlite::register(&conn)?;
//! conn.query_row("SELECT rembed_version()", [], |row| row.get::<_, String>(0))?;
//! # Ok(())
//! # }
//! ```

use ::rusqlite::Connection;

use crate::error::{Error, Result};
use crate::sqlite;

/// Gives `connection` the functions and the table `rembed_clients`. A second call changes nothing: the clients stay.
///
/// # Errors
/// What SQLite refuses, such as a connection in the middle of a statement that uses the functions.
pub fn register(connection: &Connection) -> Result<()> {
    // SAFETY: the handle is open while the connection is borrowed, and is not kept beyond its life: SQLite drops what
    // is registered when it closes.
    unsafe { sqlite::attach(connection.handle()) }.map_err(Error::Invalid)
}
