//! Requests to servers: one pooled keep-alive agent for the process, and one exchange through it.
//!
//! Nothing here knows a provider. Redirects are not followed: a POST with texts and a key goes where the
//! user said, or nowhere.

mod kept;
pub mod pace;
pub mod policy;
mod records;
pub mod retry;
mod socket;

pub(crate) use socket::{interruptible, may_wait};

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use ureq::tls::{self, PemItem, RootCerts, TlsConfig};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, RustlsConnector, SocksConnector};
use ureq::{Agent, Proxy, Timeout, http};
use zeroize::Zeroizing;

use crate::cache::{Key, hash_secrets};
use crate::client::Client;
use crate::error::{PROVIDER_MESSAGE_MAX, bounded};
use crate::process::PerProcess;
use crate::provider::{Failure, HttpReply, Verdict};
use crate::scrub::Scrubber;

/// The largest body that is read, after decompression.
pub const BODY_MAX: u64 = 256 << 20;

/// What is read of a reply that is no success: a message, not data.
const ERROR_BODY_MAX: u64 = 64 << 10;

/// A body is read in parts of this size, as a few bytes on the wire may unpack to a thousand times as many.
const PART: usize = 64 << 10;

/// Idle connections kept to one server, and in all: a pool of 32 statements at once reuses its own.
const IDLE_PER_HOST: usize = 64;
const IDLE: usize = 128;
/// A connection's buffers, which it keeps while it is idle.
const BUFFER: usize = 32 << 10;

/// The largest `SSL_CERT_FILE` that is read; Mozilla's bundle is 230 kB.
const ROOTS_MAX: usize = 4 << 20;

/// The certificates that a server's may rest on: those of `SSL_CERT_FILE`, as OpenSSL and curl take it, or
/// Mozilla's, which are compiled in.
static ROOTS: PerProcess<Result<RootCerts, String>> = PerProcess::new(|parent| {
    if let Some(parent) = parent {
        return parent.clone();
    }
    let Some(path) = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) else {
        return Ok(RootCerts::WebPki);
    };
    let wrong = |why: String| format!("SSL_CERT_FILE ({}): {why}", path.to_string_lossy());
    let text = crate::file::read_once(path.as_ref(), ROOTS_MAX).map_err(wrong)?;
    let mut roots = Vec::new();
    for item in tls::parse_pem(&text) {
        if let PemItem::Certificate(root) = item.map_err(|e| wrong(e.to_string()))? {
            roots.push(root);
        }
    }
    match roots.is_empty() {
        true => Err(wrong("it holds no certificate".into())),
        false => Ok(RootCerts::from(roots)),
    }
});

static AGENT: PerProcess<Agent> = PerProcess::new(|_| {
    let roots = ROOTS.clone().unwrap_or(RootCerts::WebPki);
    let config = Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(IDLE)
        .max_idle_connections_per_host(IDLE_PER_HOST)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .max_idle_age(Duration::from_secs(30))
        .user_agent(concat!("sqlite-rembed/", env!("CARGO_PKG_VERSION")))
        .build();
    // ureq's own chain (read its DefaultConnector) with a socket that can be interrupted, buffers that are wiped, and
    // no reply that is left over.
    let connector =
        ().chain(SocksConnector::default())
            .chain(ConnectProxyConnector::default())
            .chain(socket::SocketConnector)
            .chain(records::RecordsConnector)
            .chain(RustlsConnector::default())
            .chain(kept::KeptConnector);
    Agent::with_parts(config, connector, socket::LateResolver)
});

/// A proxy variable that is set to no proxy's address. ureq would go without one.
static BAD_PROXY: PerProcess<Option<&str>> = PerProcess::new(|_| {
    let names = ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
    let bad = |value: std::ffi::OsString| {
        !value.is_empty() && value.to_str().is_none_or(|v| Proxy::new(v).is_err())
    };
    names.into_iter().find(|name| std::env::var_os(name).is_some_and(bad))
});

/// How often a wait asks whether it is interrupted.
pub(crate) const SLICE: Duration = Duration::from_millis(50);

/// Tells whether the statement that waits for a request is to end.
pub trait Interrupt: Send + Sync {
    /// Asked from the waiting thread, about every 50 ms.
    fn is_interrupted(&self) -> bool;
}

/// For engines that cannot tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct Never;

impl Interrupt for Never {
    fn is_interrupted(&self) -> bool {
        false
    }
}

/// The headers of a client's requests, with keys read at the time of the call.
pub struct Headers {
    map: HeaderMap,
    scrubber: Scrubber,
    has_key: bool,
    digest: Key,
}

