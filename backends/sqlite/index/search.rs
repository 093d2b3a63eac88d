//! A search of an index: what is asked, who embeds the question, and the hits as they are read.

use std::sync::Arc;

use super::meaning::Meaning;
use super::stored::{Stored, setting};
use super::words::Words;
use super::{asker, shapes};
use crate::base::error::{Error, Result};
use crate::embed::seen::Seen;
use crate::index::ddl::Watched;
use crate::index::fuse::Hit;
use crate::index::lazy::Lazy;
use crate::index::snippet::{DEFAULT_LENGTH, Marker};
use crate::sql::search::{Asked, Mode};
use crate::sqlite::connection::{Connection, Db};
use crate::sqlite::sql::Statement;

/// An index that a statement reads, and the question that it was asked last.
pub struct Opened {
    /// The index.
    pub stored: Stored,
    /// What its triggers watch.
    pub watched: Watched,
    /// The question and its vector; `None` where words alone answer.
    asked: Option<(String, Option<Vec<f32>>)>,
    /// The questions before.
    seen: Arc<Seen>,
}

impl Opened {
    /// Reads an index.
    ///
    /// # Errors
    /// Tables that are missing or damaged; triggers that are missing.
    pub fn new(db: Db, schema: &str, name: &str, seen: Arc<Seen>) -> Result<Opened> {
        shapes::check(db, schema, name)?;
        let stored = Stored::read(db, schema, name)?;
        let watched = stored.searchable()?.clone();
        Ok(Opened { stored, watched, asked: None, seen })
    }

    /// The vector of a question, which is embedded once a statement.
    fn vector(&mut self, connection: &Arc<Connection>, question: &str) -> Result<Option<Vec<f32>>> {
        if let Some((_, vector)) = self.asked.as_ref().filter(|(asked, _)| asked == question) {
            return Ok(vector.clone());
        }
        let session = &connection.session;
        let vector = match asker::find(session, &self.stored)? {
            Some(client) => Some(asker::embed(session, &self.stored, &client, question, &self.seen)?),
            None => None,
        };
        self.asked = Some((question.to_owned(), vector.clone()));
        Ok(vector)
    }
}

/// Why an index has no words to search.
pub fn why_no_words(stored: &Stored) -> &'static str {
    if stored.config.tokenize.is_empty() {
        "its tokenize is ''"
    } else if !stored.has_fts5 {
        "this SQLite has no FTS5"
    } else if stored.next_words().is_some() || stored.is_set(setting::WORDS_STALE) {
        "its words are not synced yet"
    } else {
        "the SQLite that synced it last has no FTS5"
    }
}

/// A search.
pub struct Search {
    /// What is asked.
    pub asked: Asked,
    marker: Marker,
    hits: Lazy<Meaning, Words>,
    chunk: Statement,
}

impl Search {
    /// Asks `question`, which is that of `asked`.
    ///
    /// # Errors
    /// A question that cannot be embedded; an index that has no words to search; what SQLite says.
    pub fn new(
        connection: &Arc<Connection>,
        opened: &mut Opened,
        asked: Asked,
        question: &str,
    ) -> Result<Search> {
        if asked.mode == Mode::Words && opened.stored.words().is_none() {
            return Err(Error::invalid(format!(
                "mode is 'words', and the index has none: {}. Ask with mode = 'vector', or without a mode",
                why_no_words(&opened.stored)
            )));
        }
        let vector = match asked.mode {
            Mode::Words => None,
            Mode::Hybrid | Mode::Vector => opened.vector(connection, question)?,
        };
        let Opened { stored, watched, .. } = opened;
        let meaning = match vector {
            Some(vector) => Some(Meaning::new(stored, watched, vector, &asked.rows)?),
            None => None,
        };
        let words = match asked.mode {
            Mode::Vector => None,
            Mode::Hybrid | Mode::Words => {
                Words::new(stored, watched, question, &asked.rows, asked.mode == Mode::Words)?
            }
        };
        let sql = format!("SELECT seq, chunk FROM {} WHERE id = ?1", stored.table("chunks"));
        Ok(Search {
            marker: Marker::new(question),
            hits: Lazy::new(meaning, words, asked.per_chunk, asked.hint()),
            chunk: Statement::prepare(stored.db, &sql)?,
            asked,
        })
    }

    /// The hit at a place, from 0.
    ///
    /// # Errors
    /// What SQLite says; tables that are damaged.
    pub fn get(&mut self, place: usize) -> Result<Option<Hit>> {
        if self.asked.k.is_some_and(|k| place >= k) {
            return Ok(None);
        }
        self.hits.get(place)
    }

    /// The number of a hit's chunk in its row, and its text.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn chunk(&mut self, hit: &Hit) -> Result<(i64, String)> {
        let found = self.chunk.first(&[hit.id.into()], |row| (row.int(0), row.text(1)))?;
        Ok(found.unwrap_or_default())
    }

    /// The piece of a chunk that has the question's words.
    pub fn snippet(&self, chunk: &str) -> String {
        self.marker.snippet(chunk, DEFAULT_LENGTH)
    }

    /// How far a hit is from the question, by cosine; `None` where no vectors answer.
    ///
    /// # Errors
    /// What SQLite says; a vector that is damaged.
    pub fn distance(&mut self, hit: &Hit) -> Result<Option<f64>> {
        let Some(meaning) = self.hits.meaning() else { return Ok(None) };
        let cosine = match hit.vec_rank.and_then(|rank| meaning.cosine(rank)) {
            Some(cosine) => Some(cosine),
            None => meaning.cosine_of(hit.id)?,
        };
        Ok(cosine.map(|cosine| 1.0 - f64::from(cosine)))
    }
}
