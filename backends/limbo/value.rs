//! SQL values as Limbo passes them, and results as it takes and frees them.
//!
//! [`limbo_ext::Value`] has private fields, takes any text for UTF-8 unchecked, and makes of an empty text a pointer to no
//! allocation, which the host then frees. So its layout, which is that of 0.0.22, is repeated here.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::c_int;

use limbo_ext::ResultCode;

use super::crossing;
use crate::sql::value::{Kind, Output, Value, real_text};

const NULL: c_int = 0;
const INTEGER: c_int = 1;
const FLOAT: c_int = 2;
const TEXT: c_int = 3;
const BLOB: c_int = 4;
const ERROR: c_int = 5;

/// An argument or a result.
#[repr(C)]
pub struct RawValue {
    kind: c_int,
    data: Data,
}

#[repr(C)]
union Data {
    int: i64,
    real: f64,
    text: *mut Text,
    blob: *mut Blob,
    error: *mut Failure,
}

#[repr(C)]
struct Text {
    subtype: c_int,
    bytes: *mut u8,
    len: u32,
}

#[repr(C)]
struct Blob {
    bytes: *mut u8,
    len: u64,
}

#[repr(C)]
struct Failure {
    code: ResultCode,
    message: *mut Text,
}

const _: () = assert!(size_of::<RawValue>() == size_of::<limbo_ext::Value>());
const _: () = assert!(align_of::<RawValue>() == align_of::<limbo_ext::Value>());

thread_local! {
    /// The bytes of this thread's last error. The host copies them as soon as a callback returns and frees what
    /// points to them, but never the bytes.
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The arguments of a callback.
///
/// # Safety
/// `argv` has `argc` values that stay as they are while the slice is used.
pub unsafe fn arguments<'a>(argc: i32, argv: *const limbo_ext::Value) -> &'a [RawValue] {
    match usize::try_from(argc) {
        // SAFETY: RawValue is laid out as the values are.
        Ok(n) if n > 0 && !argv.is_null() => unsafe { std::slice::from_raw_parts(argv.cast(), n) },
        _ => &[],
    }
}

/// Frees the arguments of a scalar function, which the host makes for the call and forgets.
///
/// # Safety
/// `arguments` are those of a scalar function's call, and nobody uses them any more.
pub unsafe fn free(arguments: &[RawValue]) {
    // SAFETY: the host boxed each value and its bytes.
    unsafe {
        for value in arguments {
            match value.kind {
                TEXT if !value.data.text.is_null() => {
                    let text = crossing::unboxed(value.data.text);
                    crossing::free_bytes(text.bytes, text.len as usize);
                }
                BLOB if !value.data.blob.is_null() => {
                    let blob = crossing::unboxed(value.data.blob);
                    crossing::free_bytes(blob.bytes, blob.len as usize);
                }
                _ => {}
            }
        }
    }
}

impl Value for RawValue {
    fn kind(&self) -> Kind {
        match self.kind {
            INTEGER => Kind::Integer,
            FLOAT => Kind::Real,
            TEXT => Kind::Text,
            BLOB => Kind::Blob,
            _ => Kind::Null,
        }
    }

    fn int(&self) -> i64 {
        // SAFETY: the kind says which field of the union is set.
        if self.kind == INTEGER { unsafe { self.data.int } } else { 0 }
    }

    fn real(&self) -> f64 {
        // SAFETY: as in int().
        if self.kind == FLOAT { unsafe { self.data.real } } else { 0.0 }
    }

    fn text_bytes(&self) -> Option<Cow<'_, [u8]>> {
        match self.kind {
            INTEGER => Some(self.int().to_string().into_bytes().into()),
            FLOAT => Some(real_text(self.real()).into_bytes().into()),
            // SAFETY: as in int(); the text lives as long as the value.
            TEXT => match unsafe { self.data.text.as_ref() } {
                // SAFETY: the bytes are the text's, and are not there when it has none.
                Some(text) if !text.bytes.is_null() && text.len > 0 => {
                    Some(unsafe { std::slice::from_raw_parts(text.bytes, text.len as usize) }.into())
                }
                _ => Some(Cow::Borrowed(&[])),
            },
            _ => None,
        }
    }
}

/// A result for the host, which frees it.
pub fn give(output: Output) -> limbo_ext::Value {
    match output {
        Output::Null => raw(NULL, Data { int: 0 }),
        Output::Int(n) => raw(INTEGER, Data { int: n }),
        Output::Real(x) => raw(FLOAT, Data { real: x }),
        Output::Text(text) => give_text(&text),
        Output::Bytes(text) => give_text(&String::from_utf8_lossy(&text)),
        Output::Private(text) => give_text(&text),
        Output::Blob(bytes) => give_blob(&bytes),
        Output::Vector(row, encoding) => give_blob(&encoding.bytes(&row)),
    }
}

/// An error for the host. The user sees its text.
pub fn give_error(text: String) -> limbo_ext::Value {
    MESSAGE.with_borrow_mut(|message| {
        *message = text;
        let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let text = crossing::boxed(Text { subtype: 0, bytes: message.as_mut_ptr(), len });
        let failure = Failure { code: ResultCode::CustomError, message: text };
        raw(ERROR, Data { error: crossing::boxed(failure) })
    })
}

fn give_text(text: &str) -> limbo_ext::Value {
    // The host counts 4 bytes of length.
    let Ok(len) = u32::try_from(text.len()) else {
        return give_error("rembed: a text of more than 4 GiB".into());
    };
    let text = Text { subtype: 0, bytes: crossing::bytes(text.as_bytes()), len };
    raw(TEXT, Data { text: crossing::boxed(text) })
}

fn give_blob(bytes: &[u8]) -> limbo_ext::Value {
    let blob = Blob { bytes: crossing::bytes(bytes), len: bytes.len() as u64 };
    raw(BLOB, Data { blob: crossing::boxed(blob) })
}

fn raw(kind: c_int, data: Data) -> limbo_ext::Value {
    // SAFETY: the layouts are the same, and the kind goes with the field that is set.
    unsafe { std::mem::transmute(RawValue { kind, data }) }
}
