//! For Rust apps on `turso_core`.

use std::sync::{Arc, Weak};

use turso_core::{Connection, MAIN_DB_ID};

use super::functions;
use crate::base::error::Error;
use crate::base::interrupt::Interrupt;
use crate::sql::session::Session;

/// The statements that make `temp.rembed_clients`, with a row for each client that the connection has by then.
pub const CLIENTS_SQL: &str = include_str!("rembed_clients.sql");

/// Asks the connection whether it is interrupted. The reference is weak, since the connection owns the session that asks.
struct ConnectionInterrupt(Weak<Connection>);

impl Interrupt for ConnectionInterrupt {
    fn is_interrupted(&self) -> bool {
        self.0.upgrade().is_some_and(|connection| connection.is_interrupted())
    }
}

/// Registers the functions and the table `temp.rembed_clients` in a connection. Not inside a transaction: its
/// ROLLBACK would take the table away. A second time is no error, and brings the table up to date.
///
/// The engine makes no temporary table where the database is read-only: there, `rembed_register()` registers.
///
/// ```no_run
/// # use std::sync::Arc;
/// # fn open() -> Arc<turso_core::Connection> { unimplemented!() }
/// let connection = open();
/// sqlite_rembed::turso::register(&connection)?;
/// # Ok::<(), sqlite_rembed::base::error::Error>(())
/// ```
///
/// # Errors
/// What the engine says of a function or of the table.
pub fn register(connection: &Arc<Connection>) -> Result<(), Error> {
    let engine = format!("Turso {}", version(connection));
    let session = Session::new(engine, Arc::new(ConnectionInterrupt(Arc::downgrade(connection))), None);
    let mut registered = Ok(());
    // SAFETY: the engine passes the API of the connection, which is open.
    connection.register_static_extension(|api| registered = unsafe { functions::register(api, session) });
    registered.map_err(Error::Invalid)?;
    if connection.is_readonly(MAIN_DB_ID) {
        return Ok(());
    }
    connection
        .prepare_execute_batch(CLIENTS_SQL)
        .map_err(|e| Error::invalid(format!("rembed: cannot make temp.rembed_clients: {e}")))
}

fn version(connection: &Arc<Connection>) -> String {
    let rows = connection.prepare("SELECT turso_version()").and_then(|mut query| query.run_collect_rows());
    let version = rows.ok().and_then(|rows| rows.first()?.first().map(ToString::to_string));
    version.unwrap_or_else(|| "of an unknown version".into())
}
