//! A driver of the conformance suite on rusqlite, with the extension linked in.

use driver::{Args, Host, Rows, Value};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

struct Rusqlite(Args);

impl Host for Rusqlite {
    type Connection = Connection;

    fn open(&mut self, readonly: bool) -> Result<Connection, String> {
        let flags = if readonly { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::default() };
        let connection = Connection::open_with_flags(&self.0.database, flags).map_err(text)?;
        sqlite_rembed::rusqlite::register(&connection).map_err(|e| e.to_string())?;
        if let Ok(path) = std::env::var("SQLITE_VEC") {
            // SAFETY: sqlite-vec is an extension of SQLite.
            unsafe {
                connection.load_extension_enable().map_err(text)?;
                connection.load_extension(path, None::<&str>).map_err(text)?;
            }
        }
        Ok(connection)
    }

    fn run(&mut self, connection: &mut Connection, sql: &str) -> Result<Rows, String> {
        let mut stmt = connection.prepare(sql).map_err(text)?;
        let columns = stmt.column_count();
        let mut rows = stmt.raw_query();
        let mut all = Rows::new();
        while let Some(row) = rows.next().map_err(text)? {
            let values = (0..columns).map(|i| row.get_ref(i).map(value));
            all.push(values.collect::<Result<_, _>>().map_err(text)?);
        }
        Ok(all)
    }
}

fn text(e: rusqlite::Error) -> String {
    e.to_string()
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Integer(n),
        ValueRef::Real(x) => Value::Real(x),
        ValueRef::Text(text) => Value::Text(text.into()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.into()),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = format!("SQLite {}", rusqlite::version());
    driver::serve(&engine, "register()", Rusqlite(driver::args()))
}