impl Headers {
    /// Reads the keys of `client`, in the time that it has for a request.
    ///
    /// # Errors
    /// A key that cannot be read or may not travel, in words for the user.
    pub fn of(client: &Client, interrupt: &Arc<dyn Interrupt>) -> Result<Headers, String> {
        let read = read(client, interrupt)?;
        let (map, digest) = (HeaderMap::new(), digest(&read));
        let mut headers = Headers { map, scrubber: Scrubber::default(), has_key: false, digest };
        headers.map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for header in read {
            if header.is_secret {
                headers.scrubber.add(&header.value);
            }
            headers.has_key |= policy::authenticates(header.name);
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|e| e.to_string())?;
            headers.insert(name, header.prefix, &header.value);
        }
        for value in policy::keys_of_query(client.endpoint()) {
            headers.scrubber.add(value);
            headers.has_key = true;
        }
        Ok(headers)
    }

    /// The [`Headers::digest`] of what [`Headers::of`] would read.
    ///
    /// # Errors
    /// As there.
    pub fn digest_of(client: &Client, interrupt: &Arc<dyn Interrupt>) -> Result<Key, String> {
        read(client, interrupt).map(|read| digest(&read))
    }

    /// A hash of all names and values.
    pub fn digest(&self) -> &Key {
        &self.digest
    }

    fn insert(&mut self, name: HeaderName, prefix: &str, text: &str) {
        // The value shares this buffer, so that the last holder wipes it.
        let text = Zeroizing::new([prefix.as_bytes(), text.as_bytes()].concat());
        if let Ok(mut value) = HeaderValue::from_maybe_shared(bytes::Bytes::from_owner(Wiped(text))) {
            value.set_sensitive(true);
            self.map.insert(name, value);
        }
    }

    /// Whether a key is among them.
    pub fn has_key(&self) -> bool {
        self.has_key
    }

    /// `text` without any of the keys: a server may repeat what it was sent.
    pub fn scrub(&self, text: &str) -> Zeroizing<String> {
        self.scrubber.scrub(text)
    }

    /// Puts stars over the keys in the body of a reply.
    fn mask(&self, exchange: &mut Exchange) {
        self.scrubber.mask(&mut exchange.body);
    }

    /// What a user is told of `text`, which may be a server's: without any of the keys, and then bounded.
    pub fn quote(&self, text: &str) -> String {
        bounded(&self.scrub(text), PROVIDER_MESSAGE_MAX)
    }
}

/// A header of a client's own.
struct Header<'a> {
    name: &'a str,
    prefix: &'static str,
    value: Zeroizing<String>,
    is_secret: bool,
}

/// The headers of `client`, the key first, in the time that it has for a request.
fn read<'a>(client: &'a Client, interrupt: &Arc<dyn Interrupt>) -> Result<Vec<Header<'a>>, String> {
    let _interruptible = interruptible(interrupt, Instant::now() + client.timeout());
    let mut headers = Vec::new();
    if let Some(value) = client.key()? {
        headers.push(Header { name: AUTHORIZATION.as_str(), prefix: "Bearer ", value, is_secret: true });
    }
    for (name, value) in &client.options().headers {
        let is_secret = policy::is_secret(name, value);
        if is_secret {
            policy::check_key(client.endpoint(), client.options().allow_http)?;
        }
        headers.push(Header { name, prefix: "", value: value.read()?, is_secret });
    }
    Ok(headers)
}

