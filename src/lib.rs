//! Embeddings from inside SQL, on every engine of the SQLite family.
//!
//! `src/` is the provider core: text in, vectors out, and no SQL engine in sight. A text takes this way:
//! a backend turns engine values into `&str` → [`session::Session::embed`] → [`registry::Registry`] gives a
//! [`client::Client`] → [`call`] looks in the [`cache`] → [`stream`] cuts requests and keeps several in flight → the
//! [`provider`] describes each request (pure) → [`transport`] sends it (pooled, paced, retried, bounded, interruptible) → the provider reads the
//! reply (pure) → [`check`] → the backend hands the bytes to the engine. No step goes back, and no lock is
//! held while a request is out.
//!
//! With the format `local`, [`local`] computes in this process what otherwise provider and transport would fetch; all
//! else is the same.
//!
//! `backends/` teaches one engine each to call it, behind a Cargo feature.
#![deny(unsafe_code, missing_docs)]

#[forbid(unsafe_code)]
pub mod cache;
#[forbid(unsafe_code)]
pub mod call;
#[forbid(unsafe_code)]
pub mod check;
#[forbid(unsafe_code)]
pub mod client;
#[forbid(unsafe_code)]
pub mod error;
#[forbid(unsafe_code)]
pub mod file;
#[forbid(unsafe_code)]
pub mod functions;
#[cfg(fuzzing)]
#[doc(hidden)]
#[forbid(unsafe_code)]
pub mod fuzzing;
#[forbid(unsafe_code)]
pub mod guard;
#[forbid(unsafe_code)]
pub mod input;
#[cfg(feature = "local")]
#[forbid(unsafe_code)]
pub mod local;
#[cfg(not(feature = "local"))]
#[forbid(unsafe_code)]
#[path = "local/absent.rs"]
pub mod local;
#[forbid(unsafe_code)]
pub mod options;
#[forbid(unsafe_code)]
pub mod plan;
#[forbid(unsafe_code)]
pub mod process;
#[forbid(unsafe_code)]
pub mod progress;
#[forbid(unsafe_code)]
pub mod provider;
#[forbid(unsafe_code)]
pub mod registry;
#[forbid(unsafe_code)]
pub mod rows;
#[forbid(unsafe_code)]
pub mod scrub;
#[forbid(unsafe_code)]
pub mod secret;
#[forbid(unsafe_code)]
pub mod session;
#[forbid(unsafe_code)]
pub mod stats;
#[forbid(unsafe_code)]
pub mod stream;
#[forbid(unsafe_code)]
pub mod transport;
#[forbid(unsafe_code)]
pub mod value;
#[forbid(unsafe_code)]
pub mod vector;

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
