//! Which proxy a request goes through: the environment's, read as curl reads it.
//!
//! `http_proxy` is for http, `https_proxy` for https, `all_proxy` for what has none; in lower case first. `HTTP_PROXY` is
//! not read, since a CGI host puts the header `Proxy:` of a stranger there. This machine is never asked for by a proxy.

use std::net::IpAddr;

use once_cell::race::OnceBox;
use ureq::http::Uri;
use ureq::http::uri::Authority;
use zeroize::Zeroizing;

use crate::base::host::{self, is_loopback};

/// What is spoken with a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP: CONNECT for https, the whole URL in the request line for http.
    Http,
    /// The same within TLS.
    Https,
    /// SOCKS 4; the proxy is told an IPv4 address.
    Socks4,
    /// SOCKS 4a; the proxy is told the name.
    Socks4a,
    /// SOCKS 5; the proxy is told an address.
    Socks5,
    /// SOCKS 5; the proxy is told the name.
    Socks5h,
}

/// A proxy.
pub(super) struct Proxy {
    pub protocol: Protocol,
    /// An IPv6 address is without its brackets.
    pub host: String,
    pub port: u16,
    /// User and password.
    pub login: Option<(Zeroizing<String>, Zeroizing<String>)>,
}

impl Proxy {
    /// Reads `[PROTOCOL://][USER[:PASSWORD]@]HOST[:PORT][/…]`, user and password percent-encoded.
    fn parse(text: &str) -> Option<Proxy> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (protocol, standard) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Protocol::Http, 1080),
            "https" => (Protocol::Https, 443),
            "socks4" => (Protocol::Socks4, 1080),
            "socks4a" => (Protocol::Socks4a, 1080),
            "socks" | "socks5" => (Protocol::Socks5, 1080),
            "socks5h" => (Protocol::Socks5h, 1080),
            _ => return None,
        };
        // A password may hold a slash, a host may not.
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, rest),
        };
        let place: Authority = place.split(['/', '?', '#']).next()?.parse().ok()?;
        let port = match place.as_str().rsplit_once(':') {
            Some((_, port)) if !port.contains(']') => port.parse().ok().filter(|port| *port > 0)?,
            _ => standard,
        };
        let login = match login {
            Some(login) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                Some((decoded(user)?, decoded(password)?))
            }
            None => None,
        };
        let host = place.host().trim_matches(['[', ']']).to_owned();
        (!host.is_empty()).then_some(Proxy { protocol, host, port, login })
    }

    /// Whether the proxy reads the requests for plain http, and so needs the whole URL in them.
    pub(super) fn speaks_http(&self) -> bool {
        matches!(self.protocol, Protocol::Http | Protocol::Https)
    }

    /// The header that tells user and password, with its line's end; empty without them.
    pub(super) fn authorization(&self) -> Zeroizing<String> {
        Zeroizing::new(match &self.login {
            Some((user, password)) => {
                let pair = Zeroizing::new(format!("{}:{}", **user, **password));
                let encoded = Zeroizing::new(base64_simd::STANDARD.encode_to_string(pair.as_bytes()));
                format!("Proxy-Authorization: Basic {}\r\n", *encoded)
            }
            None => String::new(),
        })
    }
}

/// What must not be shown of the login for the proxy that reads the requests to `uri`: a proxy may repeat it.
pub fn secrets(uri: &Uri) -> Vec<Zeroizing<String>> {
    let Ok(Some(proxy)) = of(uri) else { return Vec::new() };
    let password = proxy.login.iter().map(|(_, password)| password.clone());
    let header = proxy.authorization();
    let encoded = header.trim_end().rsplit(' ').next().map(|encoded| Zeroizing::new(encoded.to_owned()));
    password.chain(encoded).filter(|secret| !secret.is_empty()).collect()
}

/// The user and the password stay out.
impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}:{}", self.protocol, self.host, self.port)
    }
}

/// Decodes `%40` and the like.
fn decoded(text: &str) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', &rest[1..]),
            },
            _ => (*first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    Some(Zeroizing::new(std::str::from_utf8(&bytes).ok()?.to_owned()))
}