/// A hash of all names and values, in whatever order a user wrote them.
fn digest(headers: &[Header<'_>]) -> Key {
    let mut sorted: Vec<_> = headers.iter().collect();
    sorted.sort_by_key(|header| header.name);
    hash_secrets(
        sorted
            .into_iter()
            .flat_map(|header| [header.name.as_bytes(), header.prefix.as_bytes(), header.value.as_bytes()]),
    )
}

struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A reply, whatever its status. Its body is wiped, since a server may repeat the key.
pub struct Exchange {
    status: u16,
    body: Vec<u8>,
    retry_after: Option<Duration>,
    should_retry: Option<bool>,
}

impl Exchange {
    /// Whether the status is a success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The size of the body, decompressed.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    /// The body as text, with `?` for what is none.
    fn text(&mut self) -> &str {
        let mut from = 0;
        while let Err(e) = std::str::from_utf8(&self.body[from..]) {
            from += e.valid_up_to();
            self.body[from] = b'?';
        }
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    /// As providers read it.
    pub fn reply(&self) -> HttpReply<'_> {
        HttpReply {
            status: self.status,
            body: &self.body,
            retry_after: self.retry_after,
            should_retry: self.should_retry,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // As much as zeroize does, at the speed that a reply of megabytes needs.
        self.body.fill(0);
        std::hint::black_box(&self.body);
    }
}

/// Sends one request and reads the whole reply.
///
/// # Errors
/// No connection, no reply before `deadline`, a reply that is cut off or larger than [`BODY_MAX`].
pub fn exchange(
    client: &Client,
    headers: &Headers,
    body: &[u8],
    deadline: Instant,
    interrupt: &Arc<dyn Interrupt>,
) -> Result<Exchange, Failure> {
    let _interruptible = socket::interruptible(interrupt, deadline);
    let endpoint = client.endpoint();
    let trouble = |e: ureq::Error| trouble(client, e);
    if let (Some("https"), Err(why)) = (endpoint.scheme_str(), &*ROOTS) {
        return Err(Failure::permanent(why.clone()));
    }
    let bad_proxy = if policy::is_loopback(endpoint) { None } else { *BAD_PROXY };
    if let Some(name) = bad_proxy {
        return Err(Failure::permanent(format!(
            "the environment variable {name} is not the address of a proxy"
        )));
    }
    let response = match send(client, headers, body, deadline) {
        Err(e) if kept::is_stale(&e) => {
            let _afresh = kept::afresh();
            send(client, headers, body, deadline)
        }
        done => done,
    };
    let response = response.map_err(trouble)?;
    let status = response.status().as_u16();
    let retry_after = retry::wait_asked(response.headers());
    let should_retry = match response.headers().get("x-should-retry").map(HeaderValue::as_bytes) {
        Some(b"true") => Some(true),
        Some(b"false") => Some(false),
        _ => None,
    };
    let response_body = response.into_body();
    // A length is a claim: it sizes the buffer only as far as a normal reply goes.
    let expected = response_body.content_length().unwrap_or(0).min(16 << 20) as usize;
    // Room for what may repeat a key: growing would leave a copy behind that nobody wipes.
    let body = Vec::with_capacity(expected.max(ERROR_BODY_MAX as usize) + 1);
    let mut exchange = Exchange { status, body, retry_after, should_retry };
    let most = if exchange.is_success() { BODY_MAX + 1 } else { ERROR_BODY_MAX };
    let reader = response_body.into_with_config().limit(u64::MAX).reader().take(most);
    read_body(reader, &mut exchange.body).map_err(trouble)?;
    if exchange.size() as u64 > BODY_MAX {
        return Err(Failure::permanent(format!("the reply is larger than {} MiB", BODY_MAX >> 20)));
    }
    Ok(exchange)
}

/// Sends a request. Its reply is read up to the body.
fn send(
    client: &Client,
    headers: &Headers,
    body: &[u8],
    deadline: Instant,
) -> Result<http::Response<ureq::Body>, ureq::Error> {
    let endpoint = client.endpoint();
    let time_left = deadline.saturating_duration_since(Instant::now());
    let mut request = AGENT
        .post(endpoint)
        .config()
        .timeout_global(Some(time_left))
        .timeout_connect(Some(client.connect_timeout()));
    if policy::is_loopback(endpoint) {
        request = request.proxy(None);
    }
    let mut request = request.build();
    if let Some(map) = request.headers_mut() {
        map.clone_from(&headers.map);
    }
    request.send(body)
}

/// Reads to the end, in parts between which the deadline and the interrupt are seen; in little more memory than it
/// has bytes.
fn read_body(mut reader: impl Read, body: &mut Vec<u8>) -> Result<(), ureq::Error> {
    loop {
        socket::check()?;
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

/// Who answers, in words for the user.
fn server(client: &Client) -> String {
    let endpoint = client.endpoint();
    let server = endpoint.authority().map_or("", http::uri::Authority::as_str);
    match AGENT.config().proxy().filter(|_| !policy::is_loopback(endpoint)) {
        Some(proxy) => format!("{server} (through the proxy {}:{})", proxy.host(), proxy.port()),
        None => server.to_owned(),
    }
}

/// The failure of a request whose time is up.
fn too_late(client: &Client) -> Failure {
    let seconds = client.timeout().as_secs_f64();
    let server = server(client);
    Failure::permanent(format!("no complete reply from {server} within {seconds} s (option timeout)"))
}

/// No reply came: why, in words for the user, and whether to try again.
fn trouble(client: &Client, error: ureq::Error) -> Failure {
    let server = server(client);
    let retry = |message| Failure { message, verdict: Verdict::Retry(None) };
    let permanent = Failure::permanent;
    // What ureq reports while it reads a body arrives inside an io::Error.
    let error = match error {
        ureq::Error::Io(e) => match e.downcast::<ureq::Error>() {
            Ok(inner) => inner,
            Err(e) => ureq::Error::Io(e),
        },
        other => other,
    };
    match error {
        ureq::Error::Timeout(Timeout::Connect) => retry(format!(
            "cannot connect to {server} within {} s (option connect_timeout)",
            client.connect_timeout().as_secs_f64()
        )),
        ureq::Error::Timeout(_) => too_late(client),
        ureq::Error::HostNotFound => retry(format!("the host of {server} was not found: check 'url'")),
        ureq::Error::ConnectProxyFailed(e) => retry(format!("the proxy does not connect to {server}: {e}")),
        ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
            retry(format!("cannot connect to {server}: connection refused (is the server running?)"))
        }
        ureq::Error::Io(e) => retry(format!("the connection to {server} failed: {e}")),
        ureq::Error::Protocol(e) => retry(format!("{server} does not answer in HTTP: {e}")),
        ureq::Error::ConnectionFailed => retry(format!("cannot connect to {server}")),
        e => permanent(format!("request to {server}: {e}")),
    }
}
