//! Replies whose framing never ends, or is larger than what it frames: over at the timeout, in little memory.

// With that feature the library brings an allocator of its own.
#![cfg(not(feature = "limbo"))]

#[path = "engines/driver/src/counting.rs"]
#[allow(dead_code)] // the leak tests of engines use the rest
mod counting;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlite_rembed::Session;
use sqlite_rembed::base::interrupt::Uninterrupted;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

const TIMEOUT: Duration = Duration::from_millis(700);
/// Buffers of a connection, and what ureq keeps of it.
const BESIDES: usize = 1 << 20;

/// A server that answers everything with `start`, then `unit` for ever or as often as said, then `end`.
fn server(start: &'static str, unit: &'static [u8], times: usize, end: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/embeddings", listener.local_addr().unwrap());
    let many = unit.repeat((16 << 10) / unit.len() + 1);
    let answer = move |stream: &mut TcpStream| -> std::io::Result<()> {
        let _ = stream.read(&mut [0; 4096])?;
        stream.write_all(start.as_bytes())?;
        match times {
            usize::MAX => loop {
                stream.write_all(&many)?;
            },
            _ => (0..times).try_for_each(|_| stream.write_all(unit))?,
        }
        stream.write_all(end.as_bytes())
    };
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // The client hangs up when it has had enough.
            let _ = answer(&mut stream);
        }
    });
    url
}

/// What a text comes to there, how long it takes, and how many bytes.
fn embed(url: String) -> (Result<usize, String>, Duration, usize) {
    let options = json!({"format": "openai", "model": "m", "url": url, "cache": "off", "retries": 0,
                         "timeout": TIMEOUT.as_secs_f64()});
    let Value::Object(options) = options else { unreachable!() };
    let session = Session::new("test", Arc::new(Uninterrupted), None);
    session.register("c", options).unwrap();
    let start = Instant::now();
    let (outcome, peak) = counting::peak_of(|| session.embed("c", &["a"], None));
    (outcome.map(|rows| rows[0].len()).map_err(|e| e.to_string()), start.elapsed(), peak)
}

/// One test, since the counts are the process's.
#[test]
fn framing_has_bounds_too() {
    const OK: &str = "HTTP/1.1 200 OK\r\n";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    const GZIP: &str = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n";
    // A member of gzip that holds nothing, in a chunk.
    const NOTHING: &[u8] = b"14\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0\r\n";
    let endless: &[(&str, &[u8])] = &[
        ("", b"a"),
        (OK, b"x-a: b\r\n"),
        ("HTTP/1.1 200 OK\r\nx-a: ", b"a"),
        ("HTTP/1.1 200 ", b"a"),
        ("", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ("", b"\r\n"),
        (CHUNKED, b"1\r\n \r\n"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", b"a"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"0"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n[[1]]\r\n0\r\n", b"x-a: b\r\n"),
        (GZIP, NOTHING),
    ];
    for (start, unit) in endless {
        let (outcome, took, peak) = embed(server(start, unit, usize::MAX, ""));
        let what = format!("{start:?} {unit:?}: {outcome:?} after {took:?}, {peak} bytes");
        // A body that came whole is good, whatever trails it.
        assert!(outcome.is_err() || start.contains("[[1]]"), "{what}");
        assert!(took < TIMEOUT + Duration::from_millis(500), "{what}");
        assert!(peak < 16 * BESIDES, "{what}");
    }
    // Tiny chunks of what is good are good.
    let (outcome, _, peak) = embed(server(CHUNKED, b"1\r\n \r\n", 10_000, "5\r\n[[1]]\r\n0\r\n\r\n"));
    assert_eq!(outcome, Ok(1));
    assert!(peak < BESIDES, "{peak} bytes");
    // As many headers as no server sends.
    let (outcome, _, peak) = embed(server(OK, b"x-a: b\r\n", 2_000, "content-length: 5\r\n\r\n[[1]]"));
    assert!(outcome.is_err() && peak < BESIDES, "{outcome:?}, {peak} bytes");
    // A length is a claim.
    let start = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n[[1]]";
    let (outcome, _, peak) = embed(server(start, b" ", 1, ""));
    assert!(outcome.is_err() && peak < (16 << 20) + BESIDES, "{outcome:?}, {peak} bytes");
}
