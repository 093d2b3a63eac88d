//! The scalar functions in SQLite (<https://www.sqlite.org/appfunc.html>).

use std::ffi::{CStr, c_int, c_void};
use std::sync::Arc;

use super::connection::{self, Connection, Db};
use super::ffi::{self, code, sqlite3, sqlite3_context, sqlite3_value};
use super::schema;
use super::value::{RawValue, arguments, give, give_error};
use crate::base::error::{Error, Result};
use crate::base::guard::guard;
use crate::sql::functions::{Callers, Function};
use crate::sql::value::Output;

/// What SQLite hands back to a call of a function.
struct Registered {
    connection: Arc<Connection>,
    function: &'static Function<RawValue<'static>>,
}

/// A function of SQLite alone, which runs statements on the connection that calls it. It is for the application.
pub struct OnConnection {
    /// Its name in SQL.
    pub name: &'static CStr,
    /// The numbers of arguments it takes.
    pub args: &'static [i32],
    /// What it does.
    pub call: fn(&Arc<Connection>, Db, &[RawValue<'static>]) -> Result<Output>,
}

struct RegisteredOnConnection {
    connection: Arc<Connection>,
    function: &'static OnConnection,
}

fn flags(function: &Function<RawValue<'static>>) -> c_int {
    let mut flags = code::UTF8;
    if function.callers == Callers::Application {
        // Old versions check a CHECK of a file's schema for DIRECTONLY only where the function is deterministic. So a
        // constant call of one that is not runs once a statement here.
        flags |= code::DIRECTONLY | code::DETERMINISTIC;
    }
    if function.deterministic {
        flags |= code::DETERMINISTIC;
    }
    if function.gives_vector {
        flags |= code::RESULT_SUBTYPE;
    }
    flags
}

/// Registers every function in `db`.
///
/// # Safety
/// `db` is an open connection.
pub unsafe fn register(db: *mut sqlite3, connection: &Arc<Connection>) -> Result<(), String> {
    for function in Function::ALL {
        for args in function.args {
            let app = Box::new(Registered { connection: connection.clone(), function });
            // SAFETY: SQLite calls `destroy` once for `app`, also when the registration fails.
            let rc = unsafe {
                ffi::create_function_v2(
                    db,
                    function.name.as_ptr(),
                    *args,
                    flags(function),
                    Box::into_raw(app).cast(),
                    Some(call),
                    None,
                    None,
                    Some(destroy),
                )
            };
            if rc != code::OK {
                let name = function.name.to_string_lossy();
                return Err(format!("rembed: cannot register {name}: error {rc}"));
            }
        }
    }
    Ok(())
}

/// Registers `functions` in `db`.
///
/// # Safety
/// `db` is an open connection.
pub unsafe fn register_on_connection(
    db: *mut sqlite3,
    connection: &Arc<Connection>,
    functions: &'static [OnConnection],
) -> Result<(), String> {
    for function in functions {
        for args in function.args {
            let app = Box::new(RegisteredOnConnection { connection: connection.clone(), function });
            // As for the application's others: a constant call runs once a statement.
            let flags = code::UTF8 | code::DIRECTONLY | code::DETERMINISTIC;
            // SAFETY: SQLite calls the destructor once for `app`, also when the registration fails.
            let rc = unsafe {
                ffi::create_function_v2(
                    db,
                    function.name.as_ptr(),
                    *args,
                    flags,
                    Box::into_raw(app).cast(),
                    Some(call_on_connection),
                    None,
                    None,
                    Some(destroy_on_connection),
                )
            };
            if rc != code::OK {
                let name = function.name.to_string_lossy();
                return Err(format!("rembed: cannot register {name}: error {rc}"));
            }
        }
    }
    Ok(())
}

unsafe extern "C" fn destroy_on_connection(app: *mut c_void) {
    // SAFETY: `app` came from Box::into_raw in register_on_connection(), and SQLite destroys it once.
    connection::destroy(unsafe { Box::from_raw(app.cast::<RegisteredOnConnection>()) });
}

unsafe extern "C" fn call_on_connection(
    context: *mut sqlite3_context,
    argc: c_int,
    argv: *mut *mut sqlite3_value,
) {
    // SAFETY: SQLite passes the context of this call, its arguments, and what register_on_connection() gave it.
    unsafe {
        let registered = &*ffi::user_data(context).cast::<RegisteredOnConnection>();
        let connection = registered.connection.clone();
        let db = Db::new(ffi::context_db_handle(context));
        let work = || (registered.function.call)(&connection, db, arguments(argc, argv));
        match guard(work).unwrap_or_else(|panic| Err(Error::Invalid(panic))) {
            Ok(output) => give(output, context),
            Err(Error::Interrupted) => ffi::result_error_code(context, code::INTERRUPT),
            Err(e) => {
                connection.session.note_error(&e.to_string());
                give_error(context, &e.to_string());
            }
        }
        connection::destroy(connection);
    }
}

unsafe extern "C" fn destroy(app: *mut c_void) {
    // SAFETY: `app` came from Box::into_raw in register(), and SQLite destroys it once.
    connection::destroy(unsafe { Box::from_raw(app.cast::<Registered>()) });
}

unsafe extern "C" fn call(context: *mut sqlite3_context, argc: c_int, argv: *mut *mut sqlite3_value) {
    // SAFETY: SQLite passes the context of this call, its arguments, and what register() gave it.
    unsafe {
        let registered = &*ffi::user_data(context).cast::<Registered>();
        registered.connection.unsettled.try_again(Db::new(ffi::context_db_handle(context)));
        // A mark that SQLite drops when the statement ends: where there is none, a new one may have begun.
        if registered.function.gives_vector && ffi::get_auxdata(context, 0).is_null() {
            registered.connection.session.begin_statement();
            ffi::set_auxdata(context, 0, std::ptr::dangling_mut::<u8>().cast(), None);
        }
        match registered.function.run(&registered.connection.session, arguments(argc, argv)) {
            Ok(output) => give(output, context),
            Err(Error::Interrupted) => ffi::result_error_code(context, code::INTERRUPT),
            Err(e @ Error::NotRegistered { .. })
                if schema::has_clients_table(ffi::context_db_handle(context)) =>
            {
                let elsewhere = "A database file has a table rembed_clients of its own: what was inserted without 'temp.' \
                                 is there, its key too";
                give_error(context, &format!("{e}. {elsewhere}"));
            }
            Err(e) => give_error(context, &e.to_string()),
        }
    }
}
