//! The scalar functions (<https://www.sqlite.org/appfunc.html>).

use std::ffi::{CStr, c_int, c_void};
use std::sync::Arc;

use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

use super::ffi::{self, code, sqlite3, sqlite3_context, sqlite3_value};
use super::value::{Output, Value, arguments, give_error};
use super::{Connection, guard::guard};
use crate::error::Error;
use crate::options;
use crate::session::{self, Session, VERSION};

type Call = fn(&Session, &[Value]) -> Result<Output, Error>;

struct Function {
    name: &'static CStr,
    /// Numbers of arguments, -1 for any.
    args: &'static [c_int],
    flags: c_int,
    call: Call,
}

/// A constant call runs once a statement. Neither DIRECTONLY nor INNOCUOUS: embed-on-insert triggers work, and
/// `trusted_schema=OFF` blocks them.
const PURE: c_int = code::UTF8 | code::DETERMINISTIC;
/// A hostile database file must not redirect where text is sent.
const DIRECT: c_int = code::UTF8 | code::DIRECTONLY;

static FUNCTIONS: &[Function] = &[
    Function { name: c"rembed", args: &[2, 3], flags: PURE | code::RESULT_SUBTYPE, call: rembed },
    Function { name: c"rembed_register", args: &[-1], flags: DIRECT, call: rembed_register },
    Function { name: c"rembed_unregister", args: &[1], flags: DIRECT, call: rembed_unregister },
    Function { name: c"rembed_client_options", args: &[-1], flags: DIRECT, call: rembed_client_options },
    Function { name: c"rembed_version", args: &[0], flags: PURE, call: rembed_version },
    Function { name: c"rembed_debug", args: &[0], flags: code::UTF8, call: rembed_debug },
    Function { name: c"rembed_prefetch", args: &[2, 3], flags: code::UTF8, call: rembed_prefetch },
    Function { name: c"rembed_stats", args: &[0], flags: code::UTF8, call: rembed_stats },
    Function { name: c"rembed_cache_clear", args: &[0], flags: code::UTF8, call: rembed_cache_clear },
    Function { name: c"rembed_last_error", args: &[0], flags: code::UTF8, call: rembed_last_error },
];

fn rembed(session: &Session, args: &[Value]) -> Result<Output, Error> {
    let asked = Asked::read(session, &args[0], &args[1], "text", args.get(2))?;
    match asked.input {
        Some(text) => Ok(Output::Vector(session.embed_one(asked.client, text, asked.input_type)?)),
        None => Ok(Output::Null),
    }
}

fn rembed_prefetch(session: &Session, args: &[Value]) -> Result<Output, Error> {
    let asked = Asked::read(session, &args[0], &args[1], "the list of texts", args.get(2))?;
    match asked.input {
        Some(json) => Ok(Output::Int(session.prefetch(asked.client, json, asked.input_type)? as i64)),
        None => Ok(Output::Null),
    }
}

fn rembed_stats(session: &Session, _: &[Value]) -> Result<Output, Error> {
    Ok(Output::Text(session.stats()?.into()))
}

fn rembed_cache_clear(session: &Session, _: &[Value]) -> Result<Output, Error> {
    Ok(Output::Int(session.cache_clear() as i64))
}

fn rembed_register(session: &Session, args: &[Value]) -> Result<Output, Error> {
    let usage = "rembed_register wants a name and options: rembed_register('name', 'format', 'openai', …) or \
                 rembed_register('name', '{\"format\":\"openai\"}')";
    let [name, rest @ ..] = args else {
        return Err(Error::invalid(usage));
    };
    let name = required(name, "the client's name")?;
    let document = match rest {
        [] => return Err(Error::invalid(usage)),
        [document] => options::document(required(document, "options")?)?,
        pairs => pairs_document(pairs)?,
    };
    session.register(name, document)?;
    Ok(Output::Text(name.to_owned().into()))
}

fn rembed_unregister(session: &Session, args: &[Value]) -> Result<Output, Error> {
    let name = required(&args[0], "the client's name")?;
    Ok(Output::Int(session.unregister(name)?.into()))
}

fn rembed_client_options(_: &Session, args: &[Value]) -> Result<Output, Error> {
    let mut document = Json::Object(pairs_document(args)?);
    let text = document.to_string();
    options::wipe(&mut document);
    Ok(Output::Private(Zeroizing::new(text)))
}

fn rembed_version(_: &Session, _: &[Value]) -> Result<Output, Error> {
    Ok(Output::Text(VERSION.into()))
}

