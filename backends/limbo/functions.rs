//! The scalar functions. A function of Limbo gets no context, so each has a callback of its own.

use limbo_ext::{ExtensionApi, ScalarFunction};

use super::value::{self, RawValue, arguments, give, give_error};
use super::{SESSION, clients_table, registered};
use crate::base::error::Error;
use crate::sql::functions::Function;

/// The callback of each function of [`Function::ALL`].
const CALLBACKS: [ScalarFunction; 14] = [
    call::<0>, call::<1>, call::<2>, call::<3>, call::<4>, call::<5>, call::<6>, call::<7>, call::<8>,
    call::<9>, call::<10>, call::<11>, call::<12>, call::<13>,
];
const _: () = assert!(CALLBACKS.len() == Function::<RawValue>::ALL.len());

/// Registers every function in the connection of `api`.
///
/// # Safety
/// As [`super::register_all`].
pub unsafe fn register(api: &ExtensionApi) -> Result<(), Error> {
    let add = |name: &std::ffi::CStr, callback: ScalarFunction| {
        // SAFETY: the context is the API's own, and the host copies the name.
        let code = unsafe { (api.register_scalar_function)(api.ctx, name.as_ptr(), callback) };
        registered(&name.to_string_lossy(), code)
    };
    Function::<RawValue>::ALL
        .iter()
        .zip(CALLBACKS)
        .try_for_each(|(function, callback)| add(function.name, callback))
}

unsafe extern "C" fn call<const I: usize>(argc: i32, argv: *const limbo_ext::Value) -> limbo_ext::Value {
    // SAFETY: the host passes the arguments of this call.
    let args = unsafe { arguments(argc, argv) };
    let result = Function::<RawValue>::ALL[I].run(&SESSION, args);
    // SAFETY: they are those of a scalar function, and the result borrows nothing of them.
    unsafe { value::free(args) };
    match result {
        Ok(output) => give(output),
        Err(e) => give_error(clients_table::lost_rows(e)),
    }
}
