//! What locks a registry.

use crate::base::process::PerProcess;

/// `REMBED_LOCK`, read once: nobody can unlock by changing the environment of the running process. A word that is not
/// understood locks.
pub(super) static LOCKED: PerProcess<bool> =
    PerProcess::new(|parent| match (parent, std::env::var_os("REMBED_LOCK")) {
        (Some(locked), _) => *locked,
        (None, Some(word)) => locks(&word.to_string_lossy()),
        (None, None) => false,
    });

fn locks(word: &str) -> bool {
    !["", "0", "false", "no", "off"].contains(&word.trim().to_ascii_lowercase().as_str())
}

/// What keeps a registry from being changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// `REMBED_LOCK`: every registry of the process, from the start.
    Process,
    /// `rembed_lock()`: this registry, since then.
    Session,
}

impl Lock {
    /// The name that users know the lock by.
    pub fn name(self) -> &'static str {
        match self {
            Lock::Process => "REMBED_LOCK",
            Lock::Session => "rembed_lock()",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_understood_locks() {
        for word in ["1", "true", "yes", " on ", "2", "\u{fffd}"] {
            assert!(locks(word), "{word}");
        }
        for word in ["", "0", "FALSE", "no", " off "] {
            assert!(!locks(word), "{word}");
        }
    }
}
