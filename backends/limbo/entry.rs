//! The library that `SELECT load_extension('…')` loads.

use std::ffi::c_void;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use limbo_ext::{Conn, ExtensionApi, ResultCode, VTabCreateResult, VTabModuleImpl};

use super::batch_table::Batch;
use super::{allocator, attempt, register_all, vtab};
use crate::base::error::Error;

/// What Limbo looks for in the library: registers everything in the connection that loads it.
///
/// # Safety
/// To be called by Limbo: `api` is NULL or the API of an open connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn register_extension(api: *const ExtensionApi) -> ResultCode {
    allocator::keep_out_of_arenas();
    // SAFETY: passed on as the host gave it.
    match attempt(|| unsafe { checked(api) }) {
        Ok(()) => ResultCode::OK,
        Err(e) => {
            // The host says no more than that it failed. eprintln!() would panic where stderr is closed.
            let _ = writeln!(std::io::stderr(), "{e}");
            ResultCode::Error
        }
    }
}

unsafe fn checked(api: *const ExtensionApi) -> Result<(), Error> {
    // SAFETY: hosts that load libraries have the API with the part for file systems, so at least six words.
    unsafe {
        // The sixth word is NULL in Limbo while it loads an extension. Turso since 0.7 has a function there.
        if api.is_null() || !(*api.cast::<*const c_void>().add(5)).is_null() {
            return Err(wrong_host());
        }
        let api = &*api;
        // Turso before 0.7 has the same API, but its modules have one field more before the callbacks, by which the
        // probe tells it. It frees the name of the module by its own allocator. That must be mimalloc, as it is in
        // Turso's shell and bindings; a Rust app may have another.
        let registered = vtab::register_module::<Batch>(api, probe());
        if PROBED.load(Ordering::Relaxed) || registered.is_err() {
            return Err(wrong_host());
        }
        register_all(api)
    }
}

fn wrong_host() -> Error {
    Error::invalid(
        "rembed: this library is for Limbo 0.0.22, and the host is something else: for Turso, load the one that is \
         built with the feature turso",
    )
}

type Create = unsafe extern "C" fn(*const limbo_ext::Value, i32) -> VTabCreateResult;
type OpenModule = unsafe extern "C" fn(*const c_void, *mut Conn) -> *const c_void;

/// Whether the host has called the probe.
static PROBED: AtomicBool = AtomicBool::new(false);

/// A module that makes no table, and tells Turso before 0.7 from Limbo. Turso calls `create` as soon as it knows the module,
/// and looks for it where Limbo has `open`. Limbo never opens a table that was not created, and [`register_all`] replaces
/// the module.
fn probe() -> VTabModuleImpl {
    unsafe extern "C" fn probed(_: *const limbo_ext::Value, _: i32) -> VTabCreateResult {
        PROBED.store(true, Ordering::Relaxed);
        vtab::not_created(ResultCode::Error)
    }
    unsafe extern "C" fn refuse(_: *const limbo_ext::Value, _: i32) -> VTabCreateResult {
        vtab::not_created(ResultCode::Unavailable)
    }
    // SAFETY: a host calls `probed` only where it takes the field for `create`, whose type the function has. Such a host
    // reads a longer structure than this, but uses no other field of it. It keeps the module, which makes no table and
    // whose code stays mapped.
    let open = unsafe { std::mem::transmute::<Create, OpenModule>(probed) };
    VTabModuleImpl { create: refuse, open, ..vtab::module::<Batch>() }
}
