//! A driver of the conformance suite on the libsql crate.

use driver::{Args, Host, Rows, Value};
use libsql::{Builder, Connection, Database, OpenFlags};
use tokio::runtime::Runtime;

struct Libsql {
    runtime: Runtime,
    database: Database,
    args: Args,
}

impl Host for Libsql {
    type Connection = Connection;

    fn open(&mut self, readonly: bool) -> Result<Connection, String> {
        let connection = if readonly {
            let readonly = Builder::new_local(&self.args.database).flags(OpenFlags::SQLITE_OPEN_READ_ONLY);
            self.runtime.block_on(readonly.build()).map_err(text)?.connect().map_err(text)?
        } else {
            self.database.connect().map_err(text)?
        };
        let vec = std::env::var("SQLITE_VEC").ok();
        for path in self.args.library.iter().chain(&vec) {
            connection.load_extension_enable().map_err(text)?;
            connection.load_extension(path, None).map_err(text)?;
        }
        Ok(connection)
    }

    fn run(&mut self, connection: &mut Connection, sql: &str) -> Result<Rows, String> {
        self.runtime.block_on(async {
            let mut rows = connection.query(sql, ()).await.map_err(text)?;
            let mut all = Rows::new();
            while let Some(row) = rows.next().await.map_err(text)? {
                let columns = (0..row.column_count()).map(|i| row.get_value(i).map(value));
                all.push(columns.collect::<Result<_, _>>().map_err(text)?);
            }
            Ok(all)
        })
    }
}

fn text(e: libsql::Error) -> String {
    e.to_string()
}

fn value(value: libsql::Value) -> Value {
    match value {
        libsql::Value::Null => Value::Null,
        libsql::Value::Integer(n) => Value::Integer(n),
        libsql::Value::Real(x) => Value::Real(x),
        libsql::Value::Text(text) => Value::Text(text.into()),
        libsql::Value::Blob(bytes) => Value::Blob(bytes),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = driver::args();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let database = runtime.block_on(Builder::new_local(&args.database).build())?;
    if args.library.is_none() {
        sqlite_rembed::libsql::register(&database)?;
    }
    let engine = format!("libSQL (SQLite {})", libsql::version());
    driver::serve(&engine, "a Rust program (crate libsql)", Libsql { runtime, database, args })
}
