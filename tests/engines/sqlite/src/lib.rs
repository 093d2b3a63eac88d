//! What the tests of `tests/contract` share: the extension, a fake provider, SQL without ceremony.
//!
//! Nothing here knows the inside of the extension: it is loaded by path, as users load it.

mod child;
mod fake;
pub mod reload;
mod scan;
mod sql;
pub mod stranger;

use std::env;
use std::path::{Path, PathBuf};

pub use child::{Child, child};
pub use fake::{Fake, World, faulty, world};
pub use scan::Masked;
pub use sql::{Failure, Sql, constraint, error, floats, interrupted, length};

use rusqlite::Connection;

/// The extension under test: `REMBED_LIB`, or what `cargo build --release` makes at the root.
pub fn library() -> PathBuf {
    built("REMBED_LIB", "release")
}

/// The build with feature `rigged`, in which the format `panic` panics.
pub fn rigged_library() -> PathBuf {
    built("REMBED_RIGGED_LIB", "rigged/debug")
}

fn built(variable: &str, profile: &str) -> PathBuf {
    let file = format!("{}sqlite_rembed{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let default = || root().join("target").join(profile).join(file);
    let path = env::var_os(variable).map_or_else(default, PathBuf::from);
    assert!(path.exists(), "{} is not built: run.sh does that, or name one by {variable}", path.display());
    path
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).unwrap().to_owned()
}

/// A new in-memory database with the extension.
pub fn open() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    load(&db, &library(), None).unwrap();
    db
}

/// Loads the extension at `path`.
pub fn load(db: &Connection, path: &Path, entry_point: Option<&str>) -> rusqlite::Result<()> {
    // SAFETY: the library is ours, and no SQL of a stranger runs while loading is enabled.
    unsafe {
        db.load_extension_enable()?;
        let loaded = db.load_extension(path, entry_point);
        db.load_extension_disable()?;
        loaded
    }
}

/// An in-memory database with the client `c`, of format `openai`, at `world`. Its vectors are not cached, so
/// that every call which SQLite makes shows in the log.
pub fn open_with_client(world: &World) -> Connection {
    open_with(world, "{}")
}

/// The same with more options, as JSON.
pub fn open_with(world: &World, options: &str) -> Connection {
    let db = open();
    register(&db, "c", world, options);
    db
}

/// Registers an uncached client at `world`: format `openai` unless `options` says otherwise.
pub fn register(db: &Connection, name: &str, world: &World, options: &str) {
    let mut all = serde_json::json!({"format": "openai", "model": "m", "url": world.url(), "cache": "off"});
    let given: serde_json::Map<_, _> = serde_json::from_str(options).unwrap();
    all.as_object_mut().unwrap().extend(given);
    db.run("SELECT rembed_register(?, ?)", (name, all.to_string()));
}

/// A directory of its own for one test, removed when it is over.
pub struct Directory(PathBuf);

impl Directory {
    /// Makes it.
    pub fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("rembed-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A path in it.
    pub fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    /// A new file in it; its path as text.
    pub fn file(&self, file: &str, content: &str) -> String {
        let path = self.path(file);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().into()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
