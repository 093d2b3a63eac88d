//! `rembed_chunks_json(text [, size [, overlap]])`: the chunks of a text, for engines without table functions too.

use serde::Serialize;

use crate::base::error::{Error, Result};
use crate::index::chunk::{Cut, DEFAULT_SIZE};
use crate::sql::value::{Output, Value};

/// The longest text that SQLite takes, as it is built (<https://www.sqlite.org/limits.html>). With an overlap that is
/// nearly the size, a small text has very many chunks.
const LONGEST: usize = 1_000_000_000;

#[derive(Serialize)]
struct Row<'a> {
    seq: usize,
    start: usize,
    end: usize,
    chunk: &'a str,
}

/// A JSON array of `{"seq": …, "start": …, "end": …, "chunk": …}`; NULL for NULL.
///
/// # Errors
/// A text that is a BLOB or not UTF-8; a size or overlap that is no number, negative, or does not go with the other.
pub fn chunks_json<V: Value>(args: &[V]) -> Result<Output> {
    let cut = cut(args.get(1), args.get(2))?;
    match args[0].text("text").map_err(Error::Invalid)? {
        Some(text) => Ok(Output::Text(array(&text, cut, LONGEST)?.into())),
        None => Ok(Output::Null),
    }
}

/// How a text is cut, by arguments that may be left out or NULL.
///
/// # Errors
/// As [`chunks_json`].
pub fn cut<V: Value>(size: Option<&V>, overlap: Option<&V>) -> Result<Cut> {
    let size = characters(size, "size")?.unwrap_or(DEFAULT_SIZE);
    let overlap = characters(overlap, "overlap")?.unwrap_or(Cut::default_overlap(size));
    Cut::new(size, overlap)
}

fn characters<V: Value>(value: Option<&V>, what: &str) -> Result<Option<usize>> {
    let Some(value) = value else { return Ok(None) };
    value.count().map_err(|got| {
        Error::invalid(format!(
            "the chunk {what} is {got}: it must be a whole number of characters, 0 or more"
        ))
    })
}

fn array(text: &str, cut: Cut, longest: usize) -> Result<String> {
    let mut json = String::from("[");
    for chunk in cut.chunks(text) {
        let row = Row { seq: chunk.seq, start: chunk.start, end: chunk.end, chunk: chunk.text };
        let row = serde_json::to_string(&row).map_err(|e| Error::invalid(e.to_string()))?;
        if json.len() + row.len() + 2 > longest {
            return Err(Error::invalid(format!(
                "the chunks of this text are longer than {longest} bytes: take a larger chunk size or a smaller overlap"
            )));
        }
        if chunk.seq > 0 {
            json.push(',');
        }
        json.push_str(&row);
    }
    json.push(']');
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_an_array_of_objects() {
        let cut = Cut::new(4, 0).unwrap();
        assert_eq!(
            array("a\"b é", cut, 99).unwrap(),
            r#"[{"seq":0,"start":0,"end":4,"chunk":"a\"b "},{"seq":1,"start":4,"end":5,"chunk":"é"}]"#
        );
        assert_eq!(array("", cut, 99).unwrap(), "[]");
    }

    #[test]
    fn more_than_an_engine_takes_is_an_error_before_it_is_built() {
        let e = array(&"x".repeat(50), Cut::new(10, 9).unwrap(), 500).unwrap_err().to_string();
        assert!(e.contains("longer than 500 bytes") && e.contains("smaller overlap"), "{e}");
    }
}
