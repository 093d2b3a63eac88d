//! The entry point of the loadable library. An app that links the crate has none: it is a name that all
//! extensions export.

use std::ffi::c_void;
use std::io::Write;
use std::sync::Arc;

use turso_ext::{ExtensionApi, ResultCode};

use super::functions;
use crate::base::guard::guard;
use crate::base::interrupt::Uninterrupted;
use crate::sql::session::Session;

/// What `rembed_debug()` says of the engine. The API does not tell its version; and it makes no table, so this says what does.
const ENGINE: &str = "Turso 0.7 to 0.9, loaded\n\
                      Clients table: made by the statements of backends/turso/rembed_clients.sql";

const TOO_OLD: &str = "rembed: this library is for Turso 0.7 to 0.9, and the host that loads it is Limbo or \
                       Turso before 0.7, which calls functions another way. For Limbo 0.0.22 there is a build \
                       with the feature `limbo`";

/// Registers the functions in the connection that loads the library.
///
/// # Safety
/// To be called by the engine's `load_extension`: `api` is its table of routines or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn register_extension(api: *const ExtensionApi) -> ResultCode {
    // SAFETY: as the engine gave it.
    let registered = guard(|| unsafe { register(api) });
    match registered.and_then(std::convert::identity) {
        Ok(()) => ResultCode::OK,
        Err(text) => {
            // The engine says no more than that it failed. Nobody is left to tell if this fails too.
            let _ = guard(|| writeln!(std::io::stderr(), "{text}"));
            ResultCode::Error
        }
    }
}

unsafe fn register(api: *const ExtensionApi) -> Result<(), String> {
    if api.is_null() {
        return Err("rembed: the host passed no API".into());
    }
    // SAFETY: an engine that loads libraries passes its table with the words for file systems.
    if unsafe { !is_current(api) } {
        return Err(TOO_OLD.into());
    }
    let session = Session::new(ENGINE, Arc::new(Uninterrupted), None);
    // SAFETY: the table of an engine whose routines these are, during its call.
    unsafe { functions::register(&*api, session) }
}

/// Whether the table is that of Turso 0.7 or later. It has no version, but one routine more: word 5 was
/// `builtin_vfs`, NULL in a connection, and is `register_vfs`.
unsafe fn is_current(api: *const ExtensionApi) -> bool {
    // SAFETY: the smallest table of an engine that loads libraries has seven words.
    unsafe { !api.cast::<*const c_void>().add(5).read().is_null() }
}
