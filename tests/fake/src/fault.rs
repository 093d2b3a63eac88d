//! What can go wrong on purpose: when (the selector) and how (the actions).

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use serde_json::{Map, Value};

/// One entry of the list `"faults"`. It strikes when all its selectors agree, and a fault without
/// selectors always strikes. Several actions may stand in one fault.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// Selector: the first n requests.
    pub first: Option<u64>,
    /// Selector: these requests, counted from 0.
    pub requests: Option<Vec<u64>>,
    /// Selector: every n-th request.
    pub every: Option<u64>,
    /// Selector: requests having a text that contains this. The other selectors then count only
    /// such requests, and the faults of one row befall the row of that text.
    pub text: Option<String>,

    /// Wait before going on.
    pub delay_ms: Option<u64>,
    /// Answer with this status.
    pub status: Option<u16>,
    /// Headers to add to the reply.
    pub headers: Map<String, Value>,
    /// Body of that answer, JSON or plain text; by default the provider's own error.
    pub body: Option<Value>,
    /// Answer with this body, which is large for no reason.
    pub repeat: Option<Repeat>,
    /// Reset the connection.
    pub reset: Option<Reset>,
    /// Never answer.
    pub hang: bool,
    /// Send the body a few bytes at a time, with this pause between.
    pub drip_ms: Option<u64>,
    /// Send only so many bytes of the body, then close.
    pub truncate: Option<usize>,
    /// Send the rows in another order, each with its own index.
    pub order: Option<Order>,
    /// Give row 1 the index of row 0.
    pub duplicate_index: bool,
    /// Send more rows or fewer.
    pub count: Option<i64>,
    /// Give one row another width.
    pub row_width: Option<usize>,
    /// Give all rows another width.
    pub width: Option<usize>,
    /// Put a NaN into one row.
    pub nan: bool,
    /// Put an infinity into one row.
    pub inf: bool,
    /// Send null for one row.
    pub null: bool,
    /// Make one row all zeros.
    pub zero: bool,
    /// Send no rows at all.
    pub empty: bool,
    /// Send a body that never ends.
    pub endless: bool,
    /// Send a header of 256 KiB.
    pub huge_header: bool,
    /// Cut the JSON in half.
    pub bad_json: bool,
    /// Answer 200 with a web page.
    pub html: bool,
    /// Answer 307 to this place.
    pub redirect: Option<String>,
    /// Close the connection after the reply.
    pub close: Option<Close>,

    #[serde(skip)]
    met: AtomicU64,
}

/// A body that says one thing again and again. It is made once, so that the next request has its reply at once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    before: String,
    unit: String,
    times: usize,
    after: String,
    #[serde(skip)]
    plain: OnceLock<Bytes>,
    #[serde(skip)]
    packed: OnceLock<Bytes>,
}

impl Repeat {
    /// The body, compressed or not.
    pub fn body(&self, gzip: bool) -> Bytes {
        let plain = || Bytes::from(format!("{}{}{}", self.before, self.unit.repeat(self.times), self.after));
        match gzip {
            true => self.packed.get_or_init(|| compressed(&plain())).clone(),
            false => self.plain.get_or_init(plain).clone(),
        }
    }
}

/// `bytes` in gzip.
pub fn compressed(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("a Vec takes everything");
    encoder.finish().expect("a Vec takes everything").into()
}

/// When the connection is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reset {
    /// Instead of a reply.
    Before,
    /// In the middle of the body.
    Mid,
}

/// Another order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The last first.
    Reversed,
    /// Like a pack of cards, the same way each time.
    Shuffled,
}

/// How the connection is closed after a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "Value")]
pub enum Close {
    /// With `Connection: close`.
    Announced,
    /// Without a word, as a server does that drops idle connections.
    Silent,
}

impl From<Value> for Close {
    fn from(value: Value) -> Self {
        if value == "silent" { Self::Silent } else { Self::Announced }
    }
}

impl Fault {
    /// The answer to one request too many.
    pub fn too_many(wait: Duration) -> Self {
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        let headers = [
            ("retry-after".to_owned(), seconds.into()),
            ("retry-after-ms".to_owned(), (wait.as_millis() as u64).into()),
        ];
        Self { status: Some(429), headers: headers.into_iter().collect(), ..Self::default() }
    }

    /// Whether the fault strikes this request, the `number`-th of its scenario.
    pub fn strikes(&self, number: u64, texts: &[impl AsRef<str>]) -> bool {
        let number = match &self.text {
            None => number,
            Some(needle) if texts.iter().any(|text| text.as_ref().contains(needle)) => {
                self.met.fetch_add(1, Relaxed)
            }
            Some(_) => return false,
        };
        self.first.is_none_or(|n| number < n)
            && self.requests.as_ref().is_none_or(|list| list.contains(&number))
            && self.every.is_none_or(|n| (number + 1).is_multiple_of(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: &str) -> Fault {
        serde_json::from_str(json).unwrap()
    }

    fn struck(json: &str, texts: &[&str]) -> Vec<u64> {
        let fault = fault(json);
        (0..6).filter(|&number| fault.strikes(number, texts)).collect()
    }

    #[test]
    fn selectors_agree() {
        assert_eq!(struck("{}", &[]), [0, 1, 2, 3, 4, 5]);
        assert_eq!(struck(r#"{"first":2}"#, &[]), [0, 1]);
        assert_eq!(struck(r#"{"requests":[0,3]}"#, &[]), [0, 3]);
        assert_eq!(struck(r#"{"every":2}"#, &[]), [1, 3, 5]);
        assert_eq!(struck(r#"{"every":2,"first":2}"#, &[]), [1]);
        assert_eq!(struck(r#"{"text":"b"}"#, &["abc"]), [0, 1, 2, 3, 4, 5]);
        assert_eq!(struck(r#"{"text":"x"}"#, &["abc"]), [0; 0]);
    }

    #[test]
    fn a_needle_counts_its_own_requests() {
        let fault = fault(r#"{"text":"bad","first":1}"#);
        assert!(!fault.strikes(0, &["good"]));
        assert!(fault.strikes(1, &["good", "very bad"]));
        assert!(!fault.strikes(2, &["very bad"]));
    }

    #[test]
    fn an_unknown_word_is_refused() {
        assert!(serde_json::from_str::<Fault>(r#"{"frist":2}"#).is_err());
    }
}
