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
//!
//! It works with rusqlite 0.37 to 0.43. Cargo takes the version that the app has, since a program can have only one that links SQLite.
//! An app that links a system's SQLite instead of bundling one needs SQLite 3.41 or later.

use ::rusqlite::Connection;

use crate::base::error::{Error, Result};
use crate::sqlite;

/// Gives `connection` the functions and the table `rembed_clients`. Where it has them, by a call before or by loading the
/// library, nothing changes: the clients stay.
///
/// # Errors
/// What SQLite refuses: a function of the app by one of our names, while a statement runs. What is missing then, the next call registers.
/// A statement that writes, or an authorizer that denies `PRAGMA writable_schema = RESET`: what SQLite has parsed of a stranger's schema
/// could call the new functions unchecked.
pub fn register(connection: &Connection) -> Result<()> {
    // SAFETY: the handle is open while the connection is borrowed, and is not kept beyond its life: SQLite drops what
    // is registered when it closes.
    unsafe { sqlite::attach(connection.handle()) }.map_err(Error::Invalid)
}
