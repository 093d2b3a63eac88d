//! SQL values as SQLite passes them, and results as it takes them.

use std::borrow::Cow;
use std::ffi::{c_char, c_int};
use std::marker::PhantomData;

use super::ffi::{self, code, sqlite3_context, sqlite3_stmt, sqlite3_value};
use crate::base::vector::Encoding;
use crate::sql::value::{Kind, Output, Value};

/// The subtype by which sqlite-vec knows a vector (sqlite-vec.c, `enum VectorElementType`).
fn subtype(encoding: Encoding) -> u32 {
    match encoding {
        Encoding::Float32 => 223,
        Encoding::Bit => 224,
        Encoding::Int8 => 225,
    }
}

/// An argument of a call, or a column of a row. It is valid while SQLite leaves the value alone. It cannot be copied, and what
/// it gives borrows from it, so nothing of it can be kept longer.
#[derive(Debug)]
#[repr(transparent)]
pub struct RawValue<'a>(*mut sqlite3_value, PhantomData<&'a sqlite3_value>);

/// The arguments of a call. The slice ends with the call. `'v` is free: functions and tables name the type of their arguments
/// once, for all calls.
///
/// # Safety
/// `argv` has `argc` values that stay as they are while the slice is used.
pub unsafe fn arguments<'a, 'v: 'a>(argc: c_int, argv: *mut *mut sqlite3_value) -> &'a [RawValue<'v>] {
    match usize::try_from(argc) {
        // SAFETY: RawValue is a transparent name for the pointers that SQLite passes.
        Ok(n) if n > 0 => unsafe { std::slice::from_raw_parts(argv.cast::<RawValue<'v>>(), n) },
        _ => &[],
    }
}

impl Value for RawValue<'_> {
    fn kind(&self) -> Kind {
        // SAFETY: whoever made the RawValue vouched for its lifetime.
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
        // SAFETY: as in kind(). value_bytes comes after value_text, and before value_blob: either way it counts UTF-8
        // (https://www.sqlite.org/c3ref/column_blob.html).
        unsafe {
            let bytes = || usize::try_from(ffi::value_bytes(self.0)).unwrap_or(0);
            // value_text copies what does not end in a NUL, as a bound text does not. Without a byte it is empty, or there
            // was no memory to make UTF-8 of it.
            let (text, n) = match self.kind() == Kind::Text && bytes() > 0 {
                true => (ffi::value_blob(self.0).cast(), bytes()),
                false => (ffi::value_text(self.0), bytes()),
            };
            (!text.is_null()).then(|| std::slice::from_raw_parts(text, n).into())
        }
    }

    fn is_unchanged(&self) -> bool {
        // SAFETY: as in kind(). SQLite answers for the values of xUpdate, and has 0 for any other.
        unsafe { ffi::value_nochange(self.0) != 0 }
    }
}

impl<'a> RawValue<'a> {
    /// A column of the row that `stmt` is at.
    ///
    /// # Safety
    /// The statement stays at the row for `'a`.
    pub unsafe fn of_column(stmt: *mut sqlite3_stmt, column: c_int) -> RawValue<'a> {
        // SAFETY: the same contract.
        RawValue(unsafe { ffi::column_value(stmt, column) }, PhantomData)
    }

    /// Calls `each` with the values of a list, where a plan has taken it whole.
    ///
    /// # Errors
    /// No list, no memory.
    pub fn each_of_list(&self, mut each: impl FnMut(&RawValue<'_>)) -> Result<(), String> {
        // SAFETY: as in kind(). A value is used before the next one is asked for.
        let rc = unsafe { ffi::vtab_in_each(self.0, |value| each(&RawValue(value, PhantomData))) };
        if rc == code::OK { Ok(()) } else { Err("rembed: a list of values cannot be read".into()) }
    }

    /// The bytes of a BLOB; `None` when there is no memory for them.
    pub fn bytes(&self) -> Option<&[u8]> {
        // SAFETY: as in kind(). A BLOB without bytes is NULL, which makes no slice.
        unsafe {
            let blob = ffi::value_blob(self.0);
            let n = usize::try_from(ffi::value_bytes(self.0)).unwrap_or(0);
            match blob.is_null() {
                true => (n == 0).then_some(&[]),
                false => Some(std::slice::from_raw_parts(blob.cast(), n)),
            }
        }
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
            Output::Text(text) => give_text(context, text.as_bytes()),
            Output::Private(text) => give_text(context, text.as_bytes()),
            Output::Bytes(text) => give_text(context, &text),
            Output::Real(x) => ffi::result_double(context, x),
            Output::Blob(bytes) => {
                let n = bytes.len() as u64;
                ffi::result_blob64(context, bytes.as_ptr().cast(), n, ffi::transient());
            }
            Output::Vector(row, encoding) => {
                let bytes = encoding.bytes(&row);
                let n = bytes.len() as u64;
                ffi::result_blob64(context, bytes.as_ptr().cast(), n, ffi::transient());
                ffi::result_subtype(context, subtype(encoding));
            }
        }
    }
}

unsafe fn give_text(context: *mut sqlite3_context, text: &[u8]) {
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

/// A copy of `text` in memory of `allocate`, which SQLite frees; NULL when there is none.
///
/// # Safety
/// `allocate` gives so many bytes, or NULL.
pub unsafe fn c_string(allocate: impl FnOnce(u64) -> *mut u8, text: &str) -> *mut c_char {
    let text = text.split('\0').next().unwrap_or_default();
    let copy = allocate(text.len() as u64 + 1);
    if !copy.is_null() {
        // SAFETY: the memory has room for the text and its terminator.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), copy, text.len());
            *copy.add(text.len()) = 0;
        }
    }
    copy.cast()
}
