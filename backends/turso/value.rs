//! SQL values as Turso passes them, and results as it takes them.

use std::borrow::Cow;

use turso_ext::ValueType;

use crate::sql::value::{Kind, Output, Value, real_text};

/// An argument of a function.
#[repr(transparent)]
pub struct RawValue(turso_ext::Value);

/// The arguments of a call.
///
/// # Safety
/// `argv` has `argc` values that stay as they are while the slice is used.
pub unsafe fn arguments<'a>(argc: i32, argv: *const turso_ext::Value) -> &'a [RawValue] {
    match usize::try_from(argc) {
        // SAFETY: RawValue is a transparent name for the values that the engine passes.
        Ok(n) if n > 0 => unsafe { std::slice::from_raw_parts(argv.cast::<RawValue>(), n) },
        _ => &[],
    }
}

impl Value for RawValue {
    fn kind(&self) -> Kind {
        match self.0.value_type() {
            ValueType::Integer => Kind::Integer,
            ValueType::Float => Kind::Real,
            ValueType::Text => Kind::Text,
            ValueType::Blob => Kind::Blob,
            ValueType::Null | ValueType::Error => Kind::Null,
        }
    }

    fn int(&self) -> i64 {
        self.0.to_integer().unwrap_or(0)
    }

    fn real(&self) -> f64 {
        self.0.to_float().unwrap_or(0.0)
    }

    fn text_bytes(&self) -> Option<Cow<'_, [u8]>> {
        match self.kind() {
            Kind::Integer => Some(self.int().to_string().into_bytes().into()),
            Kind::Real => Some(real_text(self.real()).into_bytes().into()),
            // The engine's texts are UTF-8.
            _ => self.0.to_text().map(|text| text.as_bytes().into()),
        }
    }
}

/// A result for the engine. It copies it, and has it freed by `free` of functions.rs.
pub fn give(result: Result<Output, String>) -> turso_ext::Value {
    let text = |text: String| match u32::try_from(text.len()) {
        Ok(_) => turso_ext::Value::from_text(text),
        Err(_) => turso_ext::Value::error_with_message("rembed: a text of more than 4 GiB".into()),
    };
    match result {
        Ok(Output::Null) => turso_ext::Value::null(),
        Ok(Output::Int(n)) => turso_ext::Value::from_integer(n),
        Ok(Output::Real(x)) => turso_ext::Value::from_float(x),
        Ok(Output::Blob(bytes)) => turso_ext::Value::from_blob(bytes),
        Ok(Output::Text(owned)) => text(owned.into_owned()),
        // Not wiped when it is freed: the engine's own copies are not either.
        Ok(Output::Bytes(bytes)) => text(String::from_utf8_lossy(&bytes).into_owned()),
        Ok(Output::Private(private)) => text((*private).clone()),
        Ok(Output::Vector(row, encoding)) => turso_ext::Value::from_blob(encoding.bytes(&row).into_owned()),
        Err(message) => turso_ext::Value::error_with_message(message),
    }
}
