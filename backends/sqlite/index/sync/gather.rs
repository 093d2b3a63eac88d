//! A round: rows that are to be done, their chunks, and the vectors that they lack.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::claims::Claims;
use super::generations::{self, Target, from_unfilled};
use super::rows::{Content, Rows};
use super::{Stop, now};
use crate::base::error::{Error, Result};
use crate::client::Client;
use crate::embed::cache::Vector;
use crate::embed::stream::{Stream, Text};
use crate::index::ddl::{MARKS, Watched};
use crate::index::name::quote;
use crate::index::plan::{Key, Piece, key_of, pieces};
use crate::index::quant::Quantised;
use crate::sqlite::index::asker::wrong_width;
use crate::sqlite::index::stored::Stored;
use crate::sqlite::sql::{Failure, Statement};

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

/// The most rows that a round looks for.
const ROWS_MOST: i64 = 1000;
/// About the most bytes of texts of a round.
const BYTES_MOST: usize = 2 << 20;
/// The least texts that are out or have come, where there are so many.
const TEXTS_LEAST: usize = 64;
/// The rounds that these are of. A kill loses what is out, and the two rounds that are being written.
pub const ROUNDS: usize = 4;

/// How many texts are to be asked for before one is waited for, and how many of them are a round's: as many requests as may be
/// out at once, in rounds of whole requests.
pub fn window(client: &Client) -> (usize, usize) {
    let texts = client.ceilings().texts.clamp(1, ROWS_MOST as usize);
    let all = texts.saturating_mul(client.concurrency()).max(TEXTS_LEAST);
    (all, (all / ROUNDS).clamp(texts, ROWS_MOST as usize).next_multiple_of(texts))
}

/// The requests of a sync.
pub type Requests = Stream<Key, std::iter::Empty<Result<(Key, Text)>>>;

/// A vector that came.
#[derive(Clone)]
pub struct Came {
    /// Its numbers.
    pub vector: Vector,
    /// The same as bytes. Made here, since no lock is held.
    pub quantised: Arc<Quantised>,
}

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
    /// How many of them are written.
    done: usize,
    /// What the content table was when they were read: another number where anybody has changed the database since.
    pub version: i64,
    missing: Vec<(Key, Arc<str>)>,
    /// What the client is asked for.
    asked: HashSet<Key>,
    /// What it is asked for in a round before.
    lent: HashSet<Key>,
    /// Whether it was waited for.
    is_here: bool,
    /// Vectors by the hashes of their texts.
    pub vectors: HashMap<Key, Came>,
    /// Why others have none.
    pub failures: HashMap<Key, String>,
}

