//! How an index is: what it has, what is left to do, and what answers a question.

use std::sync::Arc;

use super::asker;
use super::search::why_no_words;
use super::stored::{Pass, Stored, setting};
use crate::base::error::Result;
use crate::index::fingerprint::Fingerprint;
use crate::sql::value::Output;
use crate::sqlite::connection::Connection;
use crate::sqlite::sql::Statement;

/// The status of an index. What takes long is looked up when it is asked for.
pub struct Status {
    connection: Arc<Connection>,
    /// The index.
    pub stored: Stored,
}

impl Status {
    /// Of `stored`.
    pub fn new(connection: Arc<Connection>, stored: Stored) -> Status {
        Status { connection, stored }
    }

    /// How many rows a table of the index has.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn count(&self, suffix: &str) -> Result<Output> {
        self.value(&format!("SELECT count(*) FROM {}", self.stored.table(suffix)))
    }

    /// The model whose vectors answer, once there is one.
    ///
    /// # Errors
    /// A table of options that is damaged.
    pub fn model(&self) -> Result<Output> {
        let model = self.stored.text(setting::MODEL).map(Fingerprint::from_json).transpose()?;
        Ok(model.map_or(Output::Null, |model| Output::Text(model.model().to_owned().into())))
    }

    /// The bytes of its texts, words, vectors and segments, without what SQLite needs around them.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn bytes(&self) -> Result<Output> {
        let sum =
            |suffix: &str, bytes: &str| format!("(SELECT total({bytes}) FROM {})", self.stored.table(suffix));
        let mut parts = vec![
            sum("chunks", "length(CAST(chunk AS BLOB))"),
            sum("vectors", "length(vector)"),
            sum("segments", "length(data)"),
        ];
        if let Some(words) = self.stored.words() {
            parts.push(sum(&format!("{words}_data"), "length(block)"));
        }
        self.value(&format!("SELECT CAST({} AS INTEGER)", parts.join(" + ")))
    }

    /// When a sync last ended, in UTC; NULL before the first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn last_sync(&self) -> Result<Output> {
        let sql = format!(
            "SELECT datetime(value, 'unixepoch') FROM {} WHERE name = '{}'",
            self.stored.table("config"),
            setting::SYNCED
        );
        self.value(&sql)
    }

    /// What answers a question now, and why not more does.
    ///
    /// # Errors
    /// A table of options that is damaged; an interrupt.
    pub fn answers(&self) -> Result<Output> {
        let stored = &self.stored;
        let has_words = stored.words().is_some();
        let meaning = || -> Result<Option<&str>> {
            if stored.dimensions().is_none() {
                return Ok(Some("nothing is embedded yet"));
            }
            Ok(match asker::find(&self.connection.session, stored) {
                Ok(Some(_)) => None,
                Ok(None) => Some(
                    "every chunk is being embedded anew, and no client has the model of the vectors that are there",
                ),
                Err(crate::Error::Interrupted) => return Err(crate::Error::Interrupted),
                Err(_) => Some(
                    "its client is not registered, or has another model: a question without mode = 'words' is an error",
                ),
            })
        };
        let text = if stored.searchable().is_err() {
            let why = match stored.pass() {
                Some((Pass::Compare, _)) => "not every row was compared since its triggers were missing",
                _ => "its triggers are missing",
            };
            format!("nothing: {why}, sync it")
        } else {
            match (meaning()?, has_words) {
                (None, true) => "meaning and words".to_owned(),
                (None, false) => format!("meaning alone: {}", why_no_words(stored)),
                (Some(why), true) => format!("words alone: {why}"),
                (Some(why), false) => format!("nothing: {why}, and {}", why_no_words(stored)),
            }
        };
        Ok(Output::Text(text.into()))
    }

    fn value(&self, sql: &str) -> Result<Output> {
        let found = Statement::prepare(self.stored.db, sql)?.first(&[], |row| row.output(0))?;
        found.unwrap_or(Ok(Output::Null))
    }
}
