//! What a sync makes of a row: its text, the chunks of it, and which of the chunks before are among them.

use std::collections::HashMap;
use std::collections::VecDeque;

use super::chunk::Cut;
use crate::base::hash::Hasher;

/// A hash of a text, by which chunks and rows are told apart.
pub type Key = [u8; 16];

/// The hash of a text.
pub fn key_of(text: &str) -> Key {
    let digest = Hasher::default().part(text.as_bytes()).finish();
    std::array::from_fn(|i| digest[i])
}

/// The text of a row: its columns, NULL and empty ones left out, with a blank line between them.
pub fn text_of<'a>(columns: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let texts: Vec<&str> = columns.into_iter().flatten().filter(|text| !text.is_empty()).collect();
    texts.join("\n\n")
}

/// A chunk as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its number in the row's text, from 0.
    pub seq: i64,
    /// The characters before it in the text.
    pub start: i64,
    /// The characters before its end.
    pub end: i64,
    /// The hash of its text.
    pub key: Key,
    /// Its text.
    pub text: String,
}

/// The chunks of a row's text. One of blanks alone is none: there is nothing to find in it.
pub fn pieces(cut: Cut, text: &str) -> Vec<Piece> {
    let chunks = cut.chunks(text).filter(|chunk| !chunk.text.trim().is_empty());
    let piece = |(seq, chunk): (usize, super::chunk::Chunk<'_>)| Piece {
        seq: seq as i64,
        start: chunk.start as i64,
        end: chunk.end as i64,
        key: key_of(chunk.text),
        text: chunk.text.to_owned(),
    };
    chunks.enumerate().map(piece).collect()
}

/// A chunk as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Old {
    /// Its id.
    pub id: i64,
    /// As in [`Piece`].
    pub seq: i64,
    /// As in [`Piece`].
    pub start: i64,
    /// As in [`Piece`].
    pub end: i64,
    /// As in [`Piece`]; empty where the file has none.
    pub key: Vec<u8>,
}

/// What becomes of the chunks of a row.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// For each piece, the id of the chunk that it is already.
    pub kept: Vec<Option<i64>>,
    /// Kept chunks that are at another place of the text now: id and piece.
    pub moved: Vec<(i64, usize)>,
    /// The chunks that go.
    pub removed: Vec<i64>,
}

impl Plan {
    /// Finds the pieces among the chunks that are there.
    pub fn new(old: &[Old], pieces: &[Piece]) -> Plan {
        let mut by_key: HashMap<&[u8], VecDeque<&Old>> = HashMap::new();
        for chunk in old {
            by_key.entry(&chunk.key).or_default().push_back(chunk);
        }
        let mut plan = Plan::default();
        for (i, piece) in pieces.iter().enumerate() {
            let found = by_key.get_mut(&piece.key[..]).and_then(VecDeque::pop_front);
            if let Some(chunk) = found {
                if (chunk.seq, chunk.start, chunk.end) != (piece.seq, piece.start, piece.end) {
                    plan.moved.push((chunk.id, i));
                }
            }
            plan.kept.push(found.map(|chunk| chunk.id));
        }
        plan.removed = by_key.into_values().flatten().map(|chunk| chunk.id).collect();
        plan.removed.sort_unstable();
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<Piece> {
        pieces(Cut::new(4, 0).unwrap(), text)
    }

    fn stored(pieces: &[Piece]) -> Vec<Old> {
        let old = |piece: &Piece| Old {
            id: piece.seq + 10,
            seq: piece.seq,
            start: piece.start,
            end: piece.end,
            key: piece.key.to_vec(),
        };
        pieces.iter().map(old).collect()
    }

    #[test]
    fn columns_are_joined_by_a_blank_line() {
        assert_eq!(text_of([Some("a"), None, Some(""), Some("b")]), "a\n\nb");
        assert_eq!(text_of([None, Some("")]), "");
    }

    #[test]
    fn blanks_are_no_chunk() {
        assert_eq!(cut("").len() + cut(" \n ").len(), 0);
        let pieces = cut("abc      \n\n     def");
        assert_eq!(pieces.iter().map(|p| p.seq).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn the_same_text_stays_as_it_is() {
        let pieces = cut("abc def ghi");
        let plan = Plan::new(&stored(&pieces), &pieces);
        assert_eq!(plan.kept, [Some(10), Some(11), Some(12)]);
        assert_eq!((plan.moved.len(), plan.removed.len()), (0, 0));
    }

    #[test]
    fn a_chunk_that_moved_is_kept() {
        let plan = Plan::new(&stored(&cut("abc def ghi ")), &cut("def xyz abc "));
        assert_eq!(plan.kept, [Some(11), None, Some(10)]);
        assert_eq!(plan.moved, [(11, 0), (10, 2)]);
        assert_eq!(plan.removed, [12]);
    }

    #[test]
    fn chunks_of_one_text_are_kept_one_by_one() {
        let plan = Plan::new(&stored(&cut("abc abc ")), &cut("abc abc abc "));
        assert_eq!(plan.kept, [Some(10), Some(11), None]);
        let plan = Plan::new(&stored(&cut("abc abc abc ")), &cut("abc "));
        assert_eq!((plan.kept, plan.removed), (vec![Some(10)], vec![11, 12]));
    }
}
