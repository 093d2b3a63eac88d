//! The driver of the conformance suite on Turso.

use std::sync::Arc;

use driver::{Host, Rows, Value};
use turso_core::{Connection, MAIN_DB_ID, Numeric};
use turso_host::Way;

struct Turso {
    path: String,
    way: Way,
}

impl Host for Turso {
    type Connection = Arc<Connection>;

    fn open(&mut self, readonly: bool) -> Result<Arc<Connection>, String> {
        let database = turso_host::in_file(&self.path, readonly)?;
        let connection = self.way.connect(&database)?;
        if readonly && !connection.is_readonly(MAIN_DB_ID) {
            let why = "a process has a file open once, and this one for writing";
            return Err(format!("no read-only connections: {why}"));
        }
        Ok(connection)
    }

    fn run(&mut self, connection: &mut Arc<Connection>, sql: &str) -> Result<Rows, String> {
        let rows = turso_host::rows(connection, sql)?;
        Ok(rows.iter().map(|row| row.iter().map(value).collect()).collect())
    }
}

fn value(value: &turso_core::Value) -> Value {
    match value {
        turso_core::Value::Null => Value::Null,
        turso_core::Value::Numeric(Numeric::Integer(n)) => Value::Integer(*n),
        turso_core::Value::Numeric(Numeric::Float(x)) => Value::Real(f64::from(*x)),
        turso_core::Value::Text(text) => Value::Text(text.as_str().into()),
        turso_core::Value::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = driver::args();
    let (way, how) = match args.library {
        Some(path) => (Way::Loaded(path.into()), "loaded"),
        #[cfg(feature = "static")]
        None => (Way::Linked, "linked"),
        #[cfg(not(feature = "static"))]
        None => return Err("this build has nothing linked in: turso-driver DATABASE-FILE LIBRARY".into()),
    };
    let plain = turso_host::plain(&turso_host::in_memory())?;
    let engine = format!("Turso {}", turso_host::text(&plain, "SELECT turso_version()"));
    driver::serve(&engine, &format!("turso_core, {how}"), Turso { path: args.database, way })
}
