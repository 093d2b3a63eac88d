//! Writes rows, within a transaction.

use super::gather::{Came, Item, Round, data_version};
use super::generations::{self, Target};
use super::optimize::PIECES_MOST;
use super::rows::{Content, Rows};
use super::segments::Segments;
use super::{Counts, Stop, now};
use crate::base::vector::to_bytes;
use crate::index::ddl::Watched;
use crate::index::name::quote;
use crate::index::pace::pause;
use crate::index::plan::{Old, Piece, Plan, key_of};
use crate::index::rescore::vector_of;
use crate::sqlite::index::asker::wrong_width;
use crate::sqlite::index::stored::{self, Stored};
use crate::sqlite::sql::{Failure, Statement, last_rowid};

/// The number of an error that is of the row and of no chunk.
const OF_THE_ROW: i64 = -1;

/// The statements that write an index.
pub struct Writer {
    stored: Stored,
    owner: String,
    /// The number of the sync.
    sync: i64,
    target: Target,
    /// What the database is, as in [`Round::version`].
    version: i64,
    /// Whether the last transaction was committed.
    is_written: bool,
    /// Whether any row has failed.
    has_errors: bool,
    /// The transactions since words were merged.
    transactions: u32,
    data_version: Statement,
    errors: Statement,
    content: Rows,
    segments: Segments,
    words: Option<Words>,
    unmark: Statement,
    unclaim: Statement,
    chunks: Statement,
    chunk: Statement,
    add_chunk: Statement,
    move_chunk: Statement,
    remove_chunk: Statement,
    vectors: Statement,
    has_vector: Statement,
    vector: Statement,
    add_vector: Statement,
    cool_vector: Statement,
    put_row: Statement,
    remove_row: Statement,
    attempts: Statement,
    put_error: Statement,
    remove_errors: Statement,
    put_setting: Statement,
    setting: Statement,
}

struct Words {
    add: Statement,
    remove: Statement,
    has: Statement,
}

