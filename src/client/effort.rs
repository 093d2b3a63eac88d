//! How much a client sends at one time, and for how long it tries.

use std::time::Duration;

use super::Client;
use super::pace;
use super::plan::Ceilings;
use crate::base::hash::Digest;
use crate::base::host::is_loopback;

/// The numbers that one reply should have at most: 8 MiB of them, 11 MiB of body as base64. glibc gives larger blocks back
/// to the system again and again, and the page faults take as long as reading does.
const REPLY_NUMBERS: usize = 2 << 20;

/// Who sends a request, and how often and for how long it is tried: what makes the answer of one client that of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effort {
    /// Whose limits and counters its requests are.
    pub identity: Digest,
    /// The options `timeout` and `connect_timeout`.
    pub times: [Duration; 2],
    /// The option `retries`.
    pub retries: u32,
}

impl Client {
    /// Who sends, and how hard it tries.
    pub(crate) fn effort(&self) -> Effort {
        let times = [self.timeout(), self.connect_timeout()];
        Effort { identity: self.identity, times, retries: self.retries() }
    }

    /// The ceilings of one request.
    pub(crate) fn ceilings(&self) -> Ceilings {
        let spec = self.provider.spec();
        let most = self.options.batch_size.unwrap_or(spec.batch_size);
        // Who has few requests a minute wants as many texts in each as may be.
        let counts_requests = self.options.requests_per_minute.is_some();
        let width = self.learned.known_width().or(self.options.dimensions);
        let wide = width.map(|width| (REPLY_NUMBERS / width).max(1)).filter(|_| !counts_requests);
        Ceilings {
            texts: [self.learned.most_texts(), wide].into_iter().flatten().fold(most, usize::min),
            tokens: [self.options.batch_tokens.or(spec.batch_tokens), self.learned.most_tokens()]
                .into_iter()
                .flatten()
                .min(),
        }
    }

    /// Requests in flight for one statement.
    pub(crate) fn concurrency(&self) -> usize {
        // A server on this machine that takes one text at a time computes one at a time.
        let alone = self.ceilings().texts == 1 && is_loopback(&self.endpoint);
        self.options.concurrency.unwrap_or(match &self.local {
            // One request is computed while the rows of another are read and handed out.
            Some(_) => 2,
            None if alone => 1,
            None => 8,
        })
    }

    /// Requests in flight for all its calls in the process. One more than a statement has leaves a place to single calls. More
    /// would make them travel alone to a server on this machine, which works on few at one time; an API elsewhere answers
    /// sooner so: docs/performance.md has the figures.
    pub(crate) fn connections(&self) -> usize {
        let least = self.concurrency() + 1;
        let most = if is_loopback(&self.endpoint) { least } else { least.max(32) };
        self.options.connections.unwrap_or(most)
    }

    /// The limits per minute.
    pub(crate) fn pacing(&self) -> pace::Limits {
        pace::Limits { requests: self.options.requests_per_minute, tokens: self.options.tokens_per_minute }
    }

    /// Attempts after the first.
    pub(crate) fn retries(&self) -> u32 {
        self.options.retries.unwrap_or(4)
    }

    /// Time for one whole call with its retries.
    pub(crate) fn timeout(&self) -> Duration {
        self.options.timeout.unwrap_or(Duration::from_secs(60))
    }

    /// Time for connecting.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.options.connect_timeout.unwrap_or(Duration::from_secs(10))
    }
}

#[cfg(test)]
mod tests {
    use crate::client::tests::client;

    #[test]
    fn wide_vectors_travel_in_smaller_requests() {
        let texts = |more: &str, width| {
            let c = client(&format!(r#"{{"format":"openai","batch_size":2048{more}}}"#)).unwrap();
            c.learned().width(width);
            c.ceilings().texts
        };
        assert_eq!([0, 8, 1024, 8192, usize::MAX].map(|width| texts("", width)), [2048, 2048, 2048, 256, 1]);
        assert_eq!(texts(r#","requests_per_minute":10"#, 8192), 2048);
        // What is asked for is known before a reply comes, and what came is known better.
        assert_eq!([0, 1024].map(|width| texts(r#","dimensions":8192"#, width)), [256, 2048]);
    }
}
