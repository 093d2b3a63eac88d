//! A server and proxy in one: it speaks HTTP, CONNECT, SOCKS and TLS, as the first byte says, and notes what it is asked.
//! Clients ask it from processes of their own, since the environment counts once for a process.
#![allow(dead_code)] // no file uses all of it

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use sqlite_rembed::Session;
use sqlite_rembed::base::interrupt::Uninterrupted;

/// What a server does.
#[derive(Default)]
pub struct Ways {
    /// Its TLS.
    pub tls: Option<Arc<ServerConfig>>,
    /// SOCKS with user and password.
    pub login: bool,
    /// Headers of its replies, each with its line's end.
    pub headers: &'static str,
    /// The status of its replies; 200 if it is empty.
    pub status: &'static str,
    /// The body of its replies; a vector if it is empty.
    pub body: Vec<u8>,
    /// The status line's end for CONNECT, instead of `200 Connection established`.
    pub refusal: Option<&'static str>,
    /// The first connection on which it says nothing to SOCKS.
    pub silent_from: Option<usize>,
}

/// A running server.
pub struct Wire {
    pub port: u16,
    log: Arc<Mutex<Vec<String>>>,
}

impl Wire {
    pub fn start(ways: Ways) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (ways, notes) = (Arc::new(ways), log.clone());
        thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                let talk = Talk { n, ways: ways.clone(), log: notes.clone() };
                // A client that goes away ends a talk as well.
                thread::spawn(move || talk.hold(Box::new(stream.unwrap())));
            }
        });
        Wire { port, log }
    }

    /// What it was asked, and forgets: a line a request, with the number of its connection.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A stream of which a byte was read already.
struct Again(Option<u8>, Box<dyn Stream>);

impl Read for Again {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.take() {
            Some(byte) => {
                buf[0] = byte;
                Ok(1)
            }
            None => self.1.read(buf),
        }
    }
}

impl Write for Again {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.1.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}

