//! Servers that send one reply too many: it must never be taken for the answer to the next request, of the same client
//! or another, over plain connections, TLS and proxies. And servers that behave keep their connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use serde_json::json;
use sqlite_rembed::Session;
use sqlite_rembed::base::interrupt::Uninterrupted;

/// When the leftover comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    /// Never.
    Not,
    /// With the reply: one packet, and over TLS one record.
    Same,
    /// With the reply, in a record of its own.
    Behind,
    /// The first half of its bytes with the reply, the second when the next request has come.
    Half,
    /// So long after the reply.
    Late(Duration),
    /// When the beginning of the next request has come and its end has not.
    Within,
}

use When::{Behind, Half, Late, Not, Same, Within};

/// A server whose vectors tell the text they are for: `text 7` gives `[7, 1]`, a leftover `[-1, 1]`.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    /// Hears of each leftover that was sent.
    sent: mpsc::Receiver<()>,
}

impl Server {
    fn start(tls: bool, when: When) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, sent) = mpsc::channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        let config = tls.then(tls_config);
        thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, SeqCst);
                let (config, sender) = (config.clone(), sender.clone());
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                thread::spawn(move || Peer::new(stream, config).serve(when, &sender));
            }
        });
        Server { port, connections, sent }
    }

    fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

fn tls_config() -> Arc<ServerConfig> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    let chain =
        CertificateDer::pem_file_iter(folder.join("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap())
}

/// A connection as the server has it.
struct Peer {
    stream: TcpStream,
    tls: Option<ServerConnection>,
    input: Vec<u8>,
}

impl Peer {
    fn new(stream: TcpStream, config: Option<Arc<ServerConfig>>) -> Peer {
        Peer { stream, tls: config.map(|config| ServerConnection::new(config).unwrap()), input: Vec::new() }
    }

    /// Reads more; false at the end.
    fn read(&mut self) -> bool {
        let mut piece = [0; 16 << 10];
        let read = match &mut self.tls {
            None => self.stream.read(&mut piece),
            Some(tls) => rustls::Stream::new(tls, &mut self.stream).read(&mut piece),
        };
        match read {
            Ok(n) => self.input.extend(&piece[..n]),
            Err(e) => return e.kind() == ErrorKind::Interrupted,
        }
        !matches!(read, Ok(0))
    }

    /// The bytes that `text` is on the wire.
    fn wire(&mut self, text: &[u8]) -> Vec<u8> {
        let Some(tls) = &mut self.tls else { return text.into() };
        tls.writer().write_all(text).unwrap();
        let mut wire = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut wire).unwrap();
        }
        wire
    }

    /// The text of the next request. A proxy's part is played, too. `early` is called when a part of the body is there.
    fn request(&mut self, mut early: impl FnMut(&mut Peer)) -> Option<String> {
        loop {
            if self.input.starts_with(&[5]) {
                // SOCKS 5, without a password: which methods, which address.
                for reply in [&[5, 0][..], &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]] {
                    self.input.clear();
                    self.stream.write_all(reply).unwrap();
                    self.read().then_some(())?;
                }
            }
            let head = self.input.windows(4).position(|w| w == b"\r\n\r\n");
            if let Some(head) = head {
                let text = String::from_utf8_lossy(&self.input[..head]).to_ascii_lowercase();
                if text.starts_with("connect ") {
                    self.input.drain(..head + 4);
                    self.stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                    continue;
                }
                let length = text.split("content-length: ").nth(1).unwrap();
                let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
                let end = head + 4 + length;
                let mut early = Some(&mut early);
                while self.input.len() < end {
                    if let (Some(early), true) = (early.take(), length > 1 << 20) {
                        early(self);
                    }
                    self.read().then_some(())?;
                }
                let request: Vec<u8> = self.input.drain(..end).collect();
                let body: serde_json::Value = serde_json::from_slice(&request[head + 4..]).unwrap();
                return Some(body["input"][0].as_str().unwrap().into());
            }
            self.read().then_some(())?;
        }
    }

    fn serve(&mut self, when: When, sent: &mpsc::Sender<()>) {
        let leftover = reply(-1, 1_000);
        let mut rest: Vec<u8> = Vec::new();
        let mut has_served = false;
        loop {
            let mut within = false;
            let text = self.request(|peer| {
                if when == Within && has_served {
                    within = true;
                    let wire = peer.wire(&leftover);
                    let _ = peer.stream.write_all(&wire);
                    let _ = sent.send(());
                }
            });
            let Some(text) = text else { return };
            let _ = self.stream.write_all(&std::mem::take(&mut rest));
            if within {
                continue;
            }
            let number: i32 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
            // The second of a pair leaves nothing.
            let first = number % 2 == 0;
            // Of every size, since each buffer on the way takes another amount at once.
            let good = reply(number, [0, 3_000, 6_000, 20_000, 60_000][number as usize / 2 % 5]);
            let wire = match when {
                Same if first => self.wire(&[&good[..], &leftover].concat()),
                Behind if first => [self.wire(&good), self.wire(&leftover)].concat(),
                Half if first => {
                    let (good, mut half) = (self.wire(&good), self.wire(&leftover));
                    rest = half.split_off(half.len() / 2);
                    [good, half].concat()
                }
                _ => self.wire(&good),
            };
            if self.stream.write_all(&wire).is_err() {
                return;
            }
            if let (Late(wait), true) = (when, first) {
                thread::sleep(wait);
                let wire = self.wire(&leftover);
                let _ = self.stream.write_all(&wire);
            }
            if first && when != Within {
                let _ = sent.send(());
            }
            has_served = true;
        }
    }
}

