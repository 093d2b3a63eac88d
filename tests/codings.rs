//! How a reply is packed: the names of gzip in every case, and what is damaged.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

#[path = "support/wire.rs"]
mod wire;

use wire::{Ways, Wire};

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

fn ask(headers: &'static str, body: Vec<u8>) -> Result<Vec<f32>, String> {
    let wire = Wire::start(Ways { headers, body, ..Ways::default() });
    let session = wire::session(&[json!({"url": format!("http://127.0.0.1:{}/v1", wire.port)})]);
    let one = || session.embed_one("0", "text", None).map(|v| v.to_vec()).map_err(|e| e.to_string());
    let (first, second) = (one(), one());
    assert_eq!(first, second);
    if first.is_ok() {
        let asked = wire.asked();
        assert!(asked.iter().all(|line| line.starts_with("0 ")), "the connection is kept: {asked:?}");
    }
    first
}

#[test]
fn gzip_has_two_names_in_any_case() {
    let text = json!({"data": [{"index": 0, "embedding": [1, 2]}]}).to_string();
    for headers in [
        "Content-Encoding: gzip\r\n",
        "content-encoding: GZIP\r\n",
        "Content-Encoding: Gzip \r\n",
        "Content-Encoding: x-gzip\r\n",
        "CONTENT-ENCODING: X-GZip\r\n",
    ] {
        assert_eq!(ask(headers, gzip(&text)), Ok(vec![1.0, 2.0]), "{headers}");
    }
    for headers in ["", "Content-Encoding: identity\r\n", "Content-Encoding: \r\n"] {
        assert_eq!(ask(headers, text.clone().into_bytes()), Ok(vec![1.0, 2.0]), "{headers}");
    }
    // In two members, as some gateways flush.
    let (first, second) = text.split_at(10);
    let members = [gzip(first), gzip(second)].concat();
    assert_eq!(ask("Content-Encoding: x-gzip\r\n", members), Ok(vec![1.0, 2.0]));
}

#[test]
fn damaged_gzip_is_an_error_that_says_so() {
    let mut damaged = gzip(&"text ".repeat(100));
    damaged[15] ^= 0xff;
    for body in [damaged, b"{\"data\": []}".to_vec()] {
        let e = ask("Content-Encoding: X-GZIP\r\n", body).unwrap_err();
        assert!(e.contains("gzip is damaged"), "{e}");
    }
}
