//! SQLite's C API: the functions and the tables, registered in a connection.
//!
//! With the feature `sqlite` one build serves classic SQLite and libSQL, loaded (`rembed0.so`, `libsqlite_rembed.so`,
//! or any name with an explicit entry point) and linked into a C or C++ host (`include/rembed.h`). With `libsql` or
//! `rusqlite` the same code serves an app that is built on that crate.

mod batch_table;
mod chunks_table;
mod clients_table;
mod connection;
#[cfg(feature = "sqlite")]
mod entry;
mod ffi;
mod functions;
mod in_use;
mod index;
#[cfg(not(feature = "sqlite"))]
mod linked;
#[cfg(all(test, feature = "sqlite"))]
mod played;
mod register;
mod running;
mod schema;
mod select;
mod sql;
mod store;
mod value;
mod vtab;

#[cfg(feature = "sqlite")]
pub use entry::{sqlite3_rembed_init, sqlite3_sqliterembed_init};
#[cfg(not(feature = "sqlite"))]
pub(crate) use linked::attach;
#[cfg(feature = "libsql")]
pub(crate) use linked::message;
