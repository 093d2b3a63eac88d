//! Embeddings from inside SQL, on every engine of the SQLite family.
//!
//! `src/` is the provider core: text in, vectors out, and no SQL engine in sight. A text takes this way:
//! a backend turns engine values into `&str` → [`session::Session::embed`] → [`registry::Registry`] gives a
//! [`client::Client`] → [`call`] looks in the [`cache`] → [`stream`] cuts requests and keeps several in flight → the
//! [`provider`] describes each request (pure) → [`transport`] sends it (pooled, paced, retried, bounded, interruptible) → the provider reads the
//! reply (pure) → [`check`] → the backend hands the bytes to the engine. No step goes back, and no lock is
//! held while a request is out.
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
pub mod input;
#[forbid(unsafe_code)]
pub mod options;
#[forbid(unsafe_code)]
pub mod plan;
#[forbid(unsafe_code)]
pub mod progress;
#[forbid(unsafe_code)]
pub mod provider;
#[forbid(unsafe_code)]
pub mod registry;
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
pub mod vector;

cfg_if::cfg_if! {
    if #[cfg(feature = "sqlite")] {
        #[allow(unsafe_code)]
        #[path = "../backends/sqlite/mod.rs"]
        pub mod sqlite;
    }
}
