//! A host on Turso: databases, connections with the extension, SQL without ceremony.
//!
//! Nothing here knows the inside of the extension: it is loaded by path, or registered, as users do.

#[allow(dead_code)] // this host's tests do not use all of it
#[path = "../../sqlite/src/fake.rs"]
mod fake;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use fake::{World, world};
use turso_core::{
    Connection, Database, DatabaseOpts, IO, MAIN_DB_ID, MemoryIO, OpenFlags, PlatformIO, SqliteDialect, Value,
};

/// The statements that make `temp.rembed_clients` where the extension is loaded.
pub const CLIENTS_SQL: &str = include_str!("../../../../backends/turso/rembed_clients.sql");

/// How the extension comes into a connection.
#[derive(Debug, Clone)]
pub enum Way {
    /// The library at this path is loaded, and the statements are run.
    Loaded(PathBuf),
    /// `sqlite_rembed::turso::register()`.
    #[cfg(feature = "static")]
    Linked,
}

impl Way {
    /// Every way that this build has.
    pub fn all() -> Vec<Way> {
        vec![
            Way::Loaded(library()),
            #[cfg(feature = "static")]
            Way::Linked,
        ]
    }

    /// Brings the extension into a connection.
    ///
    /// # Errors
    /// What the engine or the extension says.
    pub fn set_up(&self, connection: &Arc<Connection>) -> Result<(), String> {
        match self {
            Way::Loaded(path) => {
                connection.load_extension(path).map_err(|e| e.to_string())?;
                // The engine makes no temporary table where the database is read-only.
                if connection.is_readonly(MAIN_DB_ID) {
                    return Ok(());
                }
                connection.prepare_execute_batch(CLIENTS_SQL).map_err(|e| e.to_string())
            }
            #[cfg(feature = "static")]
            Way::Linked => sqlite_rembed::turso::register(connection).map_err(|e| e.to_string()),
        }
    }

    /// A connection to `database` with the extension.
    ///
    /// # Errors
    /// As [`Way::set_up`].
    pub fn connect(&self, database: &Arc<Database>) -> Result<Arc<Connection>, String> {
        let connection = plain(database)?;
        self.set_up(&connection)?;
        Ok(connection)
    }

    /// A connection with the extension to a new database in memory.
    pub fn open(&self) -> Arc<Connection> {
        self.connect(&in_memory()).unwrap_or_else(|e| panic!("{self:?}: {e}"))
    }

    /// The same with the client `c`, of format `openai`, at `world`.
    pub fn open_with_client(&self, world: &World) -> Arc<Connection> {
        let connection = self.open();
        let register = "SELECT rembed_register('c', 'format', 'openai', 'model', 'm', 'url', '{}')";
        run(&connection, &register.replace("{}", &world.url()));
        connection
    }
}

/// A connection to `database` without the extension.
///
/// # Errors
/// What the engine says.
pub fn plain(database: &Arc<Database>) -> Result<Arc<Connection>, String> {
    #[cfg(feature = "pre")]
    let connection = database.connect(turso_core::ConnectOpts::new());
    #[cfg(not(feature = "pre"))]
    let connection = database.connect();
    connection.map_err(|e| e.to_string())
}

/// A new database in memory.
pub fn in_memory() -> Arc<Database> {
    let io: Arc<dyn IO> = Arc::new(MemoryIO::new());
    Database::open_file(io, ":memory:", Arc::new(SqliteDialect)).unwrap()
}

/// The database in a file.
///
/// # Errors
/// What the engine says.
pub fn in_file(path: &str, read_only: bool) -> Result<Arc<Database>, String> {
    let io: Arc<dyn IO> = Arc::new(PlatformIO::new().map_err(|e| e.to_string())?);
    let flags = if read_only { OpenFlags::ReadOnly } else { OpenFlags::default() };
    let dialect = Arc::new(SqliteDialect);
    Database::open_file_with_flags(io, path, flags, DatabaseOpts::default(), None, dialect)
        .map_err(|e| e.to_string())
}

/// The rows of one statement.
///
/// # Errors
/// The engine's message.
pub fn rows(connection: &Arc<Connection>, sql: &str) -> Result<Vec<Vec<Value>>, String> {
    let mut statement = connection.prepare(sql).map_err(|e| e.to_string())?;
    statement.run_collect_rows().map_err(|e| e.to_string())
}

/// Runs a statement that is fine.
pub fn run(connection: &Arc<Connection>, sql: &str) -> Vec<Vec<Value>> {
    rows(connection, sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// The rows of a statement that is fine as text, columns by `|` and rows by lines; NULL is empty.
pub fn text(connection: &Arc<Connection>, sql: &str) -> String {
    let line = |row: Vec<Value>| row.iter().map(|value| value.to_string()).collect::<Vec<_>>().join("|");
    run(connection, sql).into_iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The message of a statement that fails.
pub fn error(connection: &Arc<Connection>, sql: &str) -> String {
    rows(connection, sql).err().unwrap_or_else(|| panic!("{sql}: it did not fail"))
}

/// The extension under test: `REMBED_TURSO_LIB`, or what run.sh builds. (`REMBED_LIB` is SQLite's.)
pub fn library() -> PathBuf {
    built("REMBED_TURSO_LIB", "library")
}

/// The build with feature `rigged`, in which the format `panic` panics.
pub fn rigged_library() -> PathBuf {
    built("REMBED_RIGGED_LIB", "rigged")
}

fn built(variable: &str, name: &str) -> PathBuf {
    let file = format!("{name}{}", env::consts::DLL_SUFFIX);
    let default = || root().join("tests/engines/turso/target").join(file);
    let path = env::var_os(variable).map_or_else(default, PathBuf::from);
    assert!(path.exists(), "{} is not built: run.sh does that, or name one by {variable}", path.display());
    path
}

/// The repository.
pub fn root() -> PathBuf {
    let is_root = |folder: &&Path| folder.join("tests/engines/turso").exists();
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(is_root).unwrap().to_owned()
}
