//! Limbo 0.0.22: the functions, the table and the table-valued function, registered in a connection by Limbo's
//! extension API (<https://docs.rs/limbo_ext/0.0.22>).
//!
//! With feature `limbo` the library is loaded, by `SELECT load_extension('…')`; with `limbo-static` it is part of an
//! app on limbo_core, which calls `register`.
//!
//! The engine frees what we allocate, by its own allocator, so every result is laid out (`value`) and allocated (`crossing`)
//! as the engine will free it.
//! The engine's functions have no context, so a process has one session, with one set of clients and one lock:
//! `rembed_lock()` locks all connections.

#[cfg(feature = "limbo-static")]
#[path = "one_allocator.rs"]
mod allocator;
#[cfg(all(feature = "limbo", not(feature = "limbo-static")))]
#[path = "mimalloc_copy.rs"]
mod allocator;
mod batch_table;
mod clients_table;
mod crossing;
#[cfg(all(feature = "limbo", not(feature = "limbo-static")))]
mod entry;
mod functions;
#[cfg(feature = "limbo-static")]
mod host;
mod value;
mod vtab;

use std::sync::Arc;

use limbo_ext::{ExtensionApi, ResultCode};

#[cfg(all(feature = "limbo", not(feature = "limbo-static")))]
pub use entry::register_extension;
#[cfg(feature = "limbo-static")]
pub use host::register;

use crate::base::error::Error;
use crate::base::guard::guard;
use crate::base::interrupt::Uninterrupted;
use crate::base::process::PerProcess;
use crate::sql::session::Session;

/// What every connection of the process sees. Limbo cannot interrupt an extension, and has no disk cache for it.
static SESSION: PerProcess<Session> = PerProcess::new(|parent| match parent {
    Some(parent) => parent.renewed(),
    None => Session::new("Limbo 0.0.22", Arc::new(Uninterrupted), None),
});

/// Registers everything in the connection of `api`.
///
/// # Safety
/// `api` is that of a host of limbo_ext 0.0.22, for a connection that is open.
unsafe fn register_all(api: &ExtensionApi) -> Result<(), Error> {
    // SAFETY: the same contract.
    unsafe {
        functions::register(api)?;
        vtab::register::<clients_table::Clients>(api)?;
        vtab::register::<batch_table::Batch>(api)
    }
}

/// What the host answers to the registration of `name`.
fn registered(name: &str, code: ResultCode) -> Result<(), Error> {
    match code {
        ResultCode::OK => Ok(()),
        code => Err(Error::invalid(format!("rembed: cannot register {name}: {code}"))),
    }
}

/// Runs the work of a callback. The text of an error or a panic is kept for `rembed_last_error()`: some callbacks have no
/// way to pass it to the engine.
fn attempt<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let result = guard(work).unwrap_or_else(|panic| Err(Error::Invalid(panic)));
    if let Err(e) = &result {
        SESSION.note_error(&e.to_string());
    }
    result
}
