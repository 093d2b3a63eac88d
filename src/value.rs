//! SQL values as every backend shows them to the functions, and results as they give them back.

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::cache::Vector;

/// What a value is (<https://www.sqlite.org/datatype3.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Null,
    Integer,
    Real,
    Text,
    Blob,
}

/// An argument of a function, or a column of a table, as an engine passes it.
pub trait Value {
    /// Its datatype.
    fn kind(&self) -> Kind;

    /// As an integer, where it is one.
    fn int(&self) -> i64;

    /// As a real number, where it is one.
    fn real(&self) -> f64;

    /// The bytes of a text, or of a number's text; `None` when there is no memory for them.
    fn text_bytes(&self) -> Option<Cow<'_, [u8]>>;

    /// Whether it is NULL.
    fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    /// Text, a number as its text, NULL as `None`.
    ///
    /// # Errors
    /// A BLOB, or text that is not UTF-8; `what` names the value.
    fn text(&self, what: &str) -> Result<Option<Cow<'_, str>>, String> {
        match self.kind() {
            Kind::Null => return Ok(None),
            Kind::Blob => {
                return Err(format!("{what} is a BLOB, not text: CAST({what} AS TEXT) if it holds text"));
            }
            Kind::Integer | Kind::Real | Kind::Text => {}
        }
        let invalid = || format!("{what} is not valid UTF-8");
        match self.text_bytes() {
            Some(Cow::Borrowed(bytes)) => {
                std::str::from_utf8(bytes).map(|text| Some(text.into())).map_err(|_| invalid())
            }
            Some(Cow::Owned(bytes)) => {
                String::from_utf8(bytes).map(|text| Some(text.into())).map_err(|_| invalid())
            }
            None => Err(format!("{what}: out of memory")),
        }
    }
}

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
    /// BLOB of little-endian f32, marked as a vector where the engine can.
    Vector(Vector),
}

impl From<serde_json::Value> for Output {
    /// A JSON value as SQLite's own JSON functions give it.
    fn from(json: serde_json::Value) -> Output {
        use serde_json::Value;
        match json {
            Value::Null => Output::Null,
            Value::Bool(b) => Output::Int(b.into()),
            Value::Number(n) => match (n.as_i64(), n.as_f64()) {
                (Some(n), _) => Output::Int(n),
                (None, Some(x)) => Output::Real(x),
                (None, None) => Output::Null,
            },
            Value::String(text) => Output::Text(text.into()),
            Value::Array(_) | Value::Object(_) => Output::Text(json.to_string().into()),
        }
    }
}
