//! Whose certificates are believed, and whose are shown: those of `SSL_CERT_FILE`, of the machine, and of clients.

use std::slice::from_ref;

use rcgen::{ExtendedKeyUsagePurpose as Purpose, date_time_ymd};
use serde_json::{Value, json};

#[path = "support/certified.rs"]
mod certified;
#[path = "support/wire.rs"]
mod wire;

use certified::{Authority, Certified, Temporary, of_authority, server};
use wire::{Ways, Wire, ask};

#[test]
fn child() {
    wire::child();
}

fn start(server: &Certified, clients: Option<&Authority>) -> (Wire, Value) {
    let wire = Wire::start(Ways { tls: Some(server.config(clients)), ..Ways::default() });
    let url = json!({"url": format!("https://localhost:{}/v1", wire.port)});
    (wire, url)
}

#[test]
fn a_certificate_that_the_user_names_needs_no_authority() {
    let other = Authority::new();
    let with = |purposes: &[Purpose]| {
        let mut params = of_authority(server("localhost"));
        params.extended_key_usages = purposes.to_vec();
        params
    };
    let dated = |from: i32, to: i32, mut params: rcgen::CertificateParams| {
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        params
    };
    let own = Certified::self_signed;
    for (what, server, works) in [
        ("an authority's own", own(of_authority(server("localhost"))), Ok(())),
        ("the same, for servers", own(with(&[Purpose::ClientAuth, Purpose::ServerAuth])), Ok(())),
        ("the same, for clients", own(with(&[Purpose::ClientAuth])), Err("CaUsedAsEndEntity")),
        ("the same, of another name", own(of_authority(server("other.test"))), Err("localhost")),
        ("the same, expired", own(dated(2000, 2001, of_authority(server("localhost")))), Err("expired")),
        (
            "the same, not valid yet",
            own(dated(2200, 2201, of_authority(server("localhost")))),
            Err("not valid yet"),
        ),
        ("signed by itself", own(server("localhost")), Ok(())),
        ("signed by a stranger", other.sign(server("localhost")), Ok(())),
        ("the same, of another name", other.sign(server("other.test")), Err("localhost")),
        ("the same, expired", other.sign(dated(2000, 2001, server("localhost"))), Err("expired")),
    ] {
        let (_wire, url) = start(&server, None);
        let named = Temporary::file("named.pem", &(Authority::new().pem() + &server.pem()));
        let got = ask(&[("SSL_CERT_FILE", &named)], from_ref(&url));
        match works {
            Ok(()) => assert_eq!(got, ["ok"], "{what}"),
            Err(why) => assert!(
                got[0].contains("invalid peer certificate") && got[0].contains(why),
                "{what}: {got:?}"
            ),
        }
        // A certificate that only looks the same is another.
        let twin = Temporary::file("twin.pem", &own(of_authority(certified::server("localhost"))).pem());
        let got = ask(&[("SSL_CERT_FILE", &twin)], &[url]);
        assert!(got[0].contains("invalid peer certificate"), "{what}: {got:?}");
    }
}

#[test]
fn what_somebody_else_signed_with_a_trusted_name_is_refused() {
    // Another authority of the same name, as everybody can make one.
    let (trusted, forged) = (Authority::new(), Authority::new());
    let (_wire, url) = start(&forged.sign(server("localhost")), None);
    let got = ask(&[("SSL_CERT_FILE", &Temporary::file("trusted.pem", &trusted.pem()))], &[url]);
    assert!(got[0].contains("invalid peer certificate"), "{got:?}");
}

#[test]
fn a_byte_order_mark_hides_no_certificate() {
    let authority = Authority::new();
    let (_wire, url) = start(&authority.sign(server("localhost")), None);
    let (one, other) = (authority.pem(), Authority::new().pem());
    for text in
        [format!("\u{feff}{one}"), format!("{other}\u{feff}{one}"), format!("\u{feff}{other}\u{feff}{one}")]
    {
        let roots = Temporary::file("marked.pem", &text);
        assert_eq!(ask(&[("SSL_CERT_FILE", &roots)], from_ref(&url)), ["ok"], "{text:?}");
    }
}

#[test]
fn the_machines_certificates_count_unless_the_user_names_others() {
    let authority = Authority::new();
    let (_wire, url) = start(&authority.sign(server("localhost")), None);
    // The variable is OpenSSL's, and stands for the folder of the system.
    let folder = Temporary::folder("0123abcd.0", &authority.pem());
    let store = folder.to_owned();
    assert_eq!(ask(&[("SSL_CERT_DIR", &store)], from_ref(&url)), ["ok"]);
    let others = Temporary::file("others.pem", &Authority::new().pem());
    let got = ask(&[("SSL_CERT_DIR", &store), ("SSL_CERT_FILE", &others)], from_ref(&url));
    assert!(got[0].contains("invalid peer certificate"), "{got:?}");
    drop(folder);
    let got = ask(&[("SSL_CERT_DIR", &store)], &[url]);
    assert!(got[0].contains("UnknownIssuer") && got[0].contains("SSL_CERT_FILE"), "{got:?}");
}

#[test]
fn a_client_shows_its_certificate_on_connections_of_its_own() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (wire, url) = start(&authority.sign(server("localhost")), Some(&authority));
    let roots = Temporary::file("clients.pem", &authority.pem());
    let (anna, ben) = (authority.sign(server("anna")), authority.sign(server("ben")));
    let with = |certificate: &str, key: Option<&str>| {
        let mut options = url.clone();
        options["client_cert"] = certificate.into();
        if let Some(key) = key {
            options["client_key"] = key.into();
        }
        options
    };
    let files = |name: &str, it: &Certified| {
        (
            Temporary::file(&format!("{name}.pem"), &format!("\u{feff}{}", it.pem())),
            Temporary::file(&format!("{name}.key"), &it.key_pem()),
        )
    };
    let (anna_files, ben_files) = (files("anna", &anna), files("ben", &ben));
    let both = Temporary::file("both.pem", &(ben.key_pem() + &ben.pem()));
    let unknown = files("unknown", &stranger.sign(server("anna")));
    let anna = with(&anna_files.0, Some(&anna_files.1));
    let clients = [
        anna.clone(),
        with(&ben_files.0, Some(&ben_files.1)),
        anna.clone(),
        with(&both, None),
        url.clone(),
        anna,
        with(&unknown.0, Some(&unknown.1)),
        with(&anna_files.0, Some(&ben_files.1)),
        with(&anna_files.0, None),
        with("/no/such/file", None),
        with(&anna_files.1, Some(&anna_files.1)),
    ];
    let got = ask(&[("SSL_CERT_FILE", &roots)], &clients);
    for n in [0, 1, 2, 3, 5] {
        assert_eq!(got[n], "ok", "client {n}: {got:?}");
    }
    for (n, why) in [
        (4, "CertificateRequired"),
        (6, "fatal alert"),
        (7, "client_cert and client_key: "),
        (8, "client_key: it holds no private key"),
        (9, "client_cert (/no/such/file)"),
        (10, "client_cert: it holds no certificate"),
    ] {
        assert!(got[n].contains(why), "client {n}: {}", got[n]);
    }
    // Anna's three requests share a connection, Ben's file of both is a certificate of its own.
    let numbers: Vec<_> =
        wire.asked().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert!(numbers[0] == numbers[2] && numbers[0] == numbers[4], "{numbers:?}");
    assert!(numbers[1] != numbers[0] && numbers[3] != numbers[0] && numbers[3] != numbers[1], "{numbers:?}");
}