/// The proxies of the environment. Of a variable whose value is no proxy's address, there is the name.
struct Proxies {
    http: Option<Result<Proxy, &'static str>>,
    https: Option<Result<Proxy, &'static str>>,
    except: Vec<String>,
}

/// A child process has them from its parent: they have no lock that one could wait for.
static PROXIES: OnceBox<Proxies> = OnceBox::new();

impl Proxies {
    fn read(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Proxies {
        let set = |name: &&'static str| variable(name).filter(|value| !value.is_empty()).map(|v| (*name, v));
        let first = |names: &[&'static str]| {
            let (name, value) = names.iter().find_map(set)?;
            Some(value.to_str().and_then(Proxy::parse).ok_or(name))
        };
        let except = ["no_proxy", "NO_PROXY"].iter().find_map(set);
        let except = except.map(|(_, value)| value.to_string_lossy().to_ascii_lowercase());
        let blank = |c: char| c == ',' || c.is_ascii_whitespace();
        Proxies {
            http: first(&["http_proxy", "all_proxy", "ALL_PROXY"]),
            https: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            except: except
                .iter()
                .flat_map(|list| list.split(blank))
                .filter(|entry| !entry.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }

    fn of(&self, uri: &Uri) -> Result<Option<&Proxy>, &'static str> {
        let proxy = match uri.scheme_str() {
            Some("https") => &self.https,
            _ => &self.http,
        };
        let host = host::of(uri);
        match proxy {
            None => Ok(None),
            Some(_) if is_loopback(uri) || self.except.iter().any(|entry| covers(entry, host)) => Ok(None),
            Some(proxy) => proxy.as_ref().map(Some).map_err(|name| *name),
        }
    }
}

/// The proxy of requests to `uri`.
///
/// # Errors
/// The variable that should name it and does not.
pub(super) fn of(uri: &Uri) -> Result<Option<&'static Proxy>, &'static str> {
    PROXIES.get_or_init(|| Box::new(Proxies::read(|name| std::env::var_os(name)))).of(uri)
}

/// Whether an entry of `no_proxy` covers `host`: `*`, a name and all below it, an address, a network as `10.0.0.0/8`.
fn covers(entry: &str, host: &str) -> bool {
    if entry == "*" {
        return true;
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        let (network, bits) = match entry.split_once('/') {
            Some((network, bits)) => (network, bits.parse().ok()),
            None => (entry, Some(u32::MAX)),
        };
        let network = network.trim_matches(['[', ']']).parse::<IpAddr>();
        return match (network, bits) {
            (Ok(network), Some(bits)) => is_within(ip.to_canonical(), network.to_canonical(), bits),
            _ => false,
        };
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let entry = entry.strip_prefix('*').unwrap_or(entry);
    let entry = entry.strip_prefix('.').unwrap_or(entry);
    let entry = entry.strip_suffix('.').unwrap_or(entry);
    !entry.is_empty()
        && host.strip_suffix(entry).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Whether the first `bits` of two addresses are the same; more than there are means all.
fn is_within(ip: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let differ = u32::from(ip) ^ u32::from(network);
            differ.leading_zeros() >= bits.min(32)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let differ = u128::from(ip) ^ u128::from(network);
            differ.leading_zeros() >= bits.min(128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The proxy of `uri` with these variables, as `PROTOCOL HOST:PORT`, `direct` or `bad NAME`.
    fn way(variables: &[(&str, &str)], uri: &str) -> String {
        let proxies = Proxies::read(|asked| {
            variables.iter().find(|(name, _)| *name == asked).map(|(_, value)| value.into())
        });
        match proxies.of(&uri.parse().unwrap()) {
            Ok(Some(proxy)) => format!("{proxy:?}"),
            Ok(None) => "direct".into(),
            Err(name) => format!("bad {name}"),
        }
    }

    #[test]
    fn each_scheme_has_its_variable_and_lower_case_comes_first() {
        let all = [
            ("http_proxy", "a:1"),
            ("HTTP_PROXY", "b:2"),
            ("https_proxy", "c:3"),
            ("HTTPS_PROXY", "d:4"),
            ("all_proxy", "e:5"),
            ("ALL_PROXY", "f:6"),
        ];
        for (variables, http, https) in [
            (&all[..], "Http a:1", "Http c:3"),
            (&all[..1], "Http a:1", "direct"),
            (&all[1..2], "direct", "direct"),
            (&all[1..], "Http e:5", "Http c:3"),
            (&all[2..3], "direct", "Http c:3"),
            (&all[3..], "Http e:5", "Http d:4"),
            (&all[4..], "Http e:5", "Http e:5"),
            (&all[5..], "Http f:6", "Http f:6"),
            (&[], "direct", "direct"),
            (&[("http_proxy", ""), ("all_proxy", "socks5h://s")], "Socks5h s:1080", "Socks5h s:1080"),
            (&[("https_proxy", "ftp://h"), ("ALL_PROXY", "f:6")], "Http f:6", "bad https_proxy"),
        ] {
            assert_eq!(way(variables, "http://api/v1"), http, "{variables:?}");
            assert_eq!(way(variables, "https://api/v1"), https, "{variables:?}");
            assert_eq!(way(variables, "https://localhost/v1"), "direct", "{variables:?}");
            assert_eq!(way(variables, "http://127.0.0.2/v1"), "direct", "{variables:?}");
        }
    }

    #[test]
    fn what_no_proxy_names_is_asked_directly() {
        for (list, host, direct) in [
            ("example.com", "example.com", true),
            ("example.com", "a.b.EXAMPLE.com", true),
            ("example.com", "notexample.com", false),
            (".example.com", "example.com", true),
            (".example.com", "a.example.com", true),
            ("*.example.com", "a.example.com", true),
            ("example.com.", "a.example.com.", true),
            ("a.org, example.com", "example.com", true),
            ("a.org  example.com\tb.org", "b.org", true),
            (" a.org ,,", "a.org", true),
            ("*", "anything", true),
            ("a.org,*", "anything", true),
            (".", "anything", false),
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/0", "11.0.0.1", true),
            ("192.168.1.9", "192.168.1.9", true),
            ("192.168.1.0/31", "192.168.1.1", true),
            ("192.168.1.0/31", "192.168.1.2", false),
            ("168.1.9", "192.168.1.9", false),
            ("10.0.0.0/x", "10.0.0.0", false),
            ("fd00::/8", "[fd12::1]", true),
            ("fd00::/8", "[fe80::1]", false),
            ("[2001:db8::1]", "[2001:db8::1]", true),
            ("10.0.0.0/8", "ten.example", false),
        ] {
            for name in ["no_proxy", "NO_PROXY"] {
                let got = way(&[("all_proxy", "p:1"), (name, list)], &format!("http://{host}/v1"));
                assert_eq!(got == "direct", direct, "{name}={list}: {host} goes {got}");
            }
        }
    }

    #[test]
    fn an_address_has_a_login_a_host_and_a_port() {
        for (text, expected) in [
            ("proxy", Some(("Http proxy:1080", None))),
            ("HTTP://proxy:3128/", Some(("Http proxy:3128", None))),
            ("https://proxy", Some(("Https proxy:443", None))),
            ("socks://[::1]:9", Some(("Socks5 ::1:9", None))),
            ("socks4a://[::1]", Some(("Socks4a ::1:1080", None))),
            ("http://us%65r:p%40ss%3a%2F@proxy:8", Some(("Http proxy:8", Some(("user", "p@ss:/"))))),
            ("us er:p@s/s%@proxy:8", Some(("Http proxy:8", Some(("us er", "p@s/s%"))))),
            ("socks5://user@proxy", Some(("Socks5 proxy:1080", Some(("user", ""))))),
            ("http://%ff@proxy", None),
            ("http://proxy:0", None),
            ("http://proxy:x", None),
            ("http://proxy:70000", None),
            ("http://", None),
            ("ftp://proxy", None),
        ] {
            let got = Proxy::parse(text);
            let login = got.as_ref().and_then(|p| p.login.as_ref()).map(|(u, p)| (u.as_str(), p.as_str()));
            let got = got.as_ref().map(|proxy| (format!("{proxy:?}"), login));
            assert_eq!(got, expected.map(|(shown, login)| (shown.to_owned(), login)), "{text}");
        }
        let proxy = Proxy::parse("http://Aladdin:open%20sesame@h").unwrap();
        assert_eq!(*proxy.authorization(), "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n");
    }
}
