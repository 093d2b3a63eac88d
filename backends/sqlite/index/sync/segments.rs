//! The places of vectors, within a transaction.

use std::collections::BTreeMap;

use super::Stop;
use crate::base::error::{Error, Result};
use crate::index::quant::Quantised;
use crate::index::segment::{self, PLACES_MAX, Place, Segment};
use crate::sqlite::connection::Db;
use crate::sqlite::index::stored::Stored;
use crate::sqlite::sql::{Failure, Statement, last_rowid};

/// A segment that was read.
struct Loaded {
    generation: i64,
    live: i64,
    data: Vec<u8>,
    /// Its free places, once one was looked for; the last is taken first.
    free: Option<Vec<usize>>,
    is_changed: bool,
}

impl Loaded {
    fn new(generation: i64, live: i64, data: Vec<u8>) -> Loaded {
        Loaded { generation, live, data, free: None, is_changed: false }
    }

    /// A free place, if there is one.
    fn free_place(&mut self, dimensions: usize) -> Result<Option<usize>> {
        if self.free.as_ref().is_none_or(Vec::is_empty) {
            segment::grow(&mut self.data)?;
            let mut free = Segment::read(&self.data, dimensions)?.free_places();
            free.reverse();
            self.free = Some(free);
        }
        Ok(self.free.as_mut().and_then(Vec::pop))
    }
}

/// The segments of an index.
pub struct Segments {
    db: Db,
    with_room: Statement,
    by_id: Statement,
    insert: Statement,
    update: Statement,
    delete: Statement,
    /// Those that are read or changed.
    loaded: BTreeMap<i64, Loaded>,
    /// One that gets no vectors.
    left_out: Option<i64>,
}

impl Segments {
    /// Those of `stored`.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn new(stored: &Stored) -> Result<Segments, Failure> {
        let (db, table) = (stored.db, stored.table("segments"));
        let prepare = |sql: &str| Statement::prepare(db, sql);
        Ok(Segments {
            db,
            with_room: prepare(&format!(
                "SELECT id FROM {table} WHERE generation = ?1 AND live < {PLACES_MAX} ORDER BY id"
            ))?,
            by_id: prepare(&format!("SELECT generation, live, data FROM {table} WHERE id = ?1"))?,
            insert: prepare(&format!("INSERT INTO {table}(generation, live, data) VALUES (?1, 0, ?2)"))?,
            update: prepare(&format!("UPDATE {table} SET live = ?2, data = ?3 WHERE id = ?1"))?,
            delete: prepare(&format!("DELETE FROM {table} WHERE id = ?1"))?,
            loaded: BTreeMap::new(),
            left_out: None,
        })
    }

    /// A transaction begins: what was read is forgotten, unless it is what the database has.
    pub fn begin(&mut self, is_same: bool) {
        if !is_same {
            self.loaded.clear();
        }
    }

    /// Puts no vectors into this one: it is being emptied.
    pub fn leave_out(&mut self, segment: i64) {
        self.left_out = Some(segment);
    }

    /// Puts a vector at a free place. Gives segment and place.
    ///
    /// # Errors
    /// What SQLite says; a damaged segment.
    pub fn put(
        &mut self,
        generation: i64,
        id: i64,
        row: i64,
        vector: &Quantised,
    ) -> Result<(i64, i64), Stop> {
        let at = self.segment_with_room(generation, vector.bytes.len())?;
        let Some(loaded) = self.loaded.get_mut(&at) else { return Err(Stop::Lost(row)) };
        let Some(place) = loaded.free_place(vector.bytes.len())? else {
            return Err(Error::invalid("a segment of the index is full").into());
        };
        segment::put_at(&mut loaded.data, place, &Place { id, row, vector })?;
        loaded.live = loaded.live.saturating_add(1);
        loaded.is_changed = true;
        Ok((at, place as i64))
    }

    /// Frees a place, if it is the chunk's: the file is anybody's.
    ///
    /// # Errors
    /// What SQLite says; a damaged segment.
    pub fn free(&mut self, segment: i64, place: i64, id: i64) -> Result<(), Stop> {
        if !self.load(segment)? {
            return Ok(());
        }
        let Some(loaded) = self.loaded.get_mut(&segment) else { return Ok(()) };
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        if segment::free_at(&mut loaded.data, place, id) {
            loaded.free.iter_mut().for_each(|free| free.push(place));
            loaded.live = loaded.live.saturating_sub(1);
            loaded.is_changed = true;
        }
        Ok(())
    }

    /// Writes what has changed: the transaction is about to end.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn flush(&mut self) -> Result<(), Failure> {
        for (id, loaded) in self.loaded.iter_mut().filter(|(_, loaded)| loaded.is_changed) {
            if loaded.live <= 0 {
                self.delete.run(&[(*id).into()])?;
            } else {
                self.update.run(&[(*id).into(), loaded.live.into(), (&loaded.data).into()])?;
            }
            loaded.is_changed = false;
        }
        // Another transaction seldom needs one that is full or was deleted.
        self.loaded.retain(|_, loaded| loaded.live > 0 && loaded.live < PLACES_MAX as i64);
        Ok(())
    }

    fn segment_with_room(&mut self, generation: i64, dimensions: usize) -> Result<i64, Stop> {
        let most = PLACES_MAX as i64;
        let left_out = self.left_out;
        let has_room = |(id, loaded): &(&i64, &Loaded)| {
            Some(**id) != left_out && loaded.generation == generation && loaded.live < most
        };
        if let Some((id, _)) = self.loaded.iter().find(has_room) {
            return Ok(*id);
        }
        for id in self.with_room.all(&[generation.into()], |row| row.int(0))? {
            if Some(id) != left_out && !self.loaded.contains_key(&id) && self.load(id)? {
                return Ok(id);
            }
        }
        let data = segment::empty(dimensions)?;
        self.insert.run(&[generation.into(), (&data).into()])?;
        let id = last_rowid(self.db);
        self.loaded.insert(id, Loaded::new(generation, 0, data));
        Ok(id)
    }

    /// Reads a segment; false where there is none.
    fn load(&mut self, id: i64) -> Result<bool, Failure> {
        if self.loaded.contains_key(&id) {
            return Ok(true);
        }
        let read = self.by_id.first(&[id.into()], |row| Loaded::new(row.int(0), row.int(1), row.bytes(2)))?;
        Ok(read.map(|loaded| self.loaded.insert(id, loaded)).is_some())
    }
}
