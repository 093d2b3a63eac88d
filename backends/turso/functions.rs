//! The scalar functions in Turso.

use std::ffi::CStr;
use std::sync::Arc;

use turso_ext::{ContextDestructor, ExtensionApi, ResultCode, Value, ValueDestructor};

use super::clients;
use super::value::{RawValue, arguments, give};
use crate::base::guard::guard;
use crate::sql::functions::Function;
use crate::sql::session::Session;

/// The function by which one sees whether a connection has them all. It needs no session.
const MARK: &CStr = c"rembed_version";

/// Of arguments. `Function::run` counts them: of a number that is not registered, the engine says that there is no such function.
const ANY_NUMBER: i32 = -1;

/// What the engine hands back to a call of a function.
struct Registered {
    session: Arc<Session>,
    function: &'static Function<RawValue>,
}

// A connection moves between threads, and with it the context of its functions.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Registered>()
};

/// Registers every function for `session`, which ends with the connection. A connection that has the functions keeps them,
/// and its clients with them.
///
/// # Safety
/// `api` is that of an engine whose connection is open, during its call.
pub unsafe fn register(api: &ExtensionApi, session: Session) -> Result<(), String> {
    let session = Arc::new(session);
    // The engine cannot be asked whether it has a function, only told to forget one.
    // SAFETY: the routine, its context, and a C string.
    let again = unsafe { (api.unregister_function)(api.ctx, MARK.as_ptr()) } == ResultCode::OK;
    for function in Function::ALL.iter().chain(clients::FUNCTIONS) {
        if again && function.name != MARK {
            continue;
        }
        let context = Box::into_raw(Box::new(Registered { session: session.clone(), function }));
        // SAFETY: the routine, its context, a C string that it copies, and callbacks of its types. It calls
        // `destroy` once for a context that it keeps. One that it refuses is leaked: it may have kept it all the same.
        let code = unsafe {
            (api.register_scalar_function)(
                api.ctx,
                function.name.as_ptr(),
                ANY_NUMBER,
                function.deterministic,
                context.expose_provenance(),
                call,
                Some(destroy),
                Some(free),
            )
        };
        if code != ResultCode::OK {
            return Err(format!("rembed: cannot register {}: {code}", function.name.to_string_lossy()));
        }
    }
    Ok(())
}

unsafe extern "C" fn call(
    context: usize,
    argc: i32,
    argv: *const Value,
    _: Option<ContextDestructor>,
    _: Option<ValueDestructor>,
) -> Value {
    let answer = guard(|| {
        // SAFETY: the engine passes the arguments, and what register() gave it, which lives as the function does.
        let (registered, args) = unsafe {
            let context = std::ptr::with_exposed_provenance::<Registered>(context);
            (&*context, arguments(argc, argv))
        };
        give(registered.function.run(&registered.session, args).map_err(|e| e.to_string()))
    });
    answer.unwrap_or_else(|panic| give(Err(panic)))
}

unsafe extern "C" fn destroy(context: usize) {
    let context = std::ptr::with_exposed_provenance_mut::<Registered>(context);
    // There is nobody to tell of a panic here.
    // SAFETY: `context` came from Box::into_raw in register(), and the engine destroys it once.
    let _ = guard(|| drop(unsafe { Box::from_raw(context) }));
}

/// Frees a result: without it the engine would, with an allocator that need not be ours.
unsafe extern "C" fn free(result: *mut Value) {
    // SAFETY: a result of call(), made by this library's turso_ext, which frees it; NULL is left in its place.
    unsafe { std::mem::take(&mut *result).__free_internal_type() }
}
