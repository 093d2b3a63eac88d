//! SQL values as Rust sees them, and results as SQLite takes them.

use std::borrow::Cow;
use std::ffi::c_int;

use zeroize::Zeroizing;

use super::ffi::{self, code, sqlite3_context, sqlite3_value};
use crate::cache::Vector;
use crate::vector;

/// The subtype by which sqlite-vec knows a vector of f32.
const SUBTYPE_F32: u32 = 223;

/// An argument of a function, or a column of a virtual table.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Value(pub(super) *mut sqlite3_value);

/// What an SQL function answers.
#[derive(Debug, Clone)]
pub enum Output {
    /// NULL.
    Null,
    /// INTEGER.
    Int(i64),
    /// REAL.
    Real(f64),
    /// BLOB.
    Blob(Vec<u8>),
    /// TEXT.
    Text(Cow<'static, str>),
    /// TEXT that may hold a key: our copy is wiped.
    Private(Zeroizing<String>),
    /// BLOB of little-endian f32, marked as a vector.
    Vector(Vector),
}

/// The arguments of a call.
///
/// # Safety
/// `argv` has `argc` values that stay as they are while the slice is used.
pub unsafe fn arguments<'a>(argc: c_int, argv: *mut *mut sqlite3_value) -> &'a [Value] {
    match usize::try_from(argc) {
        // SAFETY: Value is a transparent name for the pointers that SQLite passes.
        Ok(n) if n > 0 => unsafe { std::slice::from_raw_parts(argv.cast::<Value>(), n) },
        _ => &[],
    }
}

impl Value {
    /// Its datatype, one of [`code`]'s.
    pub fn kind(&self) -> i32 {
        // SAFETY: a Value is made of what SQLite passes to a callback, and used within it.
        unsafe { ffi::value_type(self.0) }
    }

    /// Whether it is NULL.
    pub fn is_null(&self) -> bool {
        self.kind() == code::NULL
    }

    /// As an integer.
    pub fn int(&self) -> i64 {
        // SAFETY: as in kind().
        unsafe { ffi::value_int64(self.0) }
    }

    /// As a real number.
    pub fn real(&self) -> f64 {
        // SAFETY: as in kind().
        unsafe { ffi::value_double(self.0) }
    }

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

    /// Text, a number as its text, NULL as `None`.
    ///
    /// # Errors
    /// A BLOB, or text that is not UTF-8; `what` names the value.
    pub fn text(&self, what: &str) -> Result<Option<&str>, String> {
        match self.kind() {
            code::NULL => return Ok(None),
            code::BLOB => {
                return Err(format!("{what} is a BLOB, not text: CAST({what} AS TEXT) if it holds text"));
            }
            _ => {}
        }
        // SAFETY: as in kind(). value_text first, as value_bytes then counts the bytes of the text
        // (https://www.sqlite.org/c3ref/value_blob.html).
        let bytes = unsafe {
            let text = ffi::value_text(self.0);
            let n = ffi::value_bytes(self.0);
            if text.is_null() {
                return Err(format!("{what}: out of memory"));
            }
            std::slice::from_raw_parts(text, usize::try_from(n).unwrap_or(0))
        };
        std::str::from_utf8(bytes).map(Some).map_err(|_| format!("{what} is not valid UTF-8"))
    }
}

impl Output {
    /// Gives the result to SQLite.
    ///
    /// # Safety
    /// `context` is that of the callback that runs.
    pub unsafe fn give(self, context: *mut sqlite3_context) {
        // SAFETY: the pointers are valid for the length given, and SQLite copies (SQLITE_TRANSIENT).
        unsafe {
            match self {
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