impl Writer {
    /// For an index.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn new(stored: &Stored, watched: &Watched, target: &Target, owner: &str) -> Result<Writer, Failure> {
        let db = stored.db;
        let of =
            |suffix: &str, sql: &str| Statement::prepare(db, &sql.replace("TABLE", &stored.table(suffix)));
        let words = |words: &str| {
            let name = quote(&format!("{}_{words}", stored.name));
            Ok::<_, Failure>(Words {
                add: of(words, "INSERT INTO TABLE(rowid, chunk) VALUES (?1, ?2)")?,
                remove: of(
                    words,
                    &format!("INSERT INTO TABLE({name}, rowid, chunk) VALUES ('delete', ?1, ?2)"),
                )?,
                has: of(words, "SELECT 1 FROM TABLE WHERE rowid = ?1")?,
            })
        };
        Ok(Writer {
            stored: stored.clone(),
            owner: owner.to_owned(),
            sync: 0,
            version: 0,
            is_written: false,
            has_errors: true,
            transactions: 0,
            data_version: data_version(stored)?,
            target: target.clone(),
            content: Rows::new(stored, watched)?,
            segments: Segments::new(stored)?,
            words: stored.words().map(words).transpose()?,
            unmark: of("marks", "DELETE FROM TABLE WHERE \"row\" = ?1")?,
            errors: of("errors", "SELECT 1 FROM TABLE LIMIT 1")?,
            unclaim: of("claims", "DELETE FROM TABLE WHERE \"row\" BETWEEN ?1 AND ?2 AND owner = ?3")?,
            chunks: of(
                "chunks",
                "SELECT id, seq, start, \"end\", hash FROM TABLE WHERE \"row\" = ?1 ORDER BY seq",
            )?,
            chunk: of("chunks", "SELECT chunk FROM TABLE WHERE id = ?1")?,
            add_chunk: of(
                "chunks",
                "INSERT INTO TABLE(\"row\", seq, start, \"end\", hash, chunk) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?,
            move_chunk: of("chunks", "UPDATE TABLE SET seq = ?2, start = ?3, \"end\" = ?4 WHERE id = ?1")?,
            remove_chunk: of("chunks", "DELETE FROM TABLE WHERE id = ?1")?,
            vectors: of(
                "vectors",
                "SELECT id, segment, place FROM TABLE WHERE generation = ?1 AND chunk = ?2",
            )?,
            has_vector: of("vectors", "SELECT 1 FROM TABLE WHERE generation = ?1 AND chunk = ?2")?,
            vector: Statement::prepare(db, &generations::by_hash(stored, "vector"))?,
            add_vector: of(
                "vectors",
                "INSERT INTO TABLE(generation, chunk, hash, segment, place, vector) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?,
            // Not by the chunk's number: a later chunk may have that, and go while this vector is waited for.
            cool_vector: of(
                "vectors",
                "UPDATE OR REPLACE TABLE SET chunk = -abs(id), segment = 0, place = ?2 WHERE id = ?1",
            )?,
            put_row: of("rows", "INSERT OR REPLACE INTO TABLE(\"row\", hash) VALUES (?1, ?2)")?,
            remove_row: of("rows", "DELETE FROM TABLE WHERE \"row\" = ?1")?,
            attempts: of("errors", "SELECT max(attempts) FROM TABLE WHERE \"row\" = ?1")?,
            put_error: of(
                "errors",
                "INSERT OR REPLACE INTO TABLE(\"row\", seq, message, attempts, again) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            remove_errors: of("errors", "DELETE FROM TABLE WHERE \"row\" = ?1")?,
            setting: of("config", "SELECT value FROM TABLE WHERE name = ?1")?,
            put_setting: of("config", "INSERT OR REPLACE INTO TABLE(name, value) VALUES (?1, ?2)")?,
        })
    }

    /// A transaction has begun.
    ///
    /// # Errors
    /// The index is not what it was; what SQLite says.
    pub fn begin(&mut self, target: &Target, sync: i64) -> Result<(), Stop> {
        self.sync = sync;
        let version = self.data_version.first(&[], |row| row.int(0))?.unwrap_or(0);
        self.segments.begin(self.is_written && version == self.version);
        (self.version, self.is_written) = (version, false);
        self.has_errors = self.errors.first(&[], |_| ())?.is_some();
        self.target = target.clone();
        if self.target.dimensions.is_none() {
            // Another sync may have put the first vector.
            let (model, dimensions) = self.target.settings();
            let mut get = |name: &str| self.setting.first(&[name.into()], |row| (row.text(0), row.int(0)));
            if let (Some((model, _)), Some((_, width))) = (get(model)?, get(dimensions)?) {
                if model != self.target.model.to_json() {
                    return Err(Stop::Stale);
                }
                self.target.dimensions = stored::width(width);
            }
        }
        Ok(())
    }

    /// The transaction is about to end, which was of these rows, in order. Gives the target as it is then.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn end(&mut self, rows: &[i64]) -> Result<Target, Stop> {
        self.segments.flush()?;
        if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
            self.unclaim.run(&[(*first).into(), (*last).into(), (&self.owner).into()])?;
        }
        Ok(self.target.clone())
    }

    /// The transaction was committed.
    pub fn is_written(&mut self) {
        self.is_written = true;
        self.transactions += 1;
    }

    /// Whether the words of so many transactions are to be merged: each leaves a piece. To be asked once.
    pub fn has_many_words(&mut self) -> bool {
        let has_many = self.words.is_some() && self.transactions >= PIECES_MOST;
        if has_many {
            self.transactions = 0;
        }
        has_many
    }

    /// Writes a row and unmarks it, unless it is not what it was when the round was read.
    ///
    /// # Errors
    /// What SQLite says; vectors of another width than the index has.
    pub fn row(&mut self, item: &Item, round: &Round) -> Result<Counts, Stop> {
        let row = item.row;
        // Nobody else has written since the row was read.
        let mut is_same = self.version == round.version;
        if !is_same {
            is_same = match (&self.content.read(row)?, &item.content) {
                (Content::Text(text), Content::Text(_)) => key_of(text) == item.key,
                (now, before) => now == before,
            };
        }
        if !is_same {
            return Ok(Counts::default());
        }
        let before =
            if item.is_marked { None } else { self.attempts.first(&[row.into()], |found| found.int(0))? };
        let attempts = before.unwrap_or(0).max(0).saturating_add(1);
        let mut old = self.chunks.all(&[row.into()], |found| Old {
            id: found.int(0),
            seq: found.int(1),
            start: found.int(2),
            end: found.int(3),
            key: found.bytes(4),
        })?;
        if self.target.source != self.target.generation {
            // A rebuild: the text may not be the one that the hash is of.
            for chunk in &mut old {
                let text = self.chunk.first(&[chunk.id.into()], |found| found.text(0))?;
                if text.is_none_or(|text| chunk.key != key_of(&text)) {
                    chunk.key.clear();
                }
            }
        }
        let plan = Plan::new(&old, &item.pieces);
        let mut counts = Counts::default();
        for id in &plan.removed {
            self.remove(*id)?;
            counts.deleted += 1;
        }
        self.move_chunks(&plan, &item.pieces)?;
        if self.has_errors {
            self.remove_errors.run(&[row.into()])?;
        }
        let mut failures = Vec::new();
        for (piece, kept) in item.pieces.iter().zip(&plan.kept) {
            let id = self.chunk_of(row, piece, *kept)?;
            match self.vector_of(id, row, piece, kept.is_some(), round)? {
                Found::There => counts.reused += 1,
                Found::New => counts.embedded += 1,
                Found::Failed(why) => failures.push((piece.seq, why)),
                Found::Lost => return Err(Stop::Lost(row)),
            }
        }
        match &item.content {
            Content::Text(_) => self.put_row.run(&[row.into(), item.key[..].into()])?,
            Content::Gone => self.remove_row.run(&[row.into()])?,
            Content::Bad(why) => {
                self.remove_row.run(&[row.into()])?;
                failures.push((OF_THE_ROW, why.clone()));
            }
        }
        for (seq, why) in &failures {
            let again = now() + pause(attempts);
            self.put_error.run(&[row.into(), (*seq).into(), why.into(), attempts.into(), again.into()])?;
        }
        self.unmark.run(&[row.into()])?;
        Ok(counts)
    }

    /// Gives kept chunks their new places. No two chunks of a row have the same number meanwhile.
    fn move_chunks(&mut self, plan: &Plan, pieces: &[Piece]) -> Result<(), Failure> {
        for (id, _) in &plan.moved {
            self.move_chunk.run(&[(*id).into(), id.wrapping_neg().into(), 0.into(), 0.into()])?;
        }
        for (id, i) in &plan.moved {
            let piece = &pieces[*i];
            self.move_chunk.run(&[(*id).into(), piece.seq.into(), piece.start.into(), piece.end.into()])?;
        }
        Ok(())
    }

    /// The id of a piece, which is there with its words from now on.
    fn chunk_of(&mut self, row: i64, piece: &Piece, kept: Option<i64>) -> Result<i64, Failure> {
        let id = match kept {
            Some(id) => id,
            None => {
                let Piece { seq, start, end, key, text } = piece;
                self.add_chunk.run(&[
                    row.into(),
                    (*seq).into(),
                    (*start).into(),
                    (*end).into(),
                    key[..].into(),
                    text.into(),
                ])?;
                last_rowid(self.stored.db)
            }
        };
        if let Some(words) = &mut self.words {
            if kept.is_none() || words.has.first(&[id.into()], |_| ())?.is_none() {
                words.add.run(&[id.into(), (&piece.text).into()])?;
            }
        }
        Ok(id)
    }

    /// Takes a chunk out. Its vectors stay until nobody may need them: the text may have moved to another row.
    fn remove(&mut self, id: i64) -> Result<(), Stop> {
        if let Some(words) = &mut self.words {
            if words.has.first(&[id.into()], |_| ())?.is_some() {
                if let Some(text) = self.chunk.first(&[id.into()], |row| row.text(0))? {
                    words.remove.run(&[id.into(), (&text).into()])?;
                }
            }
        }
        let generations = [self.target.generation, self.stored.generation()];
        let generations = if generations[0] == generations[1] { &generations[..1] } else { &generations };
        for generation in generations {
            let found = self
                .vectors
                .first(&[(*generation).into(), id.into()], |row| (row.int(0), row.int(1), row.int(2)))?;
            if let Some((vector, segment, place)) = found {
                self.segments.free(segment, place, id)?;
                self.cool_vector.run(&[vector.into(), self.sync.into()])?;
            }
        }
        Ok(self.remove_chunk.run(&[id.into()])?)
    }

    /// Gives a chunk its vector, unless it has one.
    fn vector_of(
        &mut self,
        id: i64,
        row: i64,
        piece: &Piece,
        may_have: bool,
        round: &Round,
    ) -> Result<Found, Stop> {
        let generation = self.target.generation;
        if may_have && self.has_vector.first(&[generation.into(), id.into()], |_| ())?.is_some() {
            return Ok(Found::There);
        }
        let width = self.target.dimensions.or(self.stored.dimensions()).unwrap_or(0);
        let args =
            [generation.into(), self.target.source.into(), piece.key[..].into(), (width as i64 * 4).into()];
        let stored = self.vector.first(&args, |row| row.bytes(0))?;
        let (came, found) = match (stored, round.vectors.get(&piece.key)) {
            (Some(bytes), _) => (Came::new(vector_of(&bytes, width, id)?.into())?, Found::There),
            (None, Some(came)) => (came.clone(), Found::New),
            (None, None) => {
                let failure = round.failures.get(&piece.key);
                return Ok(failure.map_or(Found::Lost, |why| Found::Failed(why.clone())));
            }
        };
        self.note_width(came.vector.len())?;
        let (segment, place) = self.segments.put(generation, id, row, &came.quantised)?;
        self.add_vector.run(&[
            generation.into(),
            id.into(),
            piece.key[..].into(),
            segment.into(),
            place.into(),
            to_bytes(&came.vector)[..].into(),
        ])?;
        Ok(found)
    }

    /// The first vector says how wide all are.
    fn note_width(&mut self, width: usize) -> Result<(), Stop> {
        match self.target.dimensions {
            Some(before) if before == width => Ok(()),
            Some(_) => Err(wrong_width(&self.stored, width).into()),
            None => {
                let (model, dimensions) = self.target.settings();
                self.put_setting.run(&[model.into(), (&self.target.model.to_json()).into()])?;
                self.put_setting.run(&[dimensions.into(), (width as i64).into()])?;
                self.target.dimensions = Some(width);
                Ok(())
            }
        }
    }
}

enum Found {
    /// It was there, or the vector of the same text was.
    There,
    /// The client gave it.
    New,
    /// The client gave none.
    Failed(String),
    /// It was there when the round was read.
    Lost,
}
