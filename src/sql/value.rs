//! SQL values as every backend shows them to the functions, and results as they give them back.

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::base::vector::Encoding;
use crate::base::words::quoted;
use crate::embed::cache::Vector;

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

    /// Whether an UPDATE leaves the column as it is, where the engine can tell. Such a value is NULL to all other questions.
    fn is_unchanged(&self) -> bool {
        false
    }

    /// How many of something, 0 or more; NULL as `None`. A real number may be whole: some hosts bind no other.
    ///
    /// # Errors
    /// What it is instead.
    fn count(&self) -> Result<Option<usize>, String> {
        /// Up to here a real number is one whole number.
        const WHOLE: f64 = (1_u64 << 53) as f64;
        match self.kind() {
            Kind::Null => Ok(None),
            Kind::Integer => usize::try_from(self.int()).map(Some).map_err(|_| self.int().to_string()),
            Kind::Real if self.real().fract() == 0.0 && (0.0..=WHOLE).contains(&self.real()) => {
                Ok(Some(self.real() as usize))
            }
            Kind::Real => Err(self.real().to_string()),
            Kind::Text => {
                let text = self.text("it").map_err(|_| "not valid UTF-8")?.unwrap_or_default();
                text.trim().parse().map(Some).map_err(|_| quoted(&text))
            }
            Kind::Blob => Err("a BLOB".into()),
        }
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
    /// TEXT that is not UTF-8, as it came from the engine.
    Bytes(Vec<u8>),
    /// TEXT that may hold a key: our copy is wiped.
    Private(Zeroizing<String>),
    /// BLOB of a vector in its encoding, marked as one where the engine can.
    Vector(Vector, Encoding),
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

/// A real number as SQL writes it (<https://www.sqlite.org/printf.html>, `%!.15g`), in which Rust differs: for engines
/// that pass the number alone.
pub fn real_text(x: f64) -> String {
    if !x.is_finite() {
        // No engine has a NaN among its values.
        return if x < 0.0 { "-Inf".into() } else { "Inf".into() };
    }
    // There is no minus zero in SQL.
    let x = x + 0.0;
    let scientific = format!("{x:.14e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let short = |number: &str| {
        let number = number.trim_end_matches('0');
        if number.ends_with('.') { format!("{number}0") } else { number.to_owned() }
    };
    match exponent {
        // One decimal at least: without a point, the zeros of the number itself would be cut.
        -4..=14 => short(&format!("{x:.0$}", (14 - exponent).max(1) as usize)),
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", short(digits), exponent.abs())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_numbers_read_as_in_sql() {
        // As Turso's own CAST(x AS TEXT) gave them.
        for (x, sql) in [
            (1.0, "1.0"),
            (-1.25e100, "-1.25e+100"),
            (123456789012345.0, "123456789012345.0"),
            (-0.0, "0.0"),
            (0.1 + 0.2, "0.3"),
            (1e14, "100000000000000.0"),
            (1e15, "1.0e+15"),
            (1e-4, "0.0001"),
            (1e-5, "1.0e-05"),
            (-123_456_789.123_456_79, "-123456789.123457"),
            (999999999999999.9, "1.0e+15"),
            (99999999999999.95, "100000000000000.0"),
            (1e100, "1.0e+100"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(real_text(x), sql);
        }
    }
}
