//! The driver of the conformance suite (tests/conformance/README.md) on Turso.
//!
//!     turso-driver DATABASE-FILE [LIBRARY]

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::sync::Arc;

use serde_json::{Value as Json, json};
use turso_core::{Connection, MAIN_DB_ID, Numeric, Value};
use turso_host::Way;

struct Host {
    path: String,
    way: Way,
    connections: HashMap<String, Arc<Connection>>,
}

impl Host {
    fn answer(&mut self, name: &str, sql: &str) -> Result<Json, String> {
        let connection = match self.connections.get(name) {
            Some(open) => open.clone(),
            None => {
                let opened = self.open(name.starts_with("readonly"))?;
                self.connections.insert(name.into(), opened.clone());
                opened
            }
        };
        let rows = turso_host::rows(&connection, sql)?;
        let rows = rows.iter().map(|row| row.iter().map(shown).collect()).collect::<Vec<Json>>();
        Ok(json!({ "rows": rows }))
    }

    fn open(&self, read_only: bool) -> Result<Arc<Connection>, String> {
        let database = turso_host::in_file(&self.path, read_only)?;
        let connection = self.way.connect(&database)?;
        match read_only && !connection.is_readonly(MAIN_DB_ID) {
            true => {
                Err("no read-only connections: a process has a file open once, and this one for writing"
                    .into())
            }
            false => Ok(connection),
        }
    }
}

fn shown(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Numeric(Numeric::Integer(n)) => (*n).into(),
        Value::Numeric(Numeric::Float(x)) => match f64::from(*x) {
            x if x.is_finite() => json!({ "real": x }),
            x => json!({ "real": x.to_string() }),
        },
        Value::Text(text) => text.as_str().into(),
        Value::Blob(bytes) => {
            json!({ "blob": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() })
        }
    }
}

fn way(library: Option<String>) -> Way {
    match library {
        Some(path) => Way::Loaded(path.into()),
        #[cfg(feature = "static")]
        None => Way::Linked,
        #[cfg(not(feature = "static"))]
        None => panic!("usage: turso-driver DATABASE-FILE LIBRARY (this build has nothing linked in)"),
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let path = args.next().expect("usage: turso-driver DATABASE-FILE [LIBRARY]");
    let mut host = Host { path, way: way(args.next()), connections: HashMap::new() };
    let how = if matches!(host.way, Way::Loaded(_)) { "loaded" } else { "linked" };

    let plain = turso_host::plain(&turso_host::in_memory()).unwrap();
    let version = turso_host::text(&plain, "SELECT turso_version()");
    let mut out = std::io::stdout().lock();
    let mut say = |line: Json| {
        writeln!(out, "{line}").unwrap();
        out.flush().unwrap();
    };
    say(json!({ "engine": format!("Turso {version}"), "host": format!("turso_core, {how}") }));
    for line in std::io::stdin().lock().lines() {
        let line: Json = serde_json::from_str(&line.unwrap()).expect("a line of JSON");
        let field = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        say(host
            .answer(&field("connection"), &field("sql"))
            .unwrap_or_else(|message| json!({ "error": message })));
    }
}
