//! A round: rows that are to be done, their chunks, and the vectors that they lack.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::rows::{Content, Rows};
use super::{Stop, Target};
use crate::base::error::{Error, Result};
use crate::client::Client;
use crate::embed::cache::Vector;
use crate::embed::call::Call;
use crate::embed::stream::{Stream, Text};
use crate::index::ddl::Watched;
use crate::index::plan::{Key, Piece, key_of, pieces};
use crate::sqlite::connection::Connection;
use crate::sqlite::index::stored::Stored;
use crate::sqlite::sql::Statement;

/// Where the rows of a round come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Rows that are marked.
    Marked,
}

/// The most rows of a round.
const ROWS_MOST: i64 = 2000;
/// About the most bytes of texts of a round.
const BYTES_MOST: usize = 4 << 20;
/// The least texts that are worth a round, where there are so many.
const TEXTS_LEAST: usize = 64;

/// A row that is to be done.
pub struct Item {
    /// Its rowid.
    pub row: i64,
    /// What the content table has of it.
    pub content: Content,
    /// The hash of its text.
    pub key: Key,
    /// The chunks of its text.
    pub pieces: Vec<Piece>,
}

/// Some rows, and the vectors of their chunks that came from the client.
pub struct Round {
    /// The rows, by rowid.
    pub rows: Vec<Item>,
    missing: Vec<(Key, Arc<str>)>,
    /// Vectors by the hashes of their texts.
    pub vectors: HashMap<Key, Vector>,
    /// Why others have none.
    pub failures: HashMap<Key, String>,
}

/// Reads rounds of an index.
pub struct Reader<'a> {
    /// The index.
    pub stored: &'a Stored,
    /// Its content.
    pub watched: &'a Watched,
    /// The vectors that are to be filled.
    pub target: &'a Target,
}

impl Reader<'_> {
    /// Reads the rows of `source` from the rowid `from` on, at most `limit`, as many as make a round of requests of
    /// `client`.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn read(&self, client: &Client, source: Source, from: i64, limit: u64) -> Result<Round, Stop> {
        let Reader { stored, watched, target } = self;
        let texts_most = client.ceilings().texts.saturating_mul(client.concurrency()).max(TEXTS_LEAST);
        let db = stored.db;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX).min(ROWS_MOST);
        let sql = match source {
            Source::Marked => {
                format!(
                    "SELECT \"row\" FROM {} WHERE \"row\" >= ?1 ORDER BY \"row\" LIMIT ?2",
                    stored.table("marks")
                )
            }
        };
        let ids = Statement::prepare(db, &sql)?.all(&[from.into(), limit.into()], |row| row.int(0))?;
        let mut content = Rows::new(stored, watched)?;
        let mut by_hash = Statement::prepare(
            db,
            &format!("SELECT 1 FROM {} WHERE generation = ?1 AND hash = ?2", stored.table("vectors")),
        )?;
        let mut round = Round {
            rows: Vec::new(),
            missing: Vec::new(),
            vectors: HashMap::new(),
            failures: HashMap::new(),
        };
        let (mut bytes, mut known) = (0, HashSet::new());
        for row in ids {
            if bytes >= BYTES_MOST || round.missing.len() >= texts_most {
                break;
            }
            let content = content.read(row)?;
            let (key, pieces) = match &content {
                Content::Text(text) => {
                    bytes += text.len();
                    (key_of(text), pieces(stored.config.cut, text))
                }
                _ => (Key::default(), Vec::new()),
            };
            for piece in &pieces {
                if known.insert(piece.key) {
                    let is_there =
                        by_hash.first(&[target.generation.into(), piece.key[..].into()], |_| ())?.is_some();
                    if !is_there {
                        round.missing.push((piece.key, piece.text.as_str().into()));
                    }
                }
            }
            round.rows.push(Item { row, content, key, pieces });
        }
        Ok(round)
    }
}

impl Round {
    /// The last row; `None` where there is none.
    pub fn last(&self) -> Option<i64> {
        self.rows.last().map(|item| item.row)
    }

    /// Asks the client for the vectors that are missing. Nothing is open meanwhile.
    ///
    /// # Errors
    /// An interrupt; what fails for every text, as a server that cannot be reached.
    pub fn embed(&mut self, connection: &Connection, call: Call) -> Result<()> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let missing = std::mem::take(&mut self.missing);
        let count = missing.len();
        let items = missing.into_iter().map(|(key, text)| Ok((key, Text::Text(text))));
        let interrupt = connection.session.interrupt().clone();
        let mut stream = Stream::new(call, items, true, Some(count as u64), interrupt).whole();
        let mut last = None;
        while let Some(row) = stream.next_row()? {
            match row.value {
                Ok(Some(vector)) => drop(self.vectors.insert(row.key, vector)),
                Ok(None) => {}
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(e) => {
                    self.failures.insert(row.key, e.to_string());
                    last = Some(e);
                }
            }
        }
        match last {
            // Where nothing came, it is most likely not the texts.
            Some(e) if self.vectors.is_empty() && !is_of_the_text(&e) => Err(e),
            _ => Ok(()),
        }
    }
}

/// Whether a request failed for its text.
fn is_of_the_text(e: &Error) -> bool {
    matches!(e, Error::Request(e) if matches!(e.status, Some(400 | 413 | 422)))
}
