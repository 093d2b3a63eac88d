//! A driver of the conformance suite on limbo_core.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use driver::{Args, Host, Rows, Value};
use limbo_core::{Connection, Database, LimboError, OpenFlags, PlatformIO, StepResult};

struct Limbo {
    args: Args,
    // The engine locks a file when it opens it, so that all connections that write are of one database.
    database: Option<Arc<Database>>,
}

impl Host for Limbo {
    type Connection = Arc<Connection>;

    fn open(&mut self, readonly: bool) -> Result<Arc<Connection>, String> {
        let connection = if readonly {
            let database = self.database(OpenFlags::ReadOnly);
            let connection = database.and_then(|database| database.connect());
            connection.map_err(|e| format!("no read-only connections: {e}"))?
        } else {
            if self.database.is_none() {
                self.database = Some(self.database(OpenFlags::default()).map_err(text)?);
            }
            self.database.as_ref().ok_or("no database")?.connect().map_err(text)?
        };
        match &self.args.library {
            None => sqlite_rembed::limbo::register(&connection).map_err(|e| e.to_string())?,
            Some(library) => {
                connection.load_extension(library).map_err(text)?;
                if !readonly && connection.prepare("SELECT key FROM rembed_clients").is_err() {
                    run(&connection, "CREATE VIRTUAL TABLE rembed_clients USING rembed_clients")
                        .map_err(text)?;
                    run(&connection, "DELETE FROM sqlite_schema WHERE name = 'rembed_clients'")
                        .map_err(text)?;
                }
            }
        }
        Ok(connection)
    }

    fn run(&mut self, connection: &mut Arc<Connection>, sql: &str) -> Result<Rows, String> {
        // What the engine cannot do, it often panics at.
        let result = catch_unwind(AssertUnwindSafe(|| run(connection, sql)));
        result
            .map_err(|panic| {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                format!("the engine panicked: {}", text.unwrap_or("without a word"))
            })?
            .map_err(text)
    }
}

impl Limbo {
    fn database(&self, flags: OpenFlags) -> Result<Arc<Database>, LimboError> {
        Database::open_file_with_flags(Arc::new(PlatformIO::new()?), &self.args.database, flags, false)
    }
}

fn run(connection: &Arc<Connection>, sql: &str) -> Result<Rows, LimboError> {
    let mut rows = Rows::new();
    let Some(mut statement) = connection.query(sql)? else { return Ok(rows) };
    loop {
        match statement.step()? {
            StepResult::Row => {
                let row = statement.row().into_iter().flat_map(|row| row.get_values().cloned());
                rows.push(row.map(value).collect());
            }
            StepResult::IO => statement.run_once()?,
            StepResult::Done => return Ok(rows),
            StepResult::Busy | StepResult::Interrupt => return Err(LimboError::Busy),
        }
    }
}

fn text(e: LimboError) -> String {
    e.to_string()
}

fn value(value: limbo_core::Value) -> Value {
    match value {
        limbo_core::Value::Null => Value::Null,
        limbo_core::Value::Integer(n) => Value::Integer(n),
        limbo_core::Value::Float(x) => Value::Real(x),
        limbo_core::Value::Text(text) => Value::Text(text.value),
        limbo_core::Value::Blob(bytes) => Value::Blob(bytes),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Panics are answers.
    std::panic::set_hook(Box::new(|_| {}));
    let args = driver::args();
    let way = if args.library.is_some() { "limbo_core, loaded" } else { "limbo_core, `register()`" };
    driver::serve("Limbo 0.0.22", way, Limbo { args, database: None })
}