struct Talk {
    n: usize,
    ways: Arc<Ways>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Talk {
    fn note(&self, what: &str) {
        self.log.lock().unwrap().push(format!("{} {what}", self.n));
    }

    fn hold(&self, mut stream: Box<dyn Stream>) -> io::Result<()> {
        loop {
            let mut first = [0];
            stream.read_exact(&mut first)?;
            match first[0] {
                0x16 => {
                    let Some(tls) = &self.ways.tls else { return Ok(()) };
                    let below = Again(Some(0x16), stream);
                    stream = Box::new(StreamOwned::new(ServerConnection::new(tls.clone()).unwrap(), below));
                }
                4 | 5 if self.ways.silent_from.is_some_and(|first| self.n >= first) => {
                    self.note("socks, unanswered");
                    io::copy(&mut stream, &mut io::sink())?;
                }
                5 => self.socks5(&mut stream)?,
                4 => self.socks4(&mut stream)?,
                byte => {
                    if !self.http(byte, &mut stream)? {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn http(&self, first: u8, stream: &mut Box<dyn Stream>) -> io::Result<bool> {
        let mut head = vec![first];
        while !head.ends_with(b"\r\n\r\n") {
            head.push(byte(stream)?);
        }
        let head = String::from_utf8(head).unwrap();
        let header = |name: &str| {
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")));
            line.map(|line| line.split_once(": ").unwrap().1.to_owned())
        };
        let line = head.lines().next().unwrap();
        let login = header("proxy-authorization").map_or(String::new(), |login| format!(" {login}"));
        self.note(&format!("{line}{login}"));
        if line.starts_with("CONNECT ") {
            let answer = self.ways.refusal.unwrap_or("200 Connection established");
            write!(stream, "HTTP/1.1 {answer}\r\nVia: test\r\n\r\n")?;
            stream.flush()?;
            return Ok(self.ways.refusal.is_none());
        }
        let length: usize = header("content-length").unwrap().parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let body: Value = serde_json::from_slice(&body).unwrap();
        let n = body["input"].as_array().map_or(1, Vec::len);
        let rows: Vec<_> = (0..n).map(|i| json!({"index": i, "embedding": [1, 2]})).collect();
        let vectors = json!({"data": rows}).to_string().into_bytes();
        let reply = if self.ways.body.is_empty() { &vectors } else { &self.ways.body };
        let (headers, length) = (self.ways.headers, reply.len());
        let status = if self.ways.status.is_empty() { "200 OK" } else { self.ways.status };
        write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n")?;
        stream.write_all(reply)?;
        stream.flush()?;
        Ok(true)
    }

    fn socks5(&self, stream: &mut Box<dyn Stream>) -> io::Result<()> {
        let mut methods = vec![0; usize::from(byte(stream)?)];
        stream.read_exact(&mut methods)?;
        let mut login = String::new();
        let method = if self.ways.login { 2 } else { 0 };
        if !methods.contains(&method) {
            return stream.write_all(&[5, 0xff]);
        }
        stream.write_all(&[5, method])?;
        if self.ways.login {
            byte(stream)?;
            let (user, password) = (text(stream)?, text(stream)?);
            login = format!(" {user}:{password}");
            stream.write_all(&[1, u8::from(password != "p@ss")])?;
        }
        stream.read_exact(&mut [0; 3])?;
        let host = match byte(stream)? {
            3 => text(stream)?,
            1 => address(stream)?,
            other => format!("address of kind {other}"),
        };
        let port = u16::from_be_bytes([byte(stream)?, byte(stream)?]);
        self.note(&format!("socks5 {host}:{port}{login}"));
        // The proxy's own end, by name.
        stream.write_all(&[5, 0, 0, 3, 2, b'm', b'e', 0, 7])
    }

    fn socks4(&self, stream: &mut Box<dyn Stream>) -> io::Result<()> {
        byte(stream)?;
        let port = u16::from_be_bytes([byte(stream)?, byte(stream)?]);
        let ip = address(stream)?;
        let user = until_zero(stream)?;
        let host = if ip == "0.0.0.1" { until_zero(stream)? } else { ip };
        self.note(&format!("socks4 {host}:{port} {user}"));
        stream.write_all(&[0, 90, 0, 0, 0, 0, 0, 0])
    }
}

fn byte(stream: &mut Box<dyn Stream>) -> io::Result<u8> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    Ok(byte[0])
}

fn address(stream: &mut Box<dyn Stream>) -> io::Result<String> {
    let mut ip = [0; 4];
    stream.read_exact(&mut ip)?;
    Ok(std::net::Ipv4Addr::from(ip).to_string())
}

fn text(stream: &mut Box<dyn Stream>) -> io::Result<String> {
    let mut text = vec![0; usize::from(byte(stream)?)];
    stream.read_exact(&mut text)?;
    Ok(String::from_utf8(text).unwrap())
}

fn until_zero(stream: &mut Box<dyn Stream>) -> io::Result<String> {
    let mut text = Vec::new();
    loop {
        match byte(stream)? {
            0 => return Ok(String::from_utf8(text).unwrap()),
            byte => text.push(byte),
        }
    }
}

/// A session whose clients `0`, `1`, … have these options over the usual ones.
pub fn session(clients: &[Value]) -> Session {
    let session = Session::new("test", Arc::new(Uninterrupted), None);
    for (n, own) in clients.iter().enumerate() {
        let mut options = json!({
            "format": "openai", "model": "m", "key": "k", "cache": "off", "allow_http": true, "retries": 0,
            "timeout": 20, "body": {"encoding_format": "float"}
        });
        options.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        session.register(&n.to_string(), options.as_object().unwrap().clone()).unwrap();
    }
    session
}

/// What a new process with these variables gets for a text of each client in turn: `ok`, or the error.
pub fn ask(variables: &[(&str, &str)], clients: &[Value]) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", "child"]).env("REMBED_TEST_CLIENTS", json!(clients).to_string());
    for (name, _) in std::env::vars_os() {
        let lower = name.to_string_lossy().to_ascii_lowercase();
        if lower.ends_with("_proxy") || lower.starts_with("ssl_cert") {
            command.env_remove(name);
        }
    }
    let run = command.envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let asked: Vec<_> =
        said.split("asked: ").skip(1).map(|got| got.lines().next().unwrap().to_owned()).collect();
    assert_eq!(asked.len(), clients.len(), "{said}{}", String::from_utf8_lossy(&run.stderr));
    asked
}

/// The test `child` of a file that calls [`ask`].
pub fn child() {
    let Ok(clients) = std::env::var("REMBED_TEST_CLIENTS") else { return };
    let clients: Vec<Value> = serde_json::from_str(&clients).unwrap();
    let session = session(&clients);
    for n in 0..clients.len() {
        let start = Instant::now();
        let got = match session.embed_one(&n.to_string(), "text", None) {
            Ok(vector) if *vector == [1.0, 2.0] => "ok".to_owned(),
            Ok(vector) => format!("{vector:?}"),
            Err(e) => e.to_string().replace('\n', " "),
        };
        let late = if start.elapsed().as_secs() >= 5 { " (late)" } else { "" };
        println!("asked: {got}{late}");
    }
}
