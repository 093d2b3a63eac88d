//! Values as drivers send them, and as `.slt` files show them.

use serde_json::Value;
use sqllogictest::ColumnType;

/// What a column of a result holds, as in `query TIRB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `T`
    Text,
    /// `I`
    Integer,
    /// `R`
    Real,
    /// `B`
    Blob,
    /// `?`: NULL in every row; in a file: whatever comes.
    Any,
    /// `M`: different types in different rows.
    Mixed,
}

const CHARACTERS: [(Kind, char); 6] = [
    (Kind::Text, 'T'),
    (Kind::Integer, 'I'),
    (Kind::Real, 'R'),
    (Kind::Blob, 'B'),
    (Kind::Any, '?'),
    (Kind::Mixed, 'M'),
];

impl ColumnType for Kind {
    fn from_char(value: char) -> Option<Kind> {
        CHARACTERS.iter().find(|(_, c)| *c == value).map(|(kind, _)| *kind)
    }

    fn to_char(&self) -> char {
        CHARACTERS.iter().find(|(kind, _)| kind == self).map_or('?', |(_, c)| *c)
    }
}

/// Rows as sqllogictest takes them.
#[derive(Debug, Default)]
pub struct Rows {
    /// One a column; none when there are no rows, since then nobody knows.
    pub types: Vec<Kind>,
    /// The values, shown.
    pub rows: Vec<Vec<String>>,
}

impl Rows {
    /// Reads the `rows` of a driver's answer.
    ///
    /// # Errors
    /// What is not in the protocol.
    pub fn read(rows: &Value) -> Result<Rows, String> {
        let wrong = || format!("not an array of rows: {rows}");
        let mut read = Rows::default();
        for row in rows.as_array().ok_or_else(wrong)? {
            let row = row.as_array().ok_or_else(wrong)?;
            let mut shown = Vec::new();
            for (i, value) in row.iter().enumerate() {
                let (kind, text) = show(value)?;
                match read.types.get_mut(i) {
                    None => read.types.push(kind),
                    Some(known) if *known == Kind::Any => *known = kind,
                    Some(known) if kind != Kind::Any && kind != *known => *known = Kind::Mixed,
                    Some(_) => {}
                }
                shown.push(text);
            }
            if row.len() > 1 {
                // Columns are set apart by a space: one within a text must not look like that.
                shown.iter_mut().filter(|text| text.contains(' ') && !text.starts_with('\'')).for_each(quote);
            }
            read.rows.push(shown);
        }
        Ok(read)
    }
}

fn show(value: &Value) -> Result<(Kind, String), String> {
    let wrong = || Err(format!("not a value of the protocol: {value}"));
    Ok(match value {
        Value::Null => (Kind::Any, "NULL".into()),
        Value::String(text) => (Kind::Text, show_text(text)),
        Value::Number(n) if n.is_i64() => (Kind::Integer, n.to_string()),
        Value::Object(one) if one.len() == 1 => match one.iter().next() {
            Some((key, Value::String(hex))) if key == "blob" && is_hex(hex) => {
                (Kind::Blob, format!("x'{hex}'"))
            }
            Some((key, Value::String(hex))) if key == "text" && is_hex(hex) => {
                (Kind::Text, format!("no UTF-8: x'{hex}'"))
            }
            // The shortest that reads back as the same number.
            Some((key, Value::Number(n))) if key == "real" => {
                (Kind::Real, format!("{:?}", n.as_f64().unwrap_or(f64::NAN)))
            }
            _ => return wrong(),
        },
        _ => return wrong(),
    })
}

fn is_hex(text: &str) -> bool {
    text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Text as it is, unless it could be taken for something else: then in quotes.
fn show_text(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        match c {
            '\\' => shown.push_str("\\\\"),
            '\n' => shown.push_str("\\n"),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    if shown.is_empty() || shown == "NULL" || shown.starts_with('\'') || shown.trim() != shown {
        quote(&mut shown);
    }
    shown
}

fn quote(text: &mut String) {
    *text = format!("'{}'", text.replace('\'', "''"));
}

/// That the rows are the expected ones to the letter: sqllogictest's own validator folds white space.
pub fn same_rows(_: sqllogictest::Normalizer, actual: &[Vec<String>], expected: &[String]) -> bool {
    actual.len() == expected.len() && actual.iter().zip(expected).all(|(row, line)| row.join(" ") == *line)
}

/// That columns have the types of `query …`. NULL is of any type, and so is a column without rows.
#[allow(clippy::ptr_arg)] // sqllogictest's type
pub fn same_types(actual: &Vec<Kind>, expected: &Vec<Kind>) -> bool {
    let same = |(actual, expected): (&Kind, &Kind)| {
        actual == expected || *actual == Kind::Any || *expected == Kind::Any
    };
    actual.is_empty() || (actual.len() == expected.len() && actual.iter().zip(expected).all(same))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(row: Value) -> (String, String) {
        let rows = Rows::read(&json!([row])).unwrap();
        (rows.types.iter().map(ColumnType::to_char).collect(), rows.rows[0].join(" "))
    }

    #[test]
    fn values_that_differ_look_different() {
        for (row, types, line) in [
            (json!([1, "a", {"blob": "00ff"}, {"real": 1.5}, null]), "ITBR?", "1 a x'00ff' 1.5 NULL"),
            (json!([{"real": 1.0}]), "R", "1.0"),
            (json!(["1"]), "T", "1"),
            (json!(["NULL"]), "T", "'NULL'"),
            (json!([""]), "T", "''"),
            (json!([" a"]), "T", "' a'"),
            (json!(["'a'"]), "T", "'''a'''"),
            (json!(["a b"]), "T", "a b"),
            (json!(["a b", "c"]), "TT", "'a b' c"),
            (json!(["a", "b c"]), "TT", "a 'b c'"),
            (json!(["a\nb\\n"]), "T", "a\\nb\\\\n"),
            (json!([{"text": "ff"}]), "T", "no UTF-8: x'ff'"),
        ] {
            assert_eq!(shown(row), (types.into(), line.into()));
        }
    }

    #[test]
    fn what_is_not_in_the_protocol_is_refused() {
        for value in
            [json!(1.5), json!(true), json!([]), json!({"blob": "0"}), json!({"blob": "FF"}), json!({})]
        {
            assert!(Rows::read(&json!([[value]])).is_err(), "{value}");
        }
        assert!(Rows::read(&json!(null)).is_err() && Rows::read(&json!([1])).is_err());
    }

    #[test]
    fn types_are_compared_but_for_null() {
        use Kind::{Any, Integer, Mixed, Text};
        let types = |rows: Value| Rows::read(&rows).unwrap().types;
        assert_eq!(types(json!([[null], [1]])), [Integer]);
        assert_eq!(types(json!([[1], [null], ["a"]])), [Mixed]);
        assert!(same_types(&vec![Integer], &vec![Integer]) && same_types(&vec![Any], &vec![Integer]));
        assert!(same_types(&vec![], &vec![Text, Text]) && same_types(&vec![Text], &vec![Any]));
        assert!(!same_types(&vec![Integer], &vec![Text]) && !same_types(&vec![Text], &vec![Text, Text]));
    }
}