fn reply(number: i32, padding: usize) -> Vec<u8> {
    let padding = " ".repeat(padding);
    let body = json!({"data": [{"index": 0, "embedding": [number, 1]}]}).to_string() + &padding;
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A session with the clients `c` and `d`, which have different keys.
fn session(url: &str) -> Session {
    let session = Session::new("test", Arc::new(Uninterrupted), None);
    for (name, key) in [("c", "key-of-c"), ("d", "key-of-d")] {
        let options = json!({
            "format": "openai", "model": "m", "url": url, "key": key, "cache": "off", "allow_http": true,
            "body": {"encoding_format": "float"}, "retries": 0, "timeout": 20
        });
        session.register(name, options.as_object().unwrap().clone()).unwrap();
    }
    session
}

/// What is wrong with the vector of `text number…`, if anything.
fn wrong(session: &Session, client: &str, number: i32, padding: &str) -> Option<String> {
    match session.embed_one(client, &format!("text {number} {padding}"), None) {
        Ok(vector) if *vector == [number as f32, 1.0] => None,
        other => Some(format!("{other:?}")),
    }
}

/// Asks in pairs: the first request of each leaves its connection with a reply too many.
fn pairs(n: i32, tls: bool, when: When, second: &str, padding: &str) -> Vec<String> {
    let server = Server::start(tls, when);
    let scheme = if tls { "https" } else { "http" };
    let session = session(&format!("{scheme}://localhost:{}/v1", server.port));
    let mut all = Vec::new();
    for i in 0..n {
        all.extend(wrong(&session, "c", 2 * i, ""));
        // What comes after the request has left, nobody can tell from its reply.
        if when != Within {
            server.sent.recv().unwrap();
        }
        all.extend(wrong(&session, second, 2 * i + 1, padding));
    }
    all
}

/// Runs the test `name` in a process of its own, with these variables; true in that process.
fn alone(name: &str, variables: &[(&str, String)]) -> bool {
    if std::env::var_os("REMBED_TEST_ALONE").is_some() {
        return true;
    }
    let authority = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls/authority.pem");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "--nocapture", name])
        .env("REMBED_TEST_ALONE", "1")
        .env("SSL_CERT_FILE", authority);
    let run = command.envs(variables.iter().map(|(name, value)| (name, value))).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout).replace('\n', "\n  | ");
    let erred = String::from_utf8_lossy(&run.stderr).replace('\n', "\n  | ");
    assert!(run.status.success() && said.contains("1 passed"), "{said}{erred}");
    false
}

