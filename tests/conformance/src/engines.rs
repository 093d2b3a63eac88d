//! The engines: one entry a host, in the order of the matrix's columns.

/// What the matrix calls the ways in.
const LOADED: &str = "loaded";
const LINKED: &str = "linked";
const REGISTERED: &str = "register()";

/// A host of an engine, and how its driver is built and started.
#[derive(Debug)]
pub struct Engine {
    /// The column's name, and the label for `skipif` and `onlyif`.
    pub id: &'static str,
    /// Labels that it shares with others: its family, and what the family cannot do.
    pub labels: &'static [&'static str],
    /// How the extension comes in.
    pub way: &'static str,
    /// Shell commands, run in the repository, that build the driver; quick when it is built.
    pub build: &'static str,
    /// The driver and its arguments, words without quotes; database file, and library where one is loaded, are added.
    pub run: &'static str,
    /// What the driver is given to load.
    pub library: Library,
}

/// The extension, as a driver gets it.
#[derive(Debug, Clone, Copy)]
pub enum Library {
    /// It is linked into the driver.
    None,
    /// The library under test: `REMBED_LIB`, or what `cargo build --release` makes.
    Loadable,
    /// A build of its own, at this path in the repository, by the command `build`.
    At(&'static str),
}

const LIBSQL: &str = "cargo build --quiet --locked --manifest-path tests/engines/libsql/Cargo.toml \
    --target-dir tests/engines/libsql/target --bin libsql-driver";

const LIBSQL_OLD: &str = "cargo build --quiet --locked --manifest-path tests/engines/libsql/old/Cargo.toml \
    --target-dir tests/engines/libsql/old/target --bin libsql-old-driver";

/// Limbo's driver, its build of the library, and pylimbo.
const LIMBO: &str = "cargo build --quiet --release --locked --manifest-path tests/engines/limbo/Cargo.toml \
        --target-dir tests/engines/limbo/target --bin limbo-driver && \
    cargo build --quiet --release --locked --lib --target-dir target/limbo --no-default-features --features limbo && \
    tests/venv.sh tests/engines/limbo/target/venv tests/engines/limbo/requirements.txt";

const TURSO: &str = "tests/engines/turso/run.sh driver";

/// Labels that no engine has to have, so that a contract line can be written before its driver.
pub const FAMILIES: &[&str] = &[
    // SQLite itself, in any version and host.
    "sqlite", "libsql", "limbo", "turso",
    // Limbo and Turso: SQLite written anew in Rust, with an extension API of their own.
    "rewrite",
];

/// Every engine. To add one: a driver (README.md), and an entry here.
pub const ENGINES: &[Engine] = &[
    Engine {
        id: "sqlite",
        labels: &["sqlite"],
        way: LOADED,
        build: "cargo build --quiet --locked --manifest-path tests/engines/sqlite/Cargo.toml \
                --target-dir tests/engines/sqlite/target",
        run: "tests/engines/sqlite/target/debug/sqlite-driver",
        library: Library::Loadable,
    },
    Engine {
        id: "sqlite-3.35",
        labels: &["sqlite"],
        way: LOADED,
        build: "cargo build --quiet --locked --manifest-path tests/engines/sqlite/old/Cargo.toml \
                --target-dir tests/engines/sqlite/old/target",
        run: "tests/engines/sqlite/old/target/debug/sqlite-driver",
        library: Library::Loadable,
    },
    Engine {
        id: "python",
        labels: &["sqlite"],
        way: LOADED,
        build: "",
        run: "/usr/bin/python3 tests/engines/sqlite/driver.py",
        library: Library::Loadable,
    },
    Engine {
        id: "better-sqlite3",
        labels: &["sqlite"],
        way: LOADED,
        build: "tests/engines/node/install.sh",
        run: "node tests/engines/node/driver.mjs better-sqlite3",
        library: Library::Loadable,
    },
    Engine {
        id: "proxysql",
        labels: &["sqlite"],
        way: LINKED,
        build: "tests/engines/proxysql/run.sh driver",
        run: "target/proxysql/driver",
        library: Library::None,
    },
    Engine {
        id: "rusqlite",
        labels: &["sqlite"],
        way: REGISTERED,
        build: "cargo build --quiet --locked --manifest-path tests/engines/rusqlite/Cargo.toml \
                --target-dir tests/engines/rusqlite/target --bin rusqlite-driver",
        run: "tests/engines/rusqlite/target/debug/rusqlite-driver",
        library: Library::None,
    },
    Engine {
        id: "libsql",
        labels: &["libsql"],
        way: REGISTERED,
        build: LIBSQL,
        run: "tests/engines/libsql/target/debug/libsql-driver",
        library: Library::None,
    },
    Engine {
        id: "libsql-loaded",
        labels: &["libsql"],
        way: LOADED,
        build: LIBSQL,
        run: "tests/engines/libsql/target/debug/libsql-driver",
        library: Library::Loadable,
    },
    Engine {
        id: "libsql-0.9",
        labels: &["libsql"],
        way: REGISTERED,
        build: LIBSQL_OLD,
        run: "tests/engines/libsql/old/target/debug/libsql-old-driver",
        library: Library::None,
    },
    Engine {
        id: "libsql-0.9-loaded",
        labels: &["libsql"],
        way: LOADED,
        build: LIBSQL_OLD,
        run: "tests/engines/libsql/old/target/debug/libsql-old-driver",
        library: Library::Loadable,
    },
    Engine {
        id: "npm-libsql",
        labels: &["libsql"],
        way: LOADED,
        build: "tests/engines/node/install.sh",
        run: "node tests/engines/node/driver.mjs libsql",
        library: Library::Loadable,
    },
    Engine {
        id: "limbo",
        labels: &["limbo", "rewrite"],
        way: REGISTERED,
        build: LIMBO,
        run: "tests/engines/limbo/target/release/limbo-driver",
        library: Library::None,
    },
    Engine {
        id: "limbo-loaded",
        labels: &["limbo", "rewrite"],
        way: LOADED,
        build: LIMBO,
        run: "tests/engines/limbo/target/release/limbo-driver",
        library: Library::At("target/limbo/release/libsqlite_rembed.so"),
    },
    Engine {
        id: "pylimbo",
        labels: &["limbo", "rewrite"],
        way: LOADED,
        build: LIMBO,
        run: "tests/engines/limbo/target/venv/bin/python3 tests/engines/limbo/pylimbo_driver.py",
        // pylimbo adds the ending itself.
        library: Library::At("target/limbo/release/libsqlite_rembed"),
    },
    Engine {
        id: "turso",
        labels: &["turso", "rewrite"],
        way: REGISTERED,
        build: TURSO,
        run: "tests/engines/turso/target/release/turso-driver",
        library: Library::None,
    },
    Engine {
        id: "turso-loaded",
        labels: &["turso", "rewrite"],
        way: LOADED,
        build: TURSO,
        run: "tests/engines/turso/target/release/turso-driver",
        library: Library::At("tests/engines/turso/target/library.so"),
    },
    Engine {
        id: "turso-0.9",
        labels: &["turso", "rewrite"],
        way: LOADED,
        build: TURSO,
        run: "tests/engines/turso/target/pre/release/turso-driver",
        library: Library::At("tests/engines/turso/target/library.so"),
    },
];

impl Engine {
    /// Whether a condition on `label` speaks of this engine.
    pub fn is(&self, label: &str) -> bool {
        self.id == label || self.labels.contains(&label)
    }
}

/// Whether `label` means anything.
pub fn is_label(label: &str) -> bool {
    FAMILIES.contains(&label) || ENGINES.iter().any(|engine| engine.is(label))
}
