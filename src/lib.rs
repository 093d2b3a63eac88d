//! Embeddings from inside SQL, on every engine of the SQLite family.
//!
//! `src/` is the provider core: text in, vectors out, and no SQL engine in sight. Its wings stand one above the other,
//! and each uses only those below it:
//!
//! | wing | what it has |
//! | --- | --- |
//! | `sql` | what SQL users meet: functions, rows, the table of clients |
//! | `index` | the semantic index without SQL: chunks, quantised vectors, ranking, the texts of its tables and triggers |
//! | `embed` | the requests of a statement, their retries, the caches |
//! | `client` | one configured endpoint: options, keys, pace, the registry |
//! | `transport` | one exchange with a server: sockets, TLS, proxies |
//! | `local` | the model inside the process (format `local`) |
//! | `provider` | wire formats, without any IO |
//! | `base` | errors, hashes, interrupts, files |
//!
//! A text takes this way: a backend turns engine values into `&str` → [`Session::embed`] → the registry gives a
//! [`Client`] → `embed::call` looks in the caches → `embed::stream` cuts requests and keeps several in flight → the
//! provider describes each request → `embed::retry` has the transport send it → the provider reads the reply →
//! `embed::check` → the backend hands the bytes to the engine. No step goes back, and no lock is held while a request
//! is out.
//!
//! `backends/` teaches one engine each to call it, behind a Cargo feature.
//!
//! What Rust users need is [`Session`], [`Client`], [`Options`], [`Error`], [`Interrupt`] and an engine's `register()`.
//! `examples/rust-core` embeds without any SQL. The wings are public for this crate's own tests; they change without
//! notice.
#![deny(unsafe_code, missing_docs)]

#[doc(hidden)]
#[forbid(unsafe_code)]
pub mod base;
#[doc(hidden)]
#[forbid(unsafe_code)]
pub mod client;
#[doc(hidden)]
#[forbid(unsafe_code)]
pub mod embed;
#[cfg(fuzzing)]
#[doc(hidden)]
#[forbid(unsafe_code)]
pub mod fuzzing;
#[doc(hidden)]
#[forbid(unsafe_code)]
pub mod index;
#[cfg(feature = "local")]
#[doc(hidden)]
#[forbid(unsafe_code)]
pub mod local;
#[cfg(not(feature = "local"))]
#[doc(hidden)]
#[forbid(unsafe_code)]
#[path = "local/absent.rs"]
pub mod local;
#[doc(hidden)]
#[forbid(unsafe_code)]
pub mod provider;
#[doc(hidden)]
#[forbid(unsafe_code)]
pub mod sql;
#[doc(hidden)]
#[forbid(unsafe_code)]
pub mod transport;

pub use base::error::{Error, RequestError};
pub use base::interrupt::Interrupt;
pub use client::Client;
pub use client::options::Options;
pub use sql::session::Session;

#[cfg(all(feature = "sqlite", any(feature = "libsql", feature = "rusqlite")))]
compile_error!(
    "SQLite's C API comes from one place. `sqlite` (a default feature) takes it from the host that loads or links the \
     library; an app on libsql or rusqlite brings its own: set default-features = false"
);
#[cfg(all(feature = "libsql", feature = "rusqlite"))]
compile_error!(
    "libsql and rusqlite each bring an SQLite, and their symbols collide: an app has one of them (features `libsql`, `rusqlite`)"
);
#[cfg(all(
    feature = "limbo",
    not(feature = "limbo-static"),
    feature = "turso",
    not(feature = "turso-static")
))]
compile_error!(
    "Limbo and Turso look for one symbol, register_extension, and call it differently: build a library for each (features \
     `limbo`, `turso`)"
);

#[cfg(feature = "local")]
#[allow(unsafe_code)]
#[path = "../backends/library.rs"]
mod library;

cfg_if::cfg_if! {
    if #[cfg(any(feature = "sqlite", feature = "libsql", feature = "rusqlite"))] {
        #[allow(unsafe_code)]
        #[path = "../backends/sqlite/mod.rs"]
        pub mod sqlite;
    }
}
cfg_if::cfg_if! {
    if #[cfg(feature = "libsql")] {
        #[allow(unsafe_code)]
        #[path = "../backends/libsql.rs"]
        pub mod libsql;
    } else if #[cfg(feature = "rusqlite")] {
        #[allow(unsafe_code)]
        #[path = "../backends/rusqlite.rs"]
        pub mod rusqlite;
    }
}
cfg_if::cfg_if! {
    if #[cfg(any(feature = "limbo", feature = "limbo-static"))] {
        #[allow(unsafe_code)]
        #[path = "../backends/limbo/mod.rs"]
        pub mod limbo;
    }
}
cfg_if::cfg_if! {
    if #[cfg(feature = "turso")] {
        #[allow(unsafe_code)]
        #[path = "../backends/turso/mod.rs"]
        pub mod turso;
    }
}