impl Came {
    /// From the client, or from the index.
    ///
    /// # Errors
    /// As [`Quantised::new`].
    pub fn new(vector: Vector) -> Result<Came> {
        Ok(Came { quantised: Arc::new(Quantised::new(&vector)?), vector })
    }
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
    /// How many rows `source` has for this sync.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn count(&self, source: Source, claims: &Claims) -> Result<u64, Stop> {
        let sql = format!("SELECT count(*) FROM ({})", self.ids(source, claims));
        let count = Statement::prepare(self.stored.db, &sql)?.first(&[i64::MIN.into()], |row| row.int(0))?;
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    /// The query of the rows of `source` from the rowid `?1` on.
    fn ids(&self, source: Source, claims: &Claims) -> String {
        let stored = self.stored;
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
                from_unfilled(stored, self.target.generation)
            ),
        };
        format!("{sql} AND {}", claims.condition("m.\"row\""))
    }

    /// Reads the rows of `source` from the rowid `from` on, at most `limit`, and so many that about `texts` are to be asked
    /// for. `before` are rounds that were read and are not written yet.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn read(
        &self,
        texts: usize,
        source: Source,
        from: i64,
        limit: u64,
        claims: &Claims,
        before: &VecDeque<Round>,
    ) -> Result<Round, Stop> {
        let Reader { stored, watched, target } = self;
        let db = stored.db;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX).min(ROWS_MOST);
        let version = data_version(stored)?.first(&[], |row| row.int(0))?.unwrap_or(0);
        let sql = format!("{} ORDER BY m.\"row\" LIMIT ?2", self.ids(source, claims));
        // While it is under way, what is read with it needs no lock of its own.
        let mut ids = Statement::prepare(db, &sql)?;
        ids.start(&[from.into(), limit.into()])?;
        let mut content = Rows::new(stored, watched)?;
        let mut by_hash = Statement::prepare(db, &generations::by_hash(stored, "1"))?;
        let width = target.dimensions.or(stored.dimensions()).unwrap_or(0) as i64 * 4;
        let mut round = Round {
            rows: Vec::new(),
            done: 0,
            version,
            is_here: false,
            asked: HashSet::new(),
            lent: HashSet::new(),
            missing: Vec::new(),
            vectors: HashMap::new(),
            failures: HashMap::new(),
        };
        let (mut bytes, mut known) = (0, HashSet::new());
        while bytes < BYTES_MOST && round.missing.len() < texts && ids.step()? {
            let row = ids.int(0);
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
                    if is_there {
                        continue;
                    }
                    if before.iter().any(|before| before.will_have(&piece.key)) {
                        round.lent.insert(piece.key);
                    } else {
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

    /// The rows that are not written yet.
    pub fn left(&self) -> &[Item] {
        &self.rows[self.done..]
    }

    /// The next `count` rows are written, or all that are left. Gives how many of `count` are of others then.
    pub fn written(&mut self, count: usize) -> usize {
        let done = self.left().len().min(count);
        self.done += done;
        count - done
    }

    /// Whether vectors are to come that it lacks.
    pub fn wants_vectors(&self) -> bool {
        !self.missing.is_empty() || !self.lent.is_empty()
    }

    /// Takes vectors that came before.
    pub fn use_spare(&mut self, spare: &HashMap<Key, Came>) {
        let vectors = &mut self.vectors;
        self.missing.retain(|(key, _)| match spare.get(key) {
            Some(vector) => {
                vectors.insert(*key, vector.clone());
                false
            }
            None => true,
        });
    }

    /// The rows that lack vectors.
    pub fn rows_without_vectors(&self) -> Vec<i64> {
        let missing: HashSet<&Key> = self.missing.iter().map(|(key, _)| key).chain(&self.lent).collect();
        let lacks = |item: &&Item| item.pieces.iter().any(|piece| missing.contains(&piece.key));
        self.rows.iter().filter(lacks).map(|item| item.row).collect()
    }

    /// The same without rows that lack vectors, but those of `claimed`.
    pub fn kept(mut self, claimed: &HashSet<i64>) -> Round {
        let lacking: HashSet<i64> = self.rows_without_vectors().into_iter().collect();
        if lacking.iter().all(|row| claimed.contains(row)) {
            return self;
        }
        self.rows.retain(|item| claimed.contains(&item.row) || !lacking.contains(&item.row));
        let wanted: HashSet<&Key> =
            self.rows.iter().flat_map(|item| item.pieces.iter().map(|piece| &piece.key)).collect();
        self.missing.retain(|(key, _)| wanted.contains(key));
        self
    }

    /// Asks the client for the vectors that are missing. They travel meanwhile.
    ///
    /// # Errors
    /// No thread for a request.
    pub fn ask(&mut self, requests: &mut Requests) -> Result<()> {
        for (key, text) in std::mem::take(&mut self.missing) {
            requests.push(key, Text::Text(text))?;
            self.asked.insert(key);
        }
        Ok(())
    }

    /// How many texts are on their way.
    pub fn awaited(&self) -> usize {
        if self.is_here { 0 } else { self.asked.len() }
    }

    /// Whether nothing is waited for any more.
    pub fn is_here(&self) -> bool {
        self.is_here
    }

    /// Waits for what it asked for.
    ///
    /// # Errors
    /// An interrupt; what fails for every text, as a server that cannot be reached; a model of other dimensions.
    pub fn wait(&mut self, requests: &mut Requests, source: Source, stored: &Stored) -> Result<()> {
        let (mut last, mut has_come) = (None, false);
        for _ in 0..self.awaited() {
            let Some(row) = requests.next_row()? else { break };
            match row.value {
                Ok(Some(vector)) => {
                    self.vectors.insert(row.key, Came::new(vector)?);
                    has_come = true;
                }
                Ok(None) => {}
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(e) => {
                    self.failures.insert(row.key, e.to_string());
                    last = Some(e);
                }
            }
        }
        self.is_here = true;
        match (last, requests.call().take_other_width()) {
            // These have failed before, and perhaps for themselves.
            (Some(_), Some(_)) if source == Source::Failed => Ok(()),
            (Some(_), Some(other)) if !has_come => Err(wrong_width(stored, other)),
            // Where nothing came, it is most likely not the texts.
            (Some(e), _) if !has_come && !is_of_the_text(&e) => Err(e),
            _ => Ok(()),
        }
    }

    /// Whether it will have a vector that others lack.
    fn will_have(&self, key: &Key) -> bool {
        self.asked.contains(key) || self.vectors.contains_key(key)
    }

    /// Takes what a round before was asked for in its place.
    pub fn borrow(&mut self, before: &Round) {
        for key in &self.lent {
            if let Some(came) = before.vectors.get(key) {
                self.vectors.insert(*key, came.clone());
            } else if let Some(why) = before.failures.get(key) {
                self.failures.insert(*key, why.clone());
            }
        }
    }
}

/// A number that is another one after another connection has changed the database.
pub fn data_version(stored: &Stored) -> Result<Statement, Failure> {
    Statement::prepare(stored.db, &format!("PRAGMA {}.data_version", quote(&stored.schema)))
}

/// Whether a request failed for its text.
fn is_of_the_text(e: &Error) -> bool {
    matches!(e, Error::Request(e) if matches!(e.status, Some(400 | 413 | 422)))
}
