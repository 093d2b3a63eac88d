//! Quantised vectors, up to [`PLACES_MAX`] in a BLOB, so that a scan reads few rows of a table.
//!
//! All numbers are little-endian. A header of 16 bytes: the magic `rsg1` (the last is the layout's version), dimensions (u32), places
//! (u32), zeros (4 bytes). Then the places, each 24 bytes and one a dimension:
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | the chunk's id (i64); 0: the place is free |
//! | 8 | the rowid of the content row that the chunk is of (i64) |
//! | 4 | the vector's factor (f32, see [`quant`](super::quant)) |
//! | 4 | zeros |
//! | dimensions | the vector's numbers (i8) |
//!
//! A place is written alone (SQLite: `sqlite3_blob_write` of [`Segment::range`]), and one is added at the end.
//!
//! ```
//! use sqlite_rembed::index::quant::Quantised;
//! use sqlite_rembed::index::segment::{self, Place, Segment};
//!
//! let mut blob = segment::empty(2)?;
//! let vector = Quantised::new(&[3.0, 4.0])?;
//! let place = segment::put(&mut blob, &Place { id: 7, row: 1, vector: &vector })?;
//! assert_eq!(Segment::read(&blob, 2)?.id(place), 7);
//! segment::free(&mut blob, place)?;
//! assert_eq!(Segment::read(&blob, 2)?.live(), 0);
//! # Ok::<(), sqlite_rembed::Error>(())
//! ```

use std::ops::Range;

use super::quant::{DIMENSIONS_MAX, Quantised, Question};
use crate::base::error::{Error, Result};

/// The most places of a segment.
pub const PLACES_MAX: usize = 1024;

/// The places of the smallest segment that [`grow`] makes.
const PLACES_FIRST: usize = 16;

const MAGIC: &[u8; 4] = b"rsg1";
const HEADER: usize = 16;
/// What stands before the numbers in a place.
const HEAD: usize = 24;

/// A vector and whose it is.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The chunk's id, over 0.
    pub id: i64,
    /// The rowid of the chunk's content row.
    pub row: i64,
    /// The vector of the chunk.
    pub vector: &'a Quantised,
}

/// A vector of a segment, and how like the question it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// The chunk's id.
    pub id: i64,
    /// The rowid of the chunk's content row.
    pub row: i64,
    /// About the cosine with the question, from -1 to 1.
    pub score: f32,
}

/// A segment's bytes, which were checked.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    bytes: &'a [u8],
    dimensions: usize,
}

impl<'a> Segment<'a> {
    /// Takes the bytes of a segment, which may be anybody's.
    ///
    /// # Errors
    /// Bytes that are no segment of vectors of `dimensions`.
    pub fn read(bytes: &'a [u8], dimensions: usize) -> Result<Segment<'a>> {
        let Some((header, places)) = bytes.split_at_checked(HEADER) else {
            return Err(damaged("it is too short"));
        };
        if !header.starts_with(MAGIC) {
            return Err(damaged("it does not begin as one, or a newer version wrote it"));
        }
        let (width, count) = (number(&header[4..8]), number(&header[8..12]));
        if width != dimensions || width == 0 || width > DIMENSIONS_MAX {
            return Err(damaged(&format!("its vectors have {width} dimensions, not {dimensions}")));
        }
        if count > PLACES_MAX || places.len() != count * (HEAD + width) {
            return Err(damaged(&format!("{} bytes are not its {count} places", bytes.len())));
        }
        let segment = Segment { bytes: places, dimensions };
        for (id, factor) in segment.places().map(|place| (id(place), factor(place))) {
            // Of a real vector: the largest number over 127 and the length, which is at least that number.
            if id < 0 || !(0.0..=1.0).contains(&factor) {
                return Err(damaged("a place has an impossible number"));
            }
        }
        Ok(segment)
    }

    /// The places, free ones too.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.size()
    }

    /// Whether there is no place.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The places that are taken.
    pub fn live(&self) -> usize {
        self.places().filter(|place| id(place) != 0).count()
    }

    /// The places that are free.
    pub fn free_places(&self) -> Vec<usize> {
        let free = self.places().enumerate().filter(|(_, place)| id(place) == 0);
        free.map(|(at, _)| at).collect()
    }

    /// The chunk at a place; 0 where it is free.
    ///
    /// # Panics
    /// When there is no such place.
    pub fn id(&self, place: usize) -> i64 {
        id(&self.bytes[place * self.size()..][..self.size()])
    }

    /// Calls `found` for each vector that `wants` lets through by its content row's rowid.
    ///
    /// # Panics
    /// When the question has another width.
    pub fn score(&self, question: &Question, wants: impl Fn(i64) -> bool, mut found: impl FnMut(Scored)) {
        assert_eq!(question.dimensions(), self.dimensions);
        for place in self.places() {
            let (id, row) = (id(place), row(place));
            if id == 0 || !wants(row) {
                continue;
            }
            let score = question.cosine(bytemuck::cast_slice(&place[HEAD..]), factor(place));
            found(Scored { id, row, score });
        }
    }

    /// The bytes of a place in the BLOB of a segment.
    pub fn range(dimensions: usize, place: usize) -> Range<usize> {
        let size = HEAD + dimensions;
        HEADER + place * size..HEADER + (place + 1) * size
    }

    fn size(&self) -> usize {
        HEAD + self.dimensions
    }

    fn places(&self) -> std::slice::ChunksExact<'a, u8> {
        self.bytes.chunks_exact(self.size())
    }
}

