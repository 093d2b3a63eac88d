//! The host that a URL names.

use std::net::IpAddr;

use ureq::http::Uri;

/// The host of `uri`, an IPv6 address without its brackets.
pub fn of(uri: &Uri) -> &str {
    uri.host().unwrap_or_default().trim_matches(['[', ']'])
}

/// The port of `uri`, or the usual one of its scheme.
pub fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 })
}

/// Whether the host of `uri` is this machine.
pub fn is_loopback(uri: &Uri) -> bool {
    let host = of(uri);
    // A name other than localhost could resolve to anywhere.
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}
