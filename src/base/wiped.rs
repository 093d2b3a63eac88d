//! Bytes that may hold a key.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// Bytes that are wiped when they are dropped: as much as zeroize does, at the speed that a reply of megabytes needs.
/// Only what it holds is wiped, so it must not be cut, nor grow beyond the room it has: both leave bytes behind.
#[derive(Default)]
pub struct Wiped(Vec<u8>);

impl Wiped {
    /// Takes `bytes`.
    pub fn new(bytes: Vec<u8>) -> Wiped {
        Wiped(bytes)
    }
}

impl Deref for Wiped {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The bytes stay out.
impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_not_shown() {
        let shown = format!("{:?}", Wiped::new(b"k-secret".to_vec()));
        assert_eq!(shown, "8 bytes");
    }
}
