//! The library that `SELECT load_extension('…')` loads.

use std::ffi::{c_int, c_long, c_void};
use std::io::Write;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use limbo_ext::{Conn, ExtensionApi, ResultCode, VTabCreateResult, VTabModuleImpl};

use super::batch_table::Batch;
use super::{attempt, register_all, vtab};
use crate::base::error::Error;

/// The host's allocator, in a copy of our own: each frees what the other has allocated.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
}
/// `mi_option_disallow_arena_alloc` of the mimalloc that Cargo.toml pins.
const DISALLOW_ARENA_ALLOC: c_int = 27;

/// What Limbo looks for in the library: registers everything in the connection that loads it.
///
/// # Safety
/// To be called by Limbo: `api` is NULL or the API of an open connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn register_extension(api: *const ExtensionApi) -> ResultCode {
    keep_out_of_arenas();
    // SAFETY: passed on as the host gave it.
    match attempt(|| unsafe { checked(api) }) {
        Ok(()) => ResultCode::OK,
        Err(e) => {
            // The host says no more than that it failed. eprintln!() would panic where nobody listens.
            let _ = writeln!(std::io::stderr(), "{e}");
            ResultCode::Error
        }
    }
}

/// A stretch of memory that the host empties goes back where the host's copy of the allocator believes it came from:
/// right for one from the system, wrong for one from an arena, of which each copy has its own. Before the first
/// allocation, which no constructor of the library makes.
fn keep_out_of_arenas() {
    static ONCE: Once = Once::new();
    // SAFETY: the function is that of the mimalloc we are linked with, and no other thread of ours runs yet.
    ONCE.call_once(|| unsafe { mi_option_set(DISALLOW_ARENA_ALLOC, 1) });
}

unsafe fn checked(api: *const ExtensionApi) -> Result<(), Error> {
    // SAFETY: hosts that load libraries have the API with the part for file systems, so at least six words.
    unsafe {
        // Turso since 0.7 has another function before what is NULL in Limbo when an extension is loaded.
        if api.is_null() || !(*api.cast::<*const c_void>().add(5)).is_null() {
            return Err(wrong_host());
        }
        let api = &*api;
        // Turso before 0.7 has the same API, and a field more before the callbacks of a module. It frees the module's name,
        // which wants mimalloc as its allocator too: its shell and its bindings have it, a Rust app may not.
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

/// A module that makes no table. Turso before 0.7 calls `create` as soon as it knows the module, and finds it where
/// Limbo has `open`. Limbo never opens a table that was not created, and [`register_all`] replaces the module.
fn probe() -> VTabModuleImpl {
    unsafe extern "C" fn probed(_: *const limbo_ext::Value, _: i32) -> VTabCreateResult {
        PROBED.store(true, Ordering::Relaxed);
        vtab::not_created(ResultCode::Error)
    }
    unsafe extern "C" fn refuse(_: *const limbo_ext::Value, _: i32) -> VTabCreateResult {
        vtab::not_created(ResultCode::Unavailable)
    }
    // SAFETY: only a host that takes it for `create`, which it is, calls it. Such a host reads a longer structure than
    // this, of which it uses no more than that field; it keeps the module, whose code stays mapped and makes no table.
    let open = unsafe { std::mem::transmute::<Create, OpenModule>(probed) };
    VTabModuleImpl { create: refuse, open, ..vtab::module::<Batch>() }
}
