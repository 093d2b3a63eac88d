//! Hashes that name things: vectors in the caches, and clients that are configured alike.

/// A hash that names a thing: everything that makes a difference has gone into it.
pub type Digest = [u8; 32];

/// Hashes parts, each with its length before it, so that no two lists of parts give the same bytes.
#[derive(Debug, Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Adds a part.
    pub fn part(mut self, bytes: &[u8]) -> Hasher {
        add(&mut self.0, bytes);
        self
    }

    /// The hash of the parts.
    pub fn finish(&self) -> Digest {
        *self.0.finalize().as_bytes()
    }
}

/// The hash of two hashes. Both have a fixed length, so their border needs no mark.
pub fn join(first: &Digest, second: &Digest) -> Digest {
    *blake3::hash([*first, *second].as_flattened()).as_bytes()
}

/// Adds a part, with its length before it.
fn add(hasher: &mut blake3::Hasher, part: &[u8]) {
    hasher.update(&(part.len() as u64).to_le_bytes());
    hasher.update(part);
}

/// The hash of parts of which some are secret, with no copy of them left behind.
pub fn hash_secrets<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    // The hasher is not moved: a move would leave a copy of its buffer, and so of a secret, where it was.
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        add(&mut hasher, part);
    }
    // Two blocks of zeros push the secrets out of the buffer, and out of the last block, which finalize() copies.
    hasher.update(&[0; 128]);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_between_parts_counts() {
        let hash =
            |parts: &[&str]| parts.iter().fold(Hasher::default(), |h, p| h.part(p.as_bytes())).finish();
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_ne!(hash(&["a", ""]), hash(&["a"]));
        assert_eq!(hash(&["a", "b"]), hash(&["a", "b"]));
    }
}
