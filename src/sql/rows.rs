//! The rows of `rembed_batch` and `rembed_rows`, for the table of any engine.

use std::sync::Arc;

use crate::base::error::{Error, Result};
use crate::base::words::quoted;
use crate::embed::seen::Seen;
use crate::embed::stream::{Outcome, Row, Stream, Text};
use crate::sql::functions::Arguments;
use crate::sql::input;
use crate::sql::session::Session;
use crate::sql::value::Output;

/// Where rows come from: each a key and a text.
pub type Source = Box<dyn Iterator<Item = Result<(Output, Text)>>>;

/// The column `error`, the last of `key, text, embedding, error`.
pub const ERROR_COLUMN: usize = 3;

/// How a statement reads rows.
#[derive(Debug, Default)]
pub struct Reading {
    /// Whether a row that fails has its message in the column `error`; otherwise it ends the statement.
    pub isolate: bool,
    /// Whether it is known to take every row.
    pub whole: bool,
    /// What the statement has asked for already.
    pub seen: Arc<Seen>,
}

/// A cursor over rows, which are embedded as it moves on.
pub struct Rows {
    stream: Stream<Output, Source>,
    current: Option<Row<Output, Outcome>>,
    isolate: bool,
    json: Option<Arc<str>>,
}

impl Rows {
    /// A cursor at the first row of `source`, which has `total` rows where that is known.
    ///
    /// # Errors
    /// As [`Session::stream`] and [`Rows::advance`].
    pub fn new(
        session: &Session,
        asked: &Arguments<'_>,
        source: Source,
        total: Option<u64>,
        reading: &Reading,
    ) -> Result<Rows> {
        let Reading { isolate, whole, ref seen } = *reading;
        let stream = session.stream(&asked.client, asked.input_type(), source, isolate, total)?;
        let stream = stream.remembering(seen);
        let stream = if whole { stream.whole() } else { stream };
        let mut rows = Rows { stream, current: None, isolate, json: None };
        rows.advance()?;
        Ok(rows)
    }

    /// A cursor over the texts of a JSON value. NULL has no rows, as in `json_each(NULL)`.
    ///
    /// # Errors
    /// As [`Rows::new`]; JSON that holds no texts.
    pub fn of_json(session: &Session, asked: &Arguments<'_>, reading: &Reading) -> Result<Rows> {
        let json: Option<Arc<str>> = asked.input.as_deref().map(Arc::from);
        let items = input::parse(json.clone().unwrap_or_else(|| "[]".into()))?;
        let total = Some(items.len() as u64);
        let source = items.map(|(key, text)| Ok((Output::from(key), text)));
        Ok(Rows { json, ..Rows::new(session, asked, Box::new(source), total, reading)? })
    }

    /// The JSON value that the texts are of, if they are.
    pub fn json(&self) -> Option<&str> {
        self.json.as_deref()
    }

    /// Goes to the next row.
    ///
    /// # Errors
    /// A row that failed, unless rows are isolated; a source that failed; an interrupt.
    pub fn advance(&mut self) -> Result<()> {
        self.current = self.stream.next_row()?;
        match &self.current {
            Some(Row { value: Err(Error::Interrupted), .. }) => Err(Error::Interrupted),
            Some(Row { key, value: Err(e), .. }) if !self.isolate => Err(Error::invalid(format!(
                "{e} (at the row with the key {}; a query that reads the column error gets every other row)",
                shown(key)
            ))),
            _ => Ok(()),
        }
    }

    /// Whether there is no row any more.
    pub fn is_done(&self) -> bool {
        self.current.is_none()
    }

    /// A column of the row: key, text, embedding, error.
    pub fn column(&self, column: usize) -> Output {
        let Some(row) = &self.current else { return Output::Null };
        match (column, &row.value) {
            (0, _) => row.key.clone(),
            (1, _) => row.text.as_deref().map_or(Output::Null, |text| Output::Text(text.to_owned().into())),
            (2, Ok(Some(vector))) => Output::Vector(vector.clone(), self.stream.call().client().encoding()),
            (ERROR_COLUMN, Err(e)) => Output::Text(e.to_string().into()),
            _ => Output::Null,
        }
    }
}

/// A key in an error.
fn shown(key: &Output) -> String {
    match key {
        Output::Int(n) => n.to_string(),
        Output::Real(x) => x.to_string(),
        Output::Text(text) => quoted(text),
        Output::Null => "NULL".into(),
        _ => "BLOB".into(),
    }
}

/// The error of a call without a client or without texts.
pub fn usage(function: &str) -> Error {
    let example = match function {
        "rembed_rows" => "'SELECT id, body FROM docs'",
        _ => "'[\"text\", …]'",
    };
    Error::invalid(format!("{function} wants a client and what to embed: {function}('client', {example})"))
}
