//! The driver of the conformance suite on rusqlite: with a library to load on two versions of it, and, by the feature
//! `register`, with the extension linked in.

use driver::{Args, Host, Rows, Value};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

struct Rusqlite(Args);

impl Host for Rusqlite {
    type Connection = Connection;

    fn open(&mut self, readonly: bool) -> Result<Connection, String> {
        let flags = if readonly { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::default() };
        let db = Connection::open_with_flags(&self.0.database, flags).map_err(|e| e.to_string())?;
        let vec = std::env::var("SQLITE_VEC").ok();
        load(&db, vec.iter().chain(&self.0.library)).map_err(|e| e.to_string())?;
        #[cfg(feature = "register")]
        sqlite_rembed::rusqlite::register(&db).map_err(|e| e.to_string())?;
        Ok(db)
    }

    fn run(&mut self, db: &mut Connection, sql: &str) -> Result<Rows, String> {
        // rusqlite adds the statement to some of its errors: what is checked is the engine's own text.
        run(db, sql).map_err(|_| message(db))
    }
}

fn load<'a>(db: &Connection, libraries: impl Iterator<Item = &'a String>) -> rusqlite::Result<()> {
    // Safe in the older rusqlite.
    #[allow(unused_unsafe)]
    // SAFETY: the libraries are those we are to test, and no SQL of a stranger runs while loading is enabled.
    unsafe {
        db.load_extension_enable()?;
        for library in libraries {
            db.load_extension(library, None::<&str>)?;
        }
    }
    db.load_extension_disable()
}

fn run(db: &Connection, sql: &str) -> rusqlite::Result<Rows> {
    let mut statement = db.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut all = Rows::new();
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|i| row.get_ref(i).map(value));
        all.push(values.collect::<rusqlite::Result<_>>()?);
    }
    Ok(all)
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

fn message(db: &Connection) -> String {
    // SAFETY: the connection is open, and SQLite's text is copied before the next call.
    unsafe {
        std::ffi::CStr::from_ptr(rusqlite::ffi::sqlite3_errmsg(db.handle())).to_string_lossy().into_owned()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = format!("SQLite {}", rusqlite::version());
    driver::serve(&engine, "a Rust program that bundles it (rusqlite)", Rusqlite(driver::args()))
}