fn rembed_debug(_: &Session, _: &[Value]) -> Result<Output, Error> {
    // SAFETY: SQLite's version is a static string.
    let version = unsafe { CStr::from_ptr(ffi::libversion()) }.to_string_lossy();
    Ok(Output::Text(session::debug(&format!("SQLite {version}")).into()))
}

fn rembed_last_error(session: &Session, _: &[Value]) -> Result<Output, Error> {
    Ok(session.last_error().map_or(Output::Null, |text| Output::Text(text.into())))
}

/// The arguments of whatever embeds: a client, what to embed, and perhaps an input type.
pub(super) struct Asked<'a> {
    pub client: &'a str,
    pub input: Option<&'a str>,
    pub input_type: Option<&'a str>,
}

impl<'a> Asked<'a> {
    /// Reads the arguments; `what` names the input in an error.
    pub fn read(
        session: &Session,
        client: &'a Value,
        input: &'a Value,
        what: &str,
        input_type: Option<&'a Value>,
    ) -> Result<Asked<'a>, Error> {
        let client = required(client, "the client's name")?;
        let bad_input = |why: String| session.bad_input(client, &why);
        let input_type = match input_type {
            Some(word) => word.text("input_type").map_err(bad_input)?,
            None => None,
        };
        Ok(Asked { client, input: input.text(what).map_err(bad_input)?, input_type })
    }
}

/// Name/value arguments as a document of options.
fn pairs_document(args: &[Value]) -> Result<Map<String, Json>, Error> {
    if args.len() % 2 != 0 {
        return Err(Error::invalid(
            "options come as pairs of name and value, as in rembed_client_options('format', 'openai')",
        ));
    }
    let pairs = args.chunks_exact(2).map(|pair| {
        let name = required(&pair[0], "an option's name")?;
        let value = match pair[1].kind() {
            code::NULL => Json::Null,
            code::INTEGER => pair[1].int().into(),
            code::FLOAT => pair[1].real().into(),
            _ => text(&pair[1], "an option's value")?.into(),
        };
        Ok((name.to_owned(), value))
    });
    options::from_pairs(pairs.collect::<Result<Vec<_>, Error>>()?)
}

fn text<'a>(value: &'a Value, what: &str) -> Result<Option<&'a str>, Error> {
    value.text(what).map_err(Error::Invalid)
}

fn required<'a>(value: &'a Value, what: &str) -> Result<&'a str, Error> {
    text(value, what)?.ok_or_else(|| Error::invalid(format!("{what} is NULL")))
}

/// What SQLite hands back to a call of a function.
struct Registered {
    connection: Arc<Connection>,
    call: Call,
}

/// Registers every function in `db`.
///
/// # Safety
/// `db` is an open connection.
pub unsafe fn register(db: *mut sqlite3, connection: &Arc<Connection>) -> Result<(), String> {
    for function in FUNCTIONS {
        for args in function.args {
            let app = Box::new(Registered { connection: connection.clone(), call: function.call });
            // SAFETY: SQLite calls `destroy` once for `app`, also when the registration fails.
            let rc = unsafe {
                ffi::create_function_v2(
                    db,
                    function.name.as_ptr(),
                    *args,
                    function.flags,
                    Box::into_raw(app).cast(),
                    Some(call),
                    None,
                    None,
                    Some(destroy),
                )
            };
            if rc != code::OK {
                return Err(format!(
                    "rembed: cannot register {}: error {rc}",
                    function.name.to_string_lossy()
                ));
            }
        }
    }
    Ok(())
}

unsafe extern "C" fn destroy(app: *mut c_void) {
    // SAFETY: `app` came from Box::into_raw in register(), and SQLite destroys it once.
    let app = unsafe { Box::from_raw(app.cast::<Registered>()) };
    // There is nobody to tell of a panic here.
    let _ = guard(|| drop(app));
}

unsafe extern "C" fn call(context: *mut sqlite3_context, argc: c_int, argv: *mut *mut sqlite3_value) {
    // SAFETY: SQLite passes the context of this call, its arguments, and what register() gave it.
    unsafe {
        let registered = &*ffi::user_data(context).cast::<Registered>();
        let session = &registered.connection.session;
        let text = match guard(|| (registered.call)(session, arguments(argc, argv))) {
            Ok(Ok(output)) => return output.give(context),
            Ok(Err(Error::Interrupted)) => return ffi::result_error_code(context, code::INTERRUPT),
            Ok(Err(e)) => e.to_string(),
            Err(panic) => panic,
        };
        session.note_error(&text);
        give_error(context, &text);
    }
}
