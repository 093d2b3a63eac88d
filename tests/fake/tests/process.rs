//! How the server starts and ends, and TLS.

mod common;

use std::process::{Command, Stdio};
use std::sync::Arc;

use common::{Fake, read_all, write_request};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

#[test]
fn it_ends_with_its_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rembed-fake"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_unknown_option_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_rembed-fake")).arg("--what").output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--what"));
}

#[test]
fn tls() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let fake = Fake::start_with(&["--tls", cert.to_str().unwrap(), key.to_str().unwrap()]);
    assert!(fake.url.starts_with("https://localhost:"), "{}", fake.url);

    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(client, fake.connect());
    write_request(&mut stream, "");
    let mut start = [0; 15];
    std::io::Read::read_exact(&mut stream, &mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 OK");
    drop(stream);

    let mut plain = fake.connect();
    write_request(&mut plain, "");
    assert!(!read_all(&mut plain).0.starts_with("HTTP"));
}
