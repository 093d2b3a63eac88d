//! FTS5's tokenizers, as a connection has them (<https://www.sqlite.org/fts5.html#extending_fts5>): an application may have
//! made some of its own.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use super::{Failure, Statement};
use crate::sqlite::connection::Db;
use crate::sqlite::ffi::{self, code};

/// By this name FTS5 knows the pointer that it is to fill.
const POINTER: &CStr = c"fts5_api_ptr";

type Create = unsafe extern "C" fn(*mut c_void, *mut *const c_char, c_int, *mut *mut c_void) -> c_int;
type Find = unsafe extern "C" fn(*mut Api, *const c_char, *mut *mut c_void, *mut Tokenizer) -> c_int;

/// The beginning of `fts5_api`.
#[repr(C)]
struct Api {
    version: c_int,
    create_tokenizer: *const c_void,
    find_tokenizer: Option<Find>,
}

/// `fts5_tokenizer`.
#[repr(C)]
struct Tokenizer {
    create: Option<Create>,
    delete: Option<unsafe extern "C" fn(*mut c_void)>,
    tokenize: *const c_void,
}

/// Whether FTS5 has the tokenizer `name` in a connection, and the tokenizer takes these arguments.
///
/// # Errors
/// What SQLite says.
pub fn is_made(db: Db, name: &str, args: &[String]) -> Result<bool, Failure> {
    let as_c = |text: &str| CString::new(text).map_err(|_| Failure::of_text("a tokenizer has a NUL in it"));
    let name = as_c(name)?;
    let args = args.iter().map(|arg| as_c(arg)).collect::<Result<Vec<_>, _>>()?;
    let mut args: Vec<*const c_char> = args.iter().map(|arg| arg.as_ptr()).collect();
    let mut api: *mut Api = std::ptr::null_mut();
    let mut ask = Statement::prepare(db, "SELECT fts5(?1)")?;
    // SAFETY: FTS5 writes its pointer to where the bound one points, which lives until the statement has ended. Its table of
    // functions lives as long as the connection; the structs are as FTS5 documents them. What a tokenizer makes it is given
    // back.
    unsafe {
        let rc = ffi::bind_pointer(ask.stmt, 1, (&raw mut api).cast(), POINTER.as_ptr(), None);
        if rc != code::OK {
            return Err(Failure::of(db, rc));
        }
        while ask.step()? {}
        drop(ask);
        let Some(find) = api.as_ref().and_then(|api| api.find_tokenizer) else { return Ok(false) };
        let mut tokenizer = Tokenizer { create: None, delete: None, tokenize: std::ptr::null() };
        let (mut app, mut made) = (std::ptr::null_mut(), std::ptr::null_mut());
        if find(api, name.as_ptr(), &mut app, &mut tokenizer) != code::OK {
            return Ok(false);
        }
        let (Some(create), Some(delete)) = (tokenizer.create, tokenizer.delete) else { return Ok(false) };
        let count = c_int::try_from(args.len()).unwrap_or(c_int::MAX);
        if create(app, args.as_mut_ptr(), count, &mut made) != code::OK {
            return Ok(false);
        }
        delete(made);
    }
    Ok(true)
}
