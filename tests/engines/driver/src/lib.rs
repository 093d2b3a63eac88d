//! What hosts in Rust share: the protocol of tests/conformance/README.md, the fake provider, a count of allocations.

pub mod counting;
pub mod fake;

use std::collections::HashMap;
use std::io::{BufRead, Write};

use serde_json::{Value as Json, json};

/// A value as an engine gives it.
pub enum Value {
    /// NULL.
    Null,
    /// INTEGER.
    Integer(i64),
    /// REAL.
    Real(f64),
    /// TEXT, perhaps not UTF-8.
    Text(Vec<u8>),
    /// BLOB.
    Blob(Vec<u8>),
}

/// The rows of a statement.
pub type Rows = Vec<Vec<Value>>;

/// A host of an engine.
pub trait Host {
    /// An open connection, with the extension in it.
    type Connection;

    /// Opens a connection to the database file.
    ///
    /// # Errors
    /// What the engine says.
    fn open(&mut self, readonly: bool) -> Result<Self::Connection, String>;

    /// Runs one statement to its end.
    ///
    /// # Errors
    /// What the engine says.
    fn run(&mut self, connection: &mut Self::Connection, sql: &str) -> Result<Rows, String>;
}

/// What a driver is started with.
pub struct Args {
    /// The database file, which may not exist yet.
    pub database: String,
    /// The extension to load; none where it is linked in.
    pub library: Option<String>,
}

/// Reads the command line.
pub fn args() -> Args {
    let mut args = std::env::args().skip(1);
    match args.next() {
        Some(database) => Args { database, library: args.next() },
        None => {
            eprintln!("usage: DRIVER DATABASE-FILE [LIBRARY]");
            std::process::exit(2);
        }
    }
}

/// Answers statements until standard input ends.
///
/// # Errors
/// Standard input or output that is closed, or speaks something else.
pub fn serve<H: Host>(engine: &str, way: &str, mut host: H) -> Result<(), Box<dyn std::error::Error>> {
    let mut connections = HashMap::new();
    let mut out = std::io::stdout();
    writeln!(out, "{}", json!({ "engine": engine, "host": way }))?;
    for line in std::io::stdin().lock().lines() {
        let request: Json = serde_json::from_str(&line?)?;
        let field = |name: &str| request[name].as_str().ok_or(format!("no {name} in the request"));
        let reply = match answer(&mut host, &mut connections, field("connection")?, field("sql")?) {
            Ok(rows) => json!({ "rows": rows.into_iter().map(row).collect::<Vec<_>>() }),
            Err(text) => json!({ "error": text }),
        };
        writeln!(out, "{reply}")?;
    }
    Ok(())
}

fn answer<H: Host>(
    host: &mut H,
    connections: &mut HashMap<String, H::Connection>,
    name: &str,
    sql: &str,
) -> Result<Rows, String> {
    let connection = match connections.entry(name.to_owned()) {
        std::collections::hash_map::Entry::Occupied(open) => open.into_mut(),
        std::collections::hash_map::Entry::Vacant(free) => {
            free.insert(host.open(name.starts_with("readonly"))?)
        }
    };
    host.run(connection, sql)
}

fn row(values: Vec<Value>) -> Json {
    values.into_iter().map(json).collect()
}

fn json(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Integer(n) => n.into(),
        Value::Real(x) if x.is_finite() => json!({ "real": x }),
        // JSON has no number for it.
        Value::Real(x) => json!({ "real": x.to_string() }),
        Value::Text(text) => match String::from_utf8(text) {
            Ok(text) => text.into(),
            Err(e) => json!({ "text": hex(e.as_bytes()) }),
        },
        Value::Blob(bytes) => json!({ "blob": hex(&bytes) }),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
