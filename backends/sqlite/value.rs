//! SQL values as SQLite passes them, and results as it takes them.

use std::borrow::Cow;
use std::ffi::c_int;

use super::ffi::{self, code, sqlite3_context, sqlite3_value};
use crate::value::{Kind, Output, Value};
use crate::vector;

/// The subtype by which sqlite-vec knows a vector of f32.
const SUBTYPE_F32: u32 = 223;

/// An argument of a function, or a column of a virtual table.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct RawValue(pub(super) *mut sqlite3_value);

/// The arguments of a call.
///
/// # Safety
/// `argv` has `argc` values that stay as they are while the slice is used.
pub unsafe fn arguments<'a>(argc: c_int, argv: *mut *mut sqlite3_value) -> &'a [RawValue] {
    match usize::try_from(argc) {
        // SAFETY: RawValue is a transparent name for the pointers that SQLite passes.
        Ok(n) if n > 0 => unsafe { std::slice::from_raw_parts(argv.cast::<RawValue>(), n) },
        _ => &[],
    }
}

impl Value for RawValue {
    fn kind(&self) -> Kind {
        // SAFETY: a RawValue is made of what SQLite passes to a callback, and used within it.
        match unsafe { ffi::value_type(self.0) } {
            code::NULL => Kind::Null,
            code::INTEGER => Kind::Integer,
            code::FLOAT => Kind::Real,
            code::BLOB => Kind::Blob,
            _ => Kind::Text,
        }
    }

    fn int(&self) -> i64 {
        // SAFETY: as in kind().
        unsafe { ffi::value_int64(self.0) }
    }

    fn real(&self) -> f64 {
        // SAFETY: as in kind().
        unsafe { ffi::value_double(self.0) }
    }

    fn text_bytes(&self) -> Option<Cow<'_, [u8]>> {
        // SAFETY: as in kind(). value_text first, as value_bytes then counts the bytes of the text
        // (https://www.sqlite.org/c3ref/value_blob.html).
        unsafe {
            let text = ffi::value_text(self.0);
            let n = ffi::value_bytes(self.0);
            let text = (!text.is_null()).then_some(text)?;
            Some(std::slice::from_raw_parts(text, usize::try_from(n).unwrap_or(0)).into())
        }
    }
}

impl RawValue {
    /// As bytes, of text or of a BLOB.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: as in kind(). A BLOB without bytes is NULL, which makes no slice.
        unsafe {
            let blob = ffi::value_blob(self.0);
            let n = ffi::value_bytes(self.0);
            if blob.is_null() {
                return &[];
            }
            std::slice::from_raw_parts(blob.cast(), usize::try_from(n).unwrap_or(0))
        }
    }

    /// Whether an UPDATE leaves it as it is.
    pub fn is_unchanged(&self) -> bool {
        // SAFETY: as in kind(); it is asked in xUpdate alone.
        unsafe { ffi::value_nochange(self.0) != 0 }
    }
}

/// Gives a result to SQLite.
///
/// # Safety
/// `context` is that of the callback that runs.
pub unsafe fn give(output: Output, context: *mut sqlite3_context) {
    // SAFETY: the pointers are valid for the length given, and SQLite copies (SQLITE_TRANSIENT).
    unsafe {
        match output {
            Output::Null => ffi::result_null(context),
            Output::Int(n) => ffi::result_int64(context, n),
            Output::Text(text) => give_text(context, &text),
            Output::Private(text) => give_text(context, &text),
            Output::Real(x) => ffi::result_double(context, x),
            Output::Blob(bytes) => {
                let n = bytes.len() as u64;
                ffi::result_blob64(context, bytes.as_ptr().cast(), n, ffi::transient());
            }
            Output::Vector(row) => {
                let bytes = vector::to_bytes(&row);
                let n = bytes.len() as u64;
                ffi::result_blob64(context, bytes.as_ptr().cast(), n, ffi::transient());
                ffi::result_subtype(context, SUBTYPE_F32);
            }
        }
    }
}

unsafe fn give_text(context: *mut sqlite3_context, text: &str) {
    let utf8 = code::UTF8 as u8;
    // SAFETY: the text is valid for its length, and SQLite copies it.
    unsafe { ffi::result_text64(context, text.as_ptr().cast(), text.len() as u64, ffi::transient(), utf8) }
}

/// Ends a call with an error.
///
/// # Safety
/// `context` is that of the callback that runs.
pub unsafe fn give_error(context: *mut sqlite3_context, text: &str) {
    let bytes = c_int::try_from(text.len()).unwrap_or(c_int::MAX);
    // SAFETY: the text is valid for its length, and SQLite copies it.
    unsafe { ffi::result_error(context, text.as_ptr().cast(), bytes) }
}
