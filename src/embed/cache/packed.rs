//! A vector as a store keeps it: what was changed on the disk, or is another text's, is not taken for it.

use super::Vector;
use crate::base::hash::Digest;

/// A vector as it is kept: 8 bytes of a hash over key and numbers, then the numbers.
pub fn pack(key: &Digest, vector: &Vector) -> Vec<u8> {
    let numbers = crate::base::vector::to_bytes(vector);
    [&checksum(key, &numbers)[..], &numbers].concat()
}

/// The vector, unless the bytes are not what was kept.
pub fn unpack(key: &Digest, bytes: &[u8]) -> Option<Vector> {
    let (sum, numbers) = bytes.split_at_checked(8)?;
    if numbers.is_empty() || numbers.len() % 4 != 0 || sum != checksum(key, numbers) {
        return None;
    }
    Some(numbers.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

fn checksum(key: &Digest, numbers: &[u8]) -> [u8; 8] {
    let hash = blake3::Hasher::new().update(key).update(numbers).finalize();
    let mut sum = [0; 8];
    sum.copy_from_slice(&hash.as_bytes()[..8]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_a_miss() {
        let (key, vector): (Digest, Vector) = ([1; 32], vec![0.5, -1.0].into());
        let bytes = pack(&key, &vector);
        assert_eq!(unpack(&key, &bytes), Some(vector));
        for i in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[i] ^= 1;
            assert_eq!(unpack(&key, &damaged), None, "byte {i}");
        }
        assert_eq!(unpack(&[2; 32], &bytes), None);
        assert_eq!(unpack(&key, &bytes[..bytes.len() - 4]), None);
        assert_eq!(unpack(&key, &[]), None);
    }
}
