//! Looks for a secret in the memory of this process without having it there.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

const MASK: u8 = 0xa5;
const CHUNK: usize = 1 << 20;
/// An allocator writes over the beginning of what is freed: the end of a secret is what is looked for.
const TAIL: usize = 16;

/// A secret of which only a masked copy is kept.
pub struct Masked(Vec<u8>);

impl Masked {
    /// Masks a secret, for a process that has it anyway.
    pub fn of(secret: &str) -> Self {
        Self(secret.bytes().map(|byte| byte ^ MASK).collect())
    }

    /// As a text for an environment variable.
    pub fn to_text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads [`Masked::to_text`].
    pub fn from_text(text: &str) -> Self {
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        Self((0..text.len()).step_by(2).map(byte).collect())
    }

    /// Calls `work` with the secret between `before` and `after`, with a NUL at the end, and wipes it.
    pub fn uncovered<T>(&self, before: &str, after: &str, work: impl FnOnce(&[u8]) -> T) -> T {
        let mut text = vec![0; before.len() + self.0.len() + after.len() + 1];
        let (head, rest) = text.split_at_mut(before.len());
        head.copy_from_slice(before.as_bytes());
        for (to, from) in rest.iter_mut().zip(&self.0) {
            *to = from ^ MASK;
        }
        rest[self.0.len()..][..after.len()].copy_from_slice(after.as_bytes());
        let result = work(&text);
        for byte in &mut text {
            // SAFETY: a byte of ours; volatile, so that the compiler keeps a write that nobody reads.
            unsafe { std::ptr::write_volatile(byte, 0) };
        }
        result
    }

    /// Where the end of the secret stands in memory that this process may write: its heaps, stacks and data.
    pub fn find_in_memory(&self) -> Vec<String> {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let memory = File::open("/proc/self/mem").unwrap();
        let mut buffer = vec![0; CHUNK + self.0.len()];
        let mut found = Vec::new();
        for mapping in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|p| p.starts_with("rw")))
        {
            let (start, end) = mapping.split(' ').next().unwrap().split_once('-').unwrap();
            let [start, end] = [start, end].map(|hex| u64::from_str_radix(hex, 16).unwrap());
            let mut at = start;
            while at < end {
                let wanted = buffer.len().min((end - at) as usize);
                // Some special mappings cannot be read; what cannot be read is not looked into.
                let Ok(n) = memory.read_at(&mut buffer[..wanted], at) else { break };
                let hits = (0..n).filter(|i| self.is_at(&buffer[*i..n]));
                found.extend(hits.map(|i| format!("{:#x} in {mapping}", at + i as u64)));
                at += CHUNK as u64;
            }
        }
        found
    }

    fn is_at(&self, bytes: &[u8]) -> bool {
        let tail = &self.0[self.0.len().saturating_sub(TAIL)..];
        bytes.len() >= tail.len() && bytes.iter().zip(tail).all(|(byte, masked)| byte ^ MASK == *masked)
    }
}
