//! Apps on limbo_core.

use std::sync::Arc;

use limbo_core::{Connection, LimboError, StepResult};

use super::{attempt, register_all};
use crate::base::error::Error;

/// Registers the functions and the table `rembed_clients` in `connection`. May be called again.
///
/// The table leaves no trace in the database file. A trace would harm: when Limbo opens a file that has a virtual table and
/// lacks its module, it reads the schema up to there and no further. A table that a file has from `CREATE VIRTUAL TABLE`
/// is used as it is.
///
/// ```
/// fn clients(connection: &std::sync::Arc<limbo_core::Connection>) -> Result<(), Box<dyn std::error::Error>> {
///     sqlite_rembed::limbo::register(connection)?;
///     connection.execute("SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text')")?;
///     Ok(())
/// }
/// ```
///
/// # Errors
/// What the engine says when it cannot make the table; the functions are there already. A read-only database is no error:
/// it has no table, and `rembed_register()` does the table's work.
pub fn register(connection: &Arc<Connection>) -> Result<(), Error> {
    attempt(|| {
        // SAFETY: the API is of the one version that Cargo.toml allows, and the connection is open.
        unsafe { register_all(&connection.build_limbo_ext())? };
        match make_table(connection) {
            Ok(()) | Err(LimboError::ReadOnly) => Ok(()),
            Err(e) => Err(Error::invalid(format!("rembed: cannot make the table rembed_clients: {e}"))),
        }
    })
}

fn make_table(connection: &Arc<Connection>) -> Result<(), LimboError> {
    let is_there = || connection.prepare("SELECT key FROM rembed_clients").is_ok();
    if is_there() {
        return Ok(());
    }
    // The file may have the table. Then the engine stopped reading its schema there, for want of the module.
    connection.parse_schema_rows()?;
    if is_there() {
        return Ok(());
    }
    let alone = connection.get_auto_commit();
    if alone {
        run(connection, "BEGIN")?;
    }
    let made = run(connection, "CREATE VIRTUAL TABLE rembed_clients USING rembed_clients").and_then(|()| {
        run(connection, "DELETE FROM sqlite_schema WHERE name = 'rembed_clients'").inspect_err(|_| {
            // The file must not keep it. If this fails too, the error of the first is what to tell.
            let _ = run(connection, "DROP TABLE rembed_clients");
        })
    });
    if alone {
        // There is no ROLLBACK; if the first statement failed, nothing is written.
        made.and(run(connection, "COMMIT"))
    } else {
        made
    }
}

/// Runs a statement to its end. Not by `execute()`, which tries for ever when the database is busy.
fn run(connection: &Arc<Connection>, sql: &str) -> Result<(), LimboError> {
    let mut statement = connection.prepare(sql)?;
    loop {
        match statement.step()? {
            StepResult::Done => return Ok(()),
            StepResult::IO => statement.run_once()?,
            StepResult::Row => {}
            StepResult::Interrupt | StepResult::Busy => return Err(LimboError::Busy),
        }
    }
}
