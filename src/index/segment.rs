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
mod tests {
    use super::*;

    fn filled(count: usize) -> Vec<u8> {
        let mut blob = empty(3).unwrap();
        for i in 0..count {
            let vector = Quantised::new(&[1.0, i as f32, -1.0]).unwrap();
            let at =
                put(&mut blob, &Place { id: i as i64 + 1, row: i as i64 * 10, vector: &vector }).unwrap();
            assert_eq!(at, i);
        }
        blob
    }

    fn scored(blob: &[u8], wants: impl Fn(i64) -> bool) -> Vec<Scored> {
        let mut all = Vec::new();
        let question = Question::new(&[0.0, 1.0, 0.0]).unwrap();
        Segment::read(blob, 3).unwrap().score(&question, wants, |scored| all.push(scored));
        all
    }

    #[test]
    fn the_layout_is_as_documented() {
        let mut blob = empty(3).unwrap();
        let vector = Quantised { factor: 0.5, bytes: vec![1, -1, 127] };
        put(&mut blob, &Place { id: 0x0102, row: -1, vector: &vector }).unwrap();
        let mut bytes = b"rsg1\x03\0\0\0\x01\0\0\0\0\0\0\0\x02\x01\0\0\0\0\0\0".to_vec();
        bytes.extend([0xff; 8]);
        bytes.extend(b"\0\0\0\x3f\0\0\0\0\x01\xff\x7f");
        assert_eq!(blob, bytes);
        assert_eq!(Segment::range(3, 0), 16..43);
    }

    #[test]
    fn a_free_place_is_used_again() {
        let mut blob = filled(3);
        let length = blob.len();
        free(&mut blob, 1).unwrap();
        assert_eq!(scored(&blob, |_| true).iter().map(|s| s.id).collect::<Vec<_>>(), [1, 3]);
        let vector = Quantised::new(&[0.0, -1.0, 0.0]).unwrap();
        assert_eq!(put(&mut blob, &Place { id: 9, row: 90, vector: &vector }).unwrap(), 1);
        assert_eq!(blob.len(), length);
        let nine = scored(&blob, |_| true)[1];
        assert_eq!((nine.id, nine.row), (9, 90));
        assert!((nine.score + 1.0).abs() < 1e-5, "{nine:?}");
        let segment = Segment::read(&blob, 3).unwrap();
        assert_eq!((segment.len(), segment.live()), (3, 3));
    }

    #[test]
    fn a_place_is_freed_of_its_own_chunk_alone() {
        let mut blob = filled(3);
        for (at, id) in [(1, 3), (3, 4), (usize::MAX, 1), (0, 0)] {
            assert!(!free_at(&mut blob, at, id) && !free_at(&mut [], at, id));
        }
        assert_eq!(blob, filled(3));
        assert!(free_at(&mut blob, 1, 2) && !free_at(&mut blob, 1, 2) && !free_at(&mut blob, 1, 0));
        assert_eq!(Segment::read(&blob, 3).unwrap().free_places(), [1]);
    }

    #[test]
    fn only_wanted_rows_are_scored() {
        let ids: Vec<_> = scored(&filled(9), |row| row >= 70).iter().map(|s| s.id).collect();
        assert_eq!(ids, [8, 9]);
    }

    #[test]
    fn a_full_segment_grows_by_free_places() {
        let mut blob = empty(3).unwrap();
        let mut sizes = Vec::new();
        for id in 1..=40 {
            grow(&mut blob).unwrap();
            let vector = Quantised::new(&[1.0, 2.0, 3.0]).unwrap();
            let at = Segment::read(&blob, 3).unwrap().free_places()[0];
            assert_eq!(at as i64, id - 1);
            put_at(&mut blob, at, &Place { id, row: id, vector: &vector }).unwrap();
            sizes.push(Segment::read(&blob, 3).unwrap().len());
        }
        sizes.dedup();
        assert_eq!(sizes, [16, 32, 64]);
        let mut full = filled(PLACES_MAX);
        let before = full.len();
        grow(&mut full).unwrap();
        assert_eq!(full.len(), before);
        assert!(grow(&mut b"junk".to_vec()).is_err());
    }

    #[test]
    fn a_segment_is_full_at_its_bound() {
        let mut blob = filled(PLACES_MAX);
        let vector = Quantised::new(&[1.0; 3]).unwrap();
        let more = Place { id: 5000, row: 1, vector: &vector };
        assert!(put(&mut blob, &more).unwrap_err().to_string().contains("full"));
        free(&mut blob, 700).unwrap();
        assert_eq!(put(&mut blob, &more).unwrap(), 700);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let vector = Quantised::new(&[1.0; 3]).unwrap();
        for id in [0, -1, i64::MIN] {
            let place = Place { id, row: 1, vector: &vector };
            assert!(put(&mut filled(1), &place).is_err());
            assert!(put_at(&mut filled(1), 0, &place).is_err());
        }
        assert!(free(&mut filled(2), 2).is_err() && free(&mut [], 0).is_err());
        assert!(empty(0).is_err() && empty(DIMENSIONS_MAX + 1).is_err());
        let narrow = Quantised::new(&[1.0; 2]).unwrap();
        let narrow = Place { id: 1, row: 1, vector: &narrow };
        assert!(put(&mut filled(1), &narrow).is_err() && put_at(&mut filled(1), 0, &narrow).is_err());
        let place = Place { id: 1, row: 1, vector: &vector };
        assert!(put_at(&mut filled(1), 1, &place).is_err() && put_at(&mut [], 0, &place).is_err());
    }

    #[test]
    fn damaged_bytes_are_an_error_and_never_a_panic() {
        let good = filled(2);
        assert!(Segment::read(&good, 3).is_ok());
        let with = |at: usize, bytes: &[u8]| {
            let mut bad = good.clone();
            bad[at..at + bytes.len()].copy_from_slice(bytes);
            bad
        };
        for bad in [
            Vec::new(),
            good[..15].to_vec(),
            good[..good.len() - 1].to_vec(),
            [&good[..], b"x"].concat(),
            with(3, b"2"),
            with(4, &[0; 4]),
            with(4, &[0xff; 4]),
            with(8, &[0xff; 4]),
            with(16, &i64::MIN.to_le_bytes()),
            with(32, &f32::NAN.to_le_bytes()),
            with(32, &f32::INFINITY.to_le_bytes()),
            with(32, &(-0.1f32).to_le_bytes()),
        ] {
            let e = Segment::read(&bad, 3).unwrap_err().to_string();
            assert!(e.contains("damaged") && e.contains("rebuild"), "{e}");
        }
        assert!(Segment::read(&good, 4).is_err() && Segment::read(&good, 0).is_err());
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..20_000 {
            let mut bytes = good[..random.usize(0..=good.len())].to_vec();
            for _ in 0..random.usize(0..4) {
                if let Some(byte) = random.choice(&mut bytes[..]) {
                    *byte = random.u8(..);
                }
            }
            if Segment::read(&bytes, 3).is_ok() {
                assert!(scored(&bytes, |_| true).iter().all(|s| s.id > 0 && s.score.is_finite()));
                free(&mut bytes, 0).unwrap_or_default();
            }
        }
    }
}
