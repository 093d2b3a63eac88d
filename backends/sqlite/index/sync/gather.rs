//! A round: rows that are to be done, their chunks, and the vectors that they lack.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::claims::Claims;
use super::generations::{Target, from_unfilled};
use super::rows::{Content, Rows};
use super::{Stop, now};
use crate::base::error::{Error, Result};
use crate::base::interrupt::Interrupt;
use crate::client::Client;
use crate::embed::cache::Vector;
use crate::embed::call::Call;
use crate::embed::stream::{Stream, Text};
use crate::index::ddl::{MARKS, Watched};
use crate::index::plan::{Key, Piece, key_of, pieces};
use crate::sqlite::index::asker::wrong_width;
use crate::sqlite::index::stored::Stored;
use crate::sqlite::sql::Statement;

/// Where the rows of a round come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Rows that are marked.
    Marked,
    /// Rows that have failed, and whose pause is over.
    Failed,
    /// Rows with chunks that have no vector of the generation that is being filled.
    Unfilled,
}

/// The least rows that a round looks for, and the most.
const ROWS_LEAST: i64 = 256;
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
    /// Whether it is done for its mark.
    pub is_marked: bool,
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
    pub fn read(
        &self,
        client: &Client,
        source: Source,
        from: i64,
        limit: u64,
        claims: &Claims,
    ) -> Result<Round, Stop> {
        let Reader { stored, watched, target } = self;
        let texts_most = client.ceilings().texts.saturating_mul(client.concurrency()).max(TEXTS_LEAST);
        let db = stored.db;
        // A row has a text or more, but for those whose vectors are there.
        let rows_most = i64::try_from(texts_most).unwrap_or(i64::MAX).clamp(ROWS_LEAST, ROWS_MOST);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX).min(rows_most);
        let sql = match source {
            Source::Marked => {
                format!("SELECT m.\"row\" FROM {} AS m WHERE m.\"row\" >= ?1", stored.table(MARKS))
            }
            Source::Failed => format!(
                "SELECT DISTINCT m.\"row\" FROM {} AS m WHERE m.\"row\" >= ?1 AND m.again <= {}",
                stored.table("errors"),
                now()
            ),
            Source::Unfilled => format!(
                "SELECT DISTINCT m.\"row\" FROM (SELECT c.\"row\" {} AND c.\"row\" >= ?1) AS m WHERE 1",
                from_unfilled(stored, target.generation)
            ),
        };
        let sql = format!("{sql} AND {} ORDER BY m.\"row\" LIMIT ?2", claims.condition("m.\"row\""));
        let ids = Statement::prepare(db, &sql)?.all(&[from.into(), limit.into()], |row| row.int(0))?;
        let mut content = Rows::new(stored, watched)?;
        let mut by_hash = Statement::prepare(
            db,
            &format!(
                "SELECT 1 FROM {} WHERE generation IN (?1, ?2) AND hash = ?3 AND length(vector) = ?4",
                stored.table("vectors")
            ),
        )?;
        let width = target.dimensions.or(stored.dimensions()).unwrap_or(0) as i64 * 4;
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
                    let is_there = by_hash
                        .first(
                            &[
                                target.generation.into(),
                                target.source.into(),
                                piece.key[..].into(),
                                width.into(),
                            ],
                            |_| (),
                        )?
                        .is_some();
                    if !is_there {
                        round.missing.push((piece.key, piece.text.as_str().into()));
                    }
                }
            }
            round.rows.push(Item { row, content, key, pieces, is_marked: source == Source::Marked });
        }
        Ok(round)
    }
}

impl Round {
    /// The last row; `None` where there is none.
    pub fn last(&self) -> Option<i64> {
        self.rows.last().map(|item| item.row)
    }

    /// Whether the client is to be asked.
    pub fn wants_vectors(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Takes vectors that came before.
    pub fn use_spare(&mut self, spare: &HashMap<Key, Vector>) {
        let vectors = &mut self.vectors;
        self.missing.retain(|(key, _)| match spare.get(key) {
            Some(vector) => {
                vectors.insert(*key, vector.clone());
                false
            }
            None => true,
        });
    }

    /// The rows for which the client is to be asked.
    pub fn rows_without_vectors(&self) -> Vec<i64> {
        let missing: HashSet<&Key> = self.missing.iter().map(|(key, _)| key).collect();
        let lacks = |item: &&Item| item.pieces.iter().any(|piece| missing.contains(&piece.key));
        self.rows.iter().filter(lacks).map(|item| item.row).collect()
    }

    /// Leaves out rows for which the client would be asked, but those of `claimed`.
    pub fn keep(&mut self, claimed: &HashSet<i64>) {
        let lacking: HashSet<i64> = self.rows_without_vectors().into_iter().collect();
        if lacking.iter().all(|row| claimed.contains(row)) {
            return;
        }
        self.rows.retain(|item| claimed.contains(&item.row) || !lacking.contains(&item.row));
        let wanted: HashSet<&Key> =
            self.rows.iter().flat_map(|item| item.pieces.iter().map(|piece| &piece.key)).collect();
        self.missing.retain(|(key, _)| wanted.contains(key));
    }

    /// Asks the client for the vectors that are missing, of the dimensions of `target` where they are known. Nothing is open
    /// meanwhile, but as `interrupt` says.
    ///
    /// # Errors
    /// An interrupt; what fails for every text, as a server that cannot be reached; a model of other dimensions.
    pub fn embed(
        &mut self,
        reader: &Reader<'_>,
        source: Source,
        mut call: Call,
        interrupt: Arc<dyn Interrupt>,
    ) -> Result<()> {
        if self.missing.is_empty() {
            return Ok(());
        }
        if let Some(dimensions) = reader.target.dimensions {
            call.expect(dimensions);
        }
        let missing = std::mem::take(&mut self.missing);
        let count = missing.len();
        let items = missing.into_iter().map(|(key, text)| Ok((key, Text::Text(text))));
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
        match (last, stream.call().other_width()) {
            // These have failed before, and perhaps for themselves.
            (Some(_), Some(_)) if source == Source::Failed => Ok(()),
            (Some(_), Some(other)) if self.vectors.is_empty() => Err(wrong_width(reader.stored, other)),
            // Where nothing came, it is most likely not the texts.
            (Some(e), _) if self.vectors.is_empty() && !is_of_the_text(&e) => Err(e),
            _ => Ok(()),
        }
    }
}

/// Whether a request failed for its text.
fn is_of_the_text(e: &Error) -> bool {
    matches!(e, Error::Request(e) if matches!(e.status, Some(400 | 413 | 422)))
}
