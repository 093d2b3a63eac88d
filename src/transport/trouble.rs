//! Why no reply came, in words for the user.

use ureq::{Timeout, http};

use super::Target;
use super::proxy;
use crate::base::host::is_loopback;

/// Why no reply came.
#[derive(Debug)]
pub struct Trouble {
    /// What happened, in words for the user.
    pub message: String,
    /// What that means for the request.
    pub kind: Kind,
}

/// What no reply means for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The same request would fail again.
    Permanent,
    /// Its time is up.
    Late,
    /// There is no connection: whatever is sent now fails.
    Unreachable,
    /// The same, and it would be no other in a few seconds: nobody listens at a port of this machine.
    NobodyThere,
    /// The connection ended within the exchange, and the next one may not.
    Broken,
}

impl Trouble {
    /// Trouble that stays.
    pub fn permanent(message: impl Into<String>) -> Trouble {
        Trouble { message: message.into(), kind: Kind::Permanent }
    }
}

/// Who answers, in words for the user.
fn server(target: &Target<'_>) -> String {
    let endpoint = target.endpoint;
    let server = endpoint.authority().map_or("", http::uri::Authority::as_str);
    match proxy::of(endpoint) {
        Ok(Some(proxy)) => format!("{server} (through the proxy {}:{})", proxy.host, proxy.port),
        _ => server.to_owned(),
    }
}

/// The failure of a request whose time is up.
pub fn too_late(target: &Target<'_>) -> Trouble {
    let seconds = target.timeout.as_secs_f64();
    let server = server(target);
    Trouble {
        message: format!("no complete reply from {server} within {seconds} s (option timeout)"),
        kind: Kind::Late,
    }
}

/// No reply came: why, in words for the user, and whether to try again.
pub(super) fn trouble(target: &Target<'_>, error: ureq::Error) -> Trouble {
    let server = server(target);
    let unreachable = |message| Trouble { message, kind: Kind::Unreachable };
    let broken = |message| Trouble { message, kind: Kind::Broken };
    let permanent = Trouble::permanent;
    // A server may answer what is no TLS by closing the connection.
    let plain_hint = || match target.endpoint.scheme_str() {
        Some("http") => " (if it speaks TLS, the url starts with https://)",
        _ => "",
    };
    // What ureq reports while it reads a body arrives inside an io::Error.
    let error = match error {
        ureq::Error::Io(e) => match e.downcast::<ureq::Error>() {
            Ok(inner) => inner,
            Err(e) => ureq::Error::Io(e),
        },
        other => other,
    };
    match error {
        ureq::Error::Timeout(Timeout::Connect) => unreachable(format!(
            "cannot connect to {server} within {} s (option connect_timeout)",
            target.connect_timeout.as_secs_f64()
        )),
        ureq::Error::Timeout(_) => too_late(target),
        ureq::Error::HostNotFound => unreachable(format!("the host of {server} was not found: check 'url'")),
        ureq::Error::ConnectProxyFailed(e) => {
            unreachable(format!("the proxy does not connect to {server}: {e}"))
        }
        ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
            let who = if matches!(proxy::of(target.endpoint), Ok(Some(_))) { "proxy" } else { "server" };
            let message = format!("cannot connect to {server}: connection refused (is the {who} running?)");
            let kind = if is_loopback(target.endpoint) { Kind::NobodyThere } else { Kind::Unreachable };
            Trouble { message, kind }
        }
        ureq::Error::Io(e) if has_no_way(&e) => unreachable(format!("cannot connect to {server}: {e}")),
        ureq::Error::Io(e) => {
            let text = e.to_string();
            match tls_hint(&text) {
                Some(hint) => permanent(format!("no TLS connection to {server}: {text}{hint}")),
                None => broken(format!("the connection to {server} failed: {text}{}", plain_hint())),
            }
        }
        ureq::Error::Protocol(e) => {
            permanent(format!("{server} does not answer in HTTP: {e}{}", plain_hint()))
        }
        ureq::Error::ConnectionFailed => unreachable(format!("cannot connect to {server}")),
        e => permanent(format!("request to {server}: {e}")),
    }
}

/// Whether no connection can be opened, as far as the system knows.
fn has_no_way(e: &std::io::Error) -> bool {
    use std::io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkDown, NetworkUnreachable};
    matches!(e.kind(), AddrNotAvailable | HostUnreachable | NetworkDown | NetworkUnreachable)
}

/// What to try after an error of TLS, of which this is the text (rustls's `Error`); `None` for any other error.
fn tls_hint(text: &str) -> Option<&'static str> {
    const UNSIGNED: &str = " (who signed its certificate is not known here: put that certificate, as PEM, into the file \
                            that the environment variable SSL_CERT_FILE names)";
    const CERTIFICATE: &[(&str, &str)] = &[
        ("UnknownIssuer", UNSIGNED),
        ("CaUsedAsEndEntity", UNSIGNED),
        // One of the same name is known, and another has signed.
        ("BadSignature", UNSIGNED),
        ("xpired", " (the server needs a new certificate, unless this machine's clock is wrong)"),
        ("not valid for", " (the host in 'url' must be a name of the certificate)"),
        ("NotValidForName", " (the host in 'url' must be a name of the certificate)"),
    ];
    if text.starts_with("invalid peer certificate") {
        let known = CERTIFICATE.iter().find(|(why, _)| text.contains(why));
        return Some(known.map_or("", |(_, hint)| hint));
    }
    if text.starts_with("received corrupt message") {
        return Some(" (there is no TLS at this port: try http://)");
    }
    ["received fatal alert", "peer is incompatible", "peer misbehaved"]
        .iter()
        .any(|start| text.starts_with(start))
        .then_some("")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::*;

    fn trouble_at(url: &str, error: io::Error) -> Trouble {
        let endpoint = url.parse().unwrap();
        let second = Duration::from_secs(1);
        let target = Target { endpoint: &endpoint, timeout: second, connect_timeout: second };
        trouble(&target, ureq::Error::Io(error))
    }

    #[test]
    fn a_certificate_that_is_refused_says_what_to_do() {
        for (why, hint) in [
            ("UnknownIssuer", "SSL_CERT_FILE"),
            ("BadSignature", "SSL_CERT_FILE"),
            ("Expired", "new certificate"),
            ("certificate expired: verification time 2 (UNIX)", "new certificate"),
            ("certificate not valid for name \"h\"", "the host in 'url'"),
        ] {
            let text = format!("invalid peer certificate: {why}");
            let trouble = trouble_at("https://127.0.0.1/", io::Error::other(text));
            assert!(trouble.message.contains(hint), "{why}: {}", trouble.message);
            assert_eq!(trouble.kind, Kind::Permanent, "{why}");
        }
    }

    #[test]
    fn a_connection_that_is_closed_may_be_one_to_a_port_of_tls() {
        let closed = || io::Error::from(io::ErrorKind::UnexpectedEof);
        assert!(trouble_at("http://127.0.0.1/", closed()).message.contains("starts with https://"));
        assert!(!trouble_at("https://127.0.0.1/", closed()).message.contains("https://"));
        assert_eq!(trouble_at("http://127.0.0.1/", closed()).kind, Kind::Broken);
    }

    #[test]
    fn no_way_to_a_host_is_no_texts_fault() {
        for kind in [io::ErrorKind::HostUnreachable, io::ErrorKind::NetworkUnreachable] {
            assert_eq!(trouble_at("http://127.0.0.1/", kind.into()).kind, Kind::Unreachable);
        }
    }
}