#[test]
fn no_leftover_answers_the_next_request() {
    if !alone("no_leftover_answers_the_next_request", &[]) {
        return;
    }
    let whens = [Same, Behind, Half, Late(Duration::ZERO)]
        .into_iter()
        .chain([1, 5, 50].map(|ms| Late(Duration::from_millis(ms))));
    let mut runs = Vec::new();
    for when in whens {
        for (tls, second) in [(false, "c"), (false, "d"), (true, "c"), (true, "d")] {
            let run = thread::spawn(move || pairs(36, tls, when, second, ""));
            runs.push((when, tls, second, run));
        }
    }
    let asked = 36 * runs.len();
    assert!(asked >= 1000);
    let mut wrong = 0;
    for (when, tls, second, run) in runs {
        let found = run.join().unwrap();
        wrong += found.len();
        if let Some(first) = found.first() {
            eprintln!("{when:?}, TLS {tls}, then {second}: {} of 36 wrong: {first}", found.len());
        }
    }
    assert_eq!(wrong, 0, "of {asked} pairs");
}

#[test]
fn a_leftover_that_comes_while_the_request_is_written_is_none_of_its_replies() {
    if !alone("a_leftover_that_comes_while_the_request_is_written_is_none_of_its_replies", &[]) {
        return;
    }
    // More than the kernel takes while the server does not read.
    let padding = "x".repeat(12 << 20);
    for tls in [false, true] {
        let found = pairs(3, tls, Within, "d", &padding);
        assert!(found.is_empty(), "TLS {tls}: {found:?}");
    }
}

#[test]
fn no_leftover_answers_the_next_request_through_a_proxy() {
    for when in [Same, Late(Duration::from_millis(1))] {
        for scheme in ["http", "socks5"] {
            let server = Server::start(false, when);
            let proxy = format!("{scheme}://127.0.0.1:{}", server.port);
            let name = "no_leftover_answers_the_next_request_through_a_proxy";
            if !alone(name, &[("ALL_PROXY", proxy)]) {
                continue;
            }
            let session = session("http://192.0.2.1/v1");
            let mut found = Vec::new();
            for i in 0..25 {
                found.extend(wrong(&session, "c", 2 * i, ""));
                // The server is another process, which cannot say when it has sent it.
                thread::sleep(Duration::from_millis(60));
                found.extend(wrong(&session, "d", 2 * i + 1, ""));
            }
            assert!(found.is_empty(), "{} of 25 wrong: {found:?}", found.len());
            return;
        }
    }
}

#[test]
fn a_server_that_behaves_keeps_its_connection() {
    if !alone("a_server_that_behaves_keeps_its_connection", &[]) {
        return;
    }
    for tls in [false, true] {
        let server = Server::start(tls, Not);
        let scheme = if tls { "https" } else { "http" };
        let session = session(&format!("{scheme}://localhost:{}/v1", server.port));
        for i in 0..1000 {
            assert_eq!(wrong(&session, if i % 2 == 0 { "c" } else { "d" }, i, ""), None);
        }
        // A ticket of TLS that comes at a bad moment costs one.
        assert!(server.connections() <= 2, "TLS {tls}: {} connections", server.connections());
    }
}

#[test]
fn a_kept_connection_of_a_socks_proxy_is_used_again() {
    let server = Server::start(false, Not);
    let name = "a_kept_connection_of_a_socks_proxy_is_used_again";
    if !alone(name, &[("ALL_PROXY", format!("socks5://127.0.0.1:{}", server.port))]) {
        assert_eq!(server.connections(), 1);
        return;
    }
    let session = session("http://192.0.2.1/v1");
    for i in 0..20 {
        assert_eq!(wrong(&session, "c", i, ""), None);
    }
}
