//! SQL in one line each, and errors with code and text.

use rusqlite::types::FromSql;
use rusqlite::{Connection, ErrorCode, Params};

/// An error as SQLite gives it to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The primary result code.
    pub code: ErrorCode,
    /// `sqlite3_errmsg`.
    pub text: String,
}

/// Takes an SQLite error apart; any other fails the test.
pub fn failure(error: rusqlite::Error) -> Failure {
    let (error, text) = match error {
        rusqlite::Error::SqliteFailure(error, text) => (error, text.unwrap_or_default()),
        rusqlite::Error::SqlInputError { error, msg, .. } => (error, msg),
        other => panic!("not an error of SQLite: {other}"),
    };
    Failure { code: error.code, text }
}

/// Shorthand for tests, which want a value or an error at once.
pub trait Sql {
    /// The first column of the first row.
    fn get<T: FromSql>(&self, sql: &str, params: impl Params) -> T;
    /// The first column of every row.
    fn all<T: FromSql>(&self, sql: &str, params: impl Params) -> Vec<T>;
    /// Runs a statement to its end, whatever its rows.
    fn run(&self, sql: &str, params: impl Params);
    /// The same for a statement that may fail.
    fn try_run(&self, sql: &str, params: impl Params) -> Result<(), Failure>;
    /// Runs a statement that must fail.
    fn fails(&self, sql: &str, params: impl Params) -> Failure;
    /// The vector in the first column of the first row.
    fn vector(&self, sql: &str, params: impl Params) -> Vec<f32>;
    /// The vector of a text by the client `c`.
    fn embed(&self, text: &str) -> Vec<f32>;
    /// The text of the error of a text by the client `c`.
    fn embed_error(&self, text: &str) -> String;
}

impl Sql for Connection {
    fn get<T: FromSql>(&self, sql: &str, params: impl Params) -> T {
        self.query_row(sql, params, |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    fn all<T: FromSql>(&self, sql: &str, params: impl Params) -> Vec<T> {
        let mut statement = self.prepare(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let rows = statement.query_map(params, |row| row.get(0)).unwrap();
        rows.map(|row| row.unwrap_or_else(|e| panic!("{sql}: {e}"))).collect()
    }

    fn run(&self, sql: &str, params: impl Params) {
        self.try_run(sql, params).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }

    fn try_run(&self, sql: &str, params: impl Params) -> Result<(), Failure> {
        let work = || {
            let mut statement = self.prepare(sql)?;
            let mut rows = statement.query(params)?;
            while rows.next()?.is_some() {}
            Ok(())
        };
        work().map_err(failure)
    }

    fn fails(&self, sql: &str, params: impl Params) -> Failure {
        self.try_run(sql, params).expect_err(sql)
    }

    fn vector(&self, sql: &str, params: impl Params) -> Vec<f32> {
        floats(&self.get::<Vec<u8>>(sql, params))
    }

    fn embed(&self, text: &str) -> Vec<f32> {
        self.vector("SELECT rembed('c', ?)", [text])
    }

    fn embed_error(&self, text: &str) -> String {
        error(self.fails("SELECT rembed('c', ?)", [text]))
    }
}

/// The text of a plain `SQLITE_ERROR`; any other code fails the test.
pub fn error(failure: Failure) -> String {
    assert_eq!(failure.code, ErrorCode::Unknown, "{}", failure.text);
    failure.text
}

/// The text of an `SQLITE_CONSTRAINT`.
pub fn constraint(failure: Failure) -> String {
    assert_eq!(failure.code, ErrorCode::ConstraintViolation, "{}", failure.text);
    failure.text
}

/// Whether it is `SQLITE_INTERRUPT`.
pub fn interrupted(failure: &Failure) -> bool {
    failure.code == ErrorCode::OperationInterrupted
}

/// The numbers of a vector, which is little-endian f32.
pub fn floats(blob: &[u8]) -> Vec<f32> {
    assert_eq!(blob.len() % 4, 0, "{} bytes", blob.len());
    blob.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// The Euclidean length.
pub fn length(vector: &[f32]) -> f64 {
    vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}
