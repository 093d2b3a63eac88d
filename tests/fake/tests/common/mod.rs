//! A running fake, and a client that hides nothing.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

pub struct Fake {
    pub url: String,
    child: Child,
    agent: ureq::Agent,
}

pub struct Reply {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub text: String,
}

impl Fake {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    pub fn start_with(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rembed-fake"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .into();
        Self { url: url.trim_end().into(), child, agent }
    }

    pub fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    /// Makes a scenario and answers its path.
    pub fn scenario(&self, name: &str, settings: Value) -> String {
        let reply = self.send("PUT", &format!("/_/{name}"), settings.to_string());
        assert_eq!(reply.status, 200, "{}", reply.text);
        format!("/s/{name}")
    }

    pub fn report(&self, name: &str) -> Value {
        self.send("GET", &format!("/_/{name}"), "").json()
    }

    pub fn send(&self, method: &str, path: &str, body: impl Into<String>) -> Reply {
        self.try_send(method, path, body).unwrap()
    }

    pub fn try_send(&self, method: &str, path: &str, body: impl Into<String>) -> Result<Reply, ureq::Error> {
        self.try_send_with(method, path, body, &[])
    }

    pub fn try_send_with(
        &self,
        method: &str,
        path: &str,
        body: impl Into<String>,
        headers: &[(&str, &str)],
    ) -> Result<Reply, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = self.agent.run(request.body(body.into()).unwrap())?;
        Ok(Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.body_mut().read_to_string()?,
        })
    }

    pub fn post(&self, path: &str, body: Value) -> Reply {
        self.send("POST", path, body.to_string())
    }

    /// Embeds by `/v1/embeddings` below this path and answers the rows.
    pub fn rows(&self, base: &str, texts: &[&str]) -> Value {
        let reply = self.post(&format!("{base}/v1/embeddings"), json!({"model": "m", "input": texts}));
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()["data"].take()
    }

    /// A connection of our own.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

/// Writes a request for one text by hand.
pub fn write_request(stream: &mut impl Write, base: &str) {
    let body = r#"{"model":"m","input":["a"]}"#;
    let head = format!("POST {base}/v1/embeddings HTTP/1.1\r\nhost: fake\r\ncontent-length: {}", body.len());
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
}

/// Reads until the end or an error, and tells both.
pub fn read_all(stream: &mut impl Read) -> (String, Option<std::io::ErrorKind>) {
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).err().map(|error| error.kind());
    (String::from_utf8_lossy(&bytes).into_owned(), error)
}

/// The numbers of a JSON array, as f32.
pub fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.to_string().parse().unwrap()).collect()
}
