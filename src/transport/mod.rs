//! Requests to servers: one exchange, given an endpoint, headers, a body and a deadline.
//!
//! Nothing here knows a provider or a client. Redirects are not followed: a POST with texts and a key goes where the
//! user said, or nowhere.

mod absolute;
mod agent;
pub mod asked;
mod connect;
mod identity;
mod kept;
mod proxy;
mod records;
mod socket;
mod through;
mod tls;
mod trouble;
mod trust;
mod wait;

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http;
use ureq::http::header::{HeaderMap, HeaderValue};

use crate::base::certificate::Identity;
use crate::base::interrupt::{Interrupt, interruptible};
use crate::base::wiped::Wiped;
use agent::AGENT;
use flate2::read::MultiGzDecoder;
pub use proxy::secrets as proxy_secrets;
pub use trouble::{Kind, Trouble, too_late};

/// The largest body that is read, after decompression.
pub const BODY_MAX: u64 = 256 << 20;

/// What is read of a reply that is no success: a message, not data.
const ERROR_BODY_MAX: u64 = 64 << 10;

/// A body is read in parts of this size, as a few bytes on the wire may unpack to a thousand times as many.
const PART: usize = 64 << 10;

/// Where a request goes, and the times that its user allows, which errors state.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The URL.
    pub endpoint: &'a http::Uri,
    /// Time for the whole call.
    pub timeout: Duration,
    /// Time for connecting.
    pub connect_timeout: Duration,
}

/// Who sends a request: its headers, and for TLS the certificate, if the client has one.
#[derive(Clone, Copy)]
pub struct Sender<'a> {
    /// As they are sent.
    pub headers: &'a HeaderMap,
    /// What a server that asks for it is shown.
    pub identity: Option<&'a Identity>,
}

/// A reply, whatever its status. Its body is wiped, since a server may repeat the key.
pub struct Exchange {
    /// The HTTP status.
    pub status: u16,
    /// The body, decompressed.
    pub body: Wiped,
    /// The wait that the server asks for.
    pub retry_after: Option<Duration>,
    /// What `x-should-retry` says.
    pub should_retry: Option<bool>,
    /// Where the server redirects to.
    pub location: Option<String>,
}

impl Exchange {
    /// Whether the status is a success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as text, with `?` for what is none.
    pub fn text(&mut self) -> &str {
        let mut from = 0;
        while let Err(e) = std::str::from_utf8(&self.body[from..]) {
            from += e.valid_up_to();
            self.body[from] = b'?';
        }
        std::str::from_utf8(&self.body).unwrap_or_default()
    }
}

/// Sends one request and reads the whole reply.
///
/// # Errors
/// No connection, no reply before `deadline`, a reply that is cut off or larger than [`BODY_MAX`].
pub fn exchange(
    target: &Target<'_>,
    sender: Sender<'_>,
    body: &[u8],
    deadline: Instant,
    interrupt: &Arc<dyn Interrupt>,
) -> Result<Exchange, Trouble> {
    let _interruptible = interruptible(interrupt, deadline);
    let endpoint = target.endpoint;
    let trouble = |e: ureq::Error| trouble::trouble(target, e);
    let permanent = |why: &String| Trouble::permanent(why.clone());
    let agent = match (endpoint.scheme_str(), sender.identity) {
        (Some("https"), Some(identity)) => &identity::agent_of(identity).map_err(Trouble::permanent)?,
        (Some("https"), None) => {
            trust::TRUST.as_ref().map_err(permanent)?;
            &*AGENT
        }
        _ => &*AGENT,
    };
    if let Err(name) = proxy::of(endpoint) {
        return Err(Trouble::permanent(format!(
            "the environment variable {name} is not the address of a proxy"
        )));
    }
    let headers = sender.headers;
    let response = match send(agent, target, headers, body, deadline) {
        Err(e) if kept::is_stale(&e) => {
            let _afresh = kept::afresh();
            send(agent, target, headers, body, deadline)
        }
        done => done,
    };
    let response = response.map_err(trouble)?;
    let status = response.status().as_u16();
    let retry_after = asked::wait_asked(status, response.headers());
    let should_retry = match response.headers().get("x-should-retry").map(HeaderValue::as_bytes) {
        Some(b"true") => Some(true),
        Some(b"false") => Some(false),
        _ => None,
    };
    let location = response.headers().get("location").and_then(|value| value.to_str().ok());
    let location = location.map(str::to_owned);
    let is_gzip = is_gzip(response.headers());
    let response_body = response.into_body();
    // Room for what may repeat a key: growing would leave a copy behind that nobody wipes. The server may claim any
    // length. The claim is believed up to the size of a normal reply.
    let claimed = response_body.content_length().filter(|_| !is_gzip);
    let room = claimed.unwrap_or(ERROR_BODY_MAX).min(16 << 20) as usize;
    let body = Wiped::new(Vec::with_capacity(room + 1));
    let mut exchange = Exchange { status, body, retry_after, should_retry, location };
    let most = if exchange.is_success() { BODY_MAX + 1 } else { ERROR_BODY_MAX };
    let reader = response_body.into_with_config().limit(u64::MAX).reader();
    let read = match is_gzip {
        true => read_body(Unpacked(MultiGzDecoder::new(reader)).take(most), &mut exchange.body),
        false => read_body(reader.take(most), &mut exchange.body),
    };
    read.map_err(trouble)?;
    if exchange.body.len() as u64 > BODY_MAX {
        return Err(Trouble::permanent(format!("the reply is larger than {} MiB", BODY_MAX >> 20)));
    }
    Ok(exchange)
}

/// Whether a body is packed as we ask for. Coding names are of any case, and have an older form (RFC 9110, 8.4.1).
fn is_gzip(headers: &HeaderMap) -> bool {
    let coding = headers.get("content-encoding").map_or(&[][..], HeaderValue::as_bytes).trim_ascii();
    coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip")
}

/// A body that is unpacked, and says so of its errors.
struct Unpacked<R>(MultiGzDecoder<R>);

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf).map_err(|e| match e.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                ureq::Error::Other(format!("its gzip is damaged: {e}").into()).into_io()
            }
            _ => e,
        })
    }
}

/// Sends a request. Its reply is read up to the body.
fn send(
    agent: &ureq::Agent,
    target: &Target<'_>,
    headers: &HeaderMap,
    body: &[u8],
    deadline: Instant,
) -> Result<http::Response<ureq::Body>, ureq::Error> {
    let time_left = deadline.saturating_duration_since(Instant::now());
    let mut request = agent
        .post(target.endpoint)
        .config()
        .timeout_global(Some(time_left))
        .timeout_connect(Some(target.connect_timeout))
        .build();
    if let Some(map) = request.headers_mut() {
        map.clone_from(headers);
    }
    request.send(body)
}

/// Reads to the end, in parts between which the deadline and the interrupt are seen; in little more memory than it
/// has bytes.
fn read_body(mut reader: impl Read, body: &mut Vec<u8>) -> Result<(), ureq::Error> {
    loop {
        wait::check()?;
        let room = body.capacity() - body.len();
        if room == 0 {
            body.reserve_exact(PART.max(body.len() / 8));
        }
        let part = PART.min(body.capacity() - body.len());
        let read = reader.by_ref().take(part as u64).read_to_end(body)?;
        if read < part {
            if body.len() > ERROR_BODY_MAX as usize {
                body.shrink_to_fit();
            }
            return Ok(());
        }
    }
}
