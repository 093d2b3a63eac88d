//! Turso 0.7 to 0.9: the functions by its extension API, and `temp.rembed_clients` by triggers that call them.
//!
//! - A library built with the feature `turso` is loaded by `Connection::load_extension`; the statements of
//!   `backends/turso/rembed_clients.sql` make the table.
//! - A Rust app on `turso_core` has the feature `turso-static` and calls `register()`, which does both.
//!
//! There is no table function: the engine frees what a virtual table allocated with its own allocator, which
//! crashes where that is not ours. `rembed_prefetch` and `rembed` do the job of `rembed_batch`.

mod clients;
mod functions;
mod value;

cfg_if::cfg_if! {
    if #[cfg(feature = "turso-static")] {
        mod connection;
        pub use connection::{CLIENTS_SQL, register};
    } else {
        mod entry;
        pub use entry::register_extension;
    }
}
