//! The token that a server gives for a key, for servers that take no key: kept in memory until it expires, and wiped.
//!
//! Nothing here sends: whoever needs a token brings what fetches one. One thread fetches, and the others wait for it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::shared::Shared;
use crate::base::hash::Digest;
use crate::base::interrupt::{SLICE, Stop, may_wait};

/// How long before its end a token is no longer used, at most: a request with it takes its time.
const MARGIN: Duration = Duration::from_secs(300);
/// The longest time that a token is believed to live.
const LIFE_MAX: Duration = Duration::from_secs(24 * 3600);

/// A token, as it was fetched.
pub struct Token {
    /// What is sent.
    pub text: Zeroizing<String>,
    /// How long it lives from now.
    pub life: Duration,
}

/// Why there is no token.
#[derive(Debug, PartialEq, Eq)]
pub enum Trouble<E> {
    /// The wait for the thread that fetches one was to end.
    Stopped(Stop),
    /// It could not be fetched.
    Failed(E),
}

/// The token of all clients of one identity.
#[derive(Default)]
pub struct Tokens {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    is_fetched: bool,
}

struct Kept {
    text: Zeroizing<String>,
    /// The key that it was given for.
    key: Digest,
    until: Instant,
}

static ALL: Shared<Tokens> = Shared::new();

impl Tokens {
    /// The one of all clients of this identity, on whichever connections of the process.
    pub fn of(identity: Digest) -> Arc<Tokens> {
        ALL.of(identity)
    }

    /// The token for `key`, and whether it is fresh: the one that is kept, or what `fetch` brings. `refused` is one that
    /// the server took no longer.
    ///
    /// # Errors
    /// What `fetch` says, or that the thread may wait no longer.
    pub fn get<E>(
        &self,
        key: &Digest,
        refused: Option<&str>,
        fetch: impl FnOnce() -> Result<Token, E>,
    ) -> Result<(Zeroizing<String>, bool), Trouble<E>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let usable = |kept: &&Kept| {
                kept.key == *key && Instant::now() < kept.until && refused != Some(kept.text.as_str())
            };
            if let Some(kept) = state.kept.as_ref().filter(usable) {
                return Ok((kept.text.clone(), false));
            }
            if !state.is_fetched {
                break;
            }
            may_wait().map_err(Trouble::Stopped)?;
            let waited = self.changed.wait_timeout(state, SLICE).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
        }
        state.kept = None;
        state.is_fetched = true;
        drop(state);
        // However the fetching ends, the next one may try.
        let _turn = Turn(self);
        let token = fetch().map_err(Trouble::Failed)?;
        let life = token.life.min(LIFE_MAX);
        let until = Instant::now() + (life - (life / 4).min(MARGIN));
        let kept = Kept { text: token.text.clone(), key: *key, until };
        self.state.lock().unwrap_or_else(PoisonError::into_inner).kept = Some(kept);
        Ok((token.text, true))
    }
}

/// The turn of the thread that fetches.
struct Turn<'a>(&'a Tokens);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).is_fetched = false;
        self.0.changed.notify_all();
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::base::interrupt::{Interrupt, Uninterrupted, interruptible};

    const HOUR: Duration = Duration::from_secs(3600);
    const A: Digest = [1; 32];
    const B: Digest = [2; 32];

    fn token(text: &str, life: Duration) -> Result<Token, &'static str> {
        Ok(Token { text: Zeroizing::new(text.into()), life })
    }

    /// What a call of `get` brings, where a fetch would bring `text`.
    fn get(
        tokens: &Tokens,
        key: &Digest,
        refused: Option<&str>,
        text: &str,
        life: Duration,
    ) -> (String, bool) {
        let (token, is_fresh) = tokens.get(key, refused, || token(text, life)).unwrap();
        (token.to_string(), is_fresh)
    }

    #[test]
    fn a_token_is_kept_for_its_key_until_it_expires_or_is_refused() {
        let tokens = Tokens::default();
        assert_eq!(get(&tokens, &A, None, "1", HOUR), ("1".into(), true));
        assert_eq!(get(&tokens, &A, None, "2", HOUR), ("1".into(), false));
        // Another key never gets it.
        assert_eq!(get(&tokens, &B, None, "3", HOUR), ("3".into(), true));
        assert_eq!(get(&tokens, &A, None, "4", HOUR), ("4".into(), true));
        // A token that was replaced meanwhile is not fetched once more.
        assert_eq!(get(&tokens, &A, Some("1"), "5", HOUR), ("4".into(), false));
        assert_eq!(get(&tokens, &A, Some("4"), "6", HOUR), ("6".into(), true));
        for life in [Duration::ZERO, Duration::MAX] {
            let tokens = Tokens::default();
            assert!(get(&tokens, &A, None, "7", life).1);
            assert_eq!(get(&tokens, &A, None, "8", life).1, life.is_zero());
        }
    }

    #[test]
    fn many_threads_fetch_once_and_a_failure_lets_the_next_try() {
        let (tokens, fetched) = (Tokens::default(), AtomicUsize::new(0));
        let fetch = || match fetched.fetch_add(1, Ordering::SeqCst) {
            0 => {
                std::thread::sleep(Duration::from_millis(50));
                Err("no")
            }
            _ => {
                std::thread::sleep(Duration::from_millis(50));
                token("t", HOUR)
            }
        };
        let results: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| tokens.get(&A, None, fetch))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(fetched.load(Ordering::SeqCst), 2);
        assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
    }

    #[test]
    fn who_waits_for_another_stops_in_time() {
        let tokens = Tokens::default();
        std::thread::scope(|scope| {
            let slow = scope.spawn(|| {
                tokens.get(&A, None, || {
                    std::thread::sleep(Duration::from_millis(400));
                    token("t", HOUR)
                })
            });
            while !tokens.state.lock().unwrap().is_fetched {
                std::thread::yield_now();
            }
            let never: Arc<dyn Interrupt> = Arc::new(Uninterrupted);
            let _late = interruptible(&never, Instant::now() + Duration::from_millis(20));
            let waited = tokens.get(&A, None, || token("mine", HOUR));
            assert_eq!(waited.err(), Some(Trouble::Stopped(Stop::Late)));
            assert!(slow.join().unwrap().is_ok());
        });
    }

    #[test]
    fn a_fetch_that_panics_holds_nobody_up() {
        let tokens = Tokens::default();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            tokens.get(&A, None, || -> Result<Token, ()> { panic!("fetch") })
        }));
        assert!(panicked.is_err());
        assert_eq!(get(&tokens, &A, None, "t", HOUR), ("t".into(), true));
    }
}