/// A segment without places.
///
/// # Errors
/// No dimensions, or more than [`DIMENSIONS_MAX`].
pub fn empty(dimensions: usize) -> Result<Vec<u8>> {
    if dimensions == 0 || dimensions > DIMENSIONS_MAX {
        return Err(Error::invalid(format!("an index takes vectors of 1 to {DIMENSIONS_MAX} dimensions")));
    }
    let mut blob = MAGIC.to_vec();
    blob.extend((dimensions as u32).to_le_bytes());
    blob.resize(HEADER, 0);
    Ok(blob)
}

/// Puts a vector at the first free place of a segment, or behind its last. Gives the place.
///
/// # Errors
/// A BLOB that is no segment of vectors of this width; one that is full; an id that is not over 0.
pub fn put(blob: &mut Vec<u8>, place: &Place<'_>) -> Result<usize> {
    let dimensions = place.vector.bytes.len();
    let segment = Segment::read(blob, dimensions)?;
    let len = segment.len();
    let at = segment.places().position(|place| id(place) == 0).unwrap_or(len);
    if at == PLACES_MAX {
        return Err(Error::invalid("a segment of the index is full"));
    }
    let bytes = encode(place)?;
    if at == len {
        blob.extend_from_slice(&bytes);
        blob[8..12].copy_from_slice(&((len + 1) as u32).to_le_bytes());
    } else {
        blob[Segment::range(dimensions, at)].copy_from_slice(&bytes);
    }
    Ok(at)
}

/// Puts a vector at a place of a segment that is known to be free: nothing else of the segment is looked at.
///
/// # Errors
/// A BLOB without that place; a vector of another width; an id that is not over 0.
pub fn put_at(blob: &mut [u8], at: usize, place: &Place<'_>) -> Result<()> {
    let dimensions = place.vector.bytes.len();
    let bytes = encode(place)?;
    let is_as_wide = blob.get(4..8).map_or(0, number) == dimensions;
    match blob.get_mut(Segment::range(dimensions, at)).filter(|_| is_as_wide) {
        Some(free) => free.copy_from_slice(&bytes),
        None => {
            return Err(damaged(&format!("it has no place {at} for a vector of {dimensions} dimensions")));
        }
    }
    Ok(())
}

/// Frees a place that has the chunk `id`, and wipes its vector: nothing else of the segment is looked at. False where it has
/// another or is none.
pub fn free_at(blob: &mut [u8], at: usize, chunk: i64) -> bool {
    let dimensions = blob.get(4..8).map_or(0, number);
    if at >= PLACES_MAX || dimensions > DIMENSIONS_MAX {
        return false;
    }
    match blob.get_mut(Segment::range(dimensions, at)).filter(|place| chunk != 0 && id(place) == chunk) {
        Some(place) => {
            place.fill(0);
            true
        }
        None => false,
    }
}

/// Adds free places to a segment whose places are all taken: as many as it has, so that its BLOB seldom gets another
/// length. SQLite then writes the pages alone that have changed.
///
/// # Errors
/// A BLOB that is no segment.
pub fn grow(blob: &mut Vec<u8>) -> Result<()> {
    let dimensions = blob.get(4..8).map_or(0, number);
    let segment = Segment::read(blob, dimensions)?;
    let (len, live) = (segment.len(), segment.live());
    if len == live && len < PLACES_MAX {
        let places = (len * 2).clamp(PLACES_FIRST, PLACES_MAX);
        blob.resize(HEADER + places * (HEAD + dimensions), 0);
        blob[8..12].copy_from_slice(&(places as u32).to_le_bytes());
    }
    Ok(())
}

/// The bytes of a place, to be written to [`Segment::range`].
///
/// # Errors
/// An id that is not over 0.
pub fn encode(place: &Place<'_>) -> Result<Vec<u8>> {
    let Place { id, row, vector } = place;
    if *id <= 0 {
        return Err(Error::invalid(format!("a chunk has the id {id}, which must be over 0")));
    }
    let mut bytes = Vec::with_capacity(HEAD + vector.bytes.len());
    bytes.extend(id.to_le_bytes());
    bytes.extend(row.to_le_bytes());
    bytes.extend(vector.factor.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend_from_slice(bytemuck::cast_slice(&vector.bytes));
    Ok(bytes)
}

/// Frees a place of a segment, and wipes its vector.
///
/// # Errors
/// A BLOB that is no segment; no such place.
pub fn free(blob: &mut [u8], place: usize) -> Result<()> {
    let dimensions = blob.get(4..8).map_or(0, number);
    let segment = Segment::read(blob, dimensions)?;
    if place >= segment.len() {
        return Err(Error::invalid(format!("a segment of the index has no place {place}")));
    }
    blob[Segment::range(dimensions, place)].fill(0);
    Ok(())
}

fn damaged(why: &str) -> Error {
    Error::invalid(format!(
        "a segment of the index is damaged: {why}. INSERT 'rebuild' into the index, and sync it"
    ))
}

fn number(bytes: &[u8]) -> usize {
    bytes.try_into().map_or(usize::MAX, |bytes| u32::from_le_bytes(bytes) as usize)
}

fn id(place: &[u8]) -> i64 {
    place.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

fn row(place: &[u8]) -> i64 {
    place.get(8..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

fn factor(place: &[u8]) -> f32 {
    place.get(16..).and_then(<[u8]>::first_chunk).map_or(f32::NAN, |bytes| f32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests;
