//! How a proxy is asked for a connection to the target: CONNECT, SOCKS 4 and 5. All of it waits as [`super::socket`] does,
//! so an interrupt and the deadline end it.

use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;

use ureq::Error;
use ureq::http::{StatusCode, Uri};
use ureq::unversioned::transport::{ConnectionDetails, Connector, Either, Transport, TransportAdapter};
use zeroize::Zeroizing;

use super::agent::USER_AGENT;
use super::connect::lookup;
use super::proxy::{self, Protocol, Proxy};
use super::tls;
use super::wait::left;
use crate::base::host;

/// The most that is read of a proxy's answer to CONNECT.
const HEAD_MAX: usize = 64 << 10;

/// Makes the connection to a proxy one to the target, where there is a proxy.
#[derive(Debug)]
pub(super) struct ThroughConnector;

impl<In: Transport> Connector<In> for ThroughConnector {
    type Out = Either<In, Box<dyn Transport>>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let Some(socket) = chained else { return Ok(None) };
        let Ok(Some(proxy)) = proxy::of(details.uri) else { return Ok(Some(Either::A(socket))) };
        let to_proxy = match proxy.protocol {
            Protocol::Https => tls::secure(socket, &tls::plain()?, &proxy.host, details)?.boxed(),
            _ => socket.boxed(),
        };
        if proxy.speaks_http() && !details.needs_tls() {
            return Ok(Some(Either::B(to_proxy)));
        }
        let mut asked = TransportAdapter::new(to_proxy, details.current_time.clone());
        asked.set_timeout(left(details)?);
        let (host, port) = (host::of(details.uri), host::port(details.uri));
        match proxy.protocol {
            Protocol::Http | Protocol::Https => connect(&mut asked, proxy, details.uri, port),
            Protocol::Socks4 | Protocol::Socks4a => socks4(&mut asked, proxy, details, host, port),
            Protocol::Socks5 | Protocol::Socks5h => socks5(&mut asked, proxy, details, host, port),
        }
        .map_err(|e| match e {
            Error::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => refused("it closed the connection"),
            other => other,
        })?;
        let mut through = asked.into_inner();
        // The password must not stay in there.
        through.buffers().output().fill(0);
        Ok(Some(Either::B(through)))
    }
}

type Asked = TransportAdapter<Box<dyn Transport>>;

fn refused(why: impl Into<String>) -> Error {
    Error::ConnectProxyFailed(why.into())
}

/// `CONNECT` (RFC 9110, 9.3.6).
fn connect(asked: &mut Asked, proxy: &Proxy, target: &Uri, port: u16) -> Result<(), Error> {
    let place = format!("{}:{port}", target.host().unwrap_or_default());
    let login = proxy.authorization();
    let request = Zeroizing::new(format!(
        "CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: {USER_AGENT}\r\n{}\r\n",
        *login
    ));
    asked.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    // Byte by byte, so that what follows the head is left to who reads it next. It comes out of a buffer.
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() == HEAD_MAX {
            return Err(refused("its answer does not end"));
        }
        let mut byte = [0];
        asked.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let line = head.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let is_http = words.next().is_some_and(|version| version.starts_with(b"HTTP/1."));
    match words.next().and_then(|code| StatusCode::from_bytes(code).ok()) {
        Some(status) if is_http && status.is_success() => Ok(()),
        Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED) if is_http => Err(refused(
            "it asks for a user and a password, as in http://USER:PASSWORD@HOST:PORT, or takes others (status 407)",
        )),
        Some(status) if is_http => Err(refused(format!("it answers with status {status}"))),
        _ => Err(refused("it does not answer in HTTP")),
    }
}

/// SOCKS 4 and, where the proxy looks the name up, 4a.
fn socks4(
    asked: &mut Asked,
    proxy: &Proxy,
    details: &ConnectionDetails,
    host: &str,
    port: u16,
) -> Result<(), Error> {
    let v4 = |ip: IpAddr| match ip.to_canonical() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    };
    let ip = match host.parse::<IpAddr>() {
        Ok(ip) => Some(v4(ip).ok_or_else(|| refused("SOCKS 4 has no IPv6 addresses"))?),
        Err(_) if proxy.protocol == Protocol::Socks4a => None,
        Err(_) => {
            let found = lookup(host.to_owned(), port, left(details)?)?;
            let found = found.iter().find_map(|addr| v4(addr.ip()));
            Some(found.ok_or_else(|| refused("SOCKS 4 needs an IPv4 address, and the host has none"))?)
        }
    };
    let user = proxy.login.as_ref().map_or("", |(user, _)| user.as_str());
    if [user, host].iter().any(|text| text.contains('\0')) {
        return Err(refused("its user has a zero byte"));
    }
    let mut request = vec![4, 1];
    request.extend(port.to_be_bytes());
    // 0.0.0.1 says that a name follows.
    request.extend(ip.map_or([0, 0, 0, 1], |ip| ip.octets()));
    request.extend(user.as_bytes());
    request.push(0);
    if ip.is_none() {
        request.extend(host.as_bytes());
        request.push(0);
    }
    asked.write_all(&request)?;
    let mut answer = [0; 8];
    asked.read_exact(&mut answer)?;
    match answer[..2] {
        [0, 90] => Ok(()),
        [0, 92 | 93] => Err(refused("it does not let this user in (SOCKS 4)")),
        [0, code] => Err(refused(format!("the request was rejected or failed (SOCKS 4, {code})"))),
        _ => Err(refused("it does not answer in SOCKS 4")),
    }
}

/// SOCKS 5 (RFC 1928), with user and password (RFC 1929) where the proxy asks for them.
fn socks5(
    asked: &mut Asked,
    proxy: &Proxy,
    details: &ConnectionDetails,
    host: &str,
    port: u16,
) -> Result<(), Error> {
    let ways: &[u8] = if proxy.login.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    asked.write_all(ways)?;
    let mut answer = [0; 2];
    asked.read_exact(&mut answer)?;
    match (answer, &proxy.login) {
        ([5, 0], _) => {}
        ([5, 2], Some((user, password))) => {
            let mut request = Zeroizing::new(Vec::with_capacity(3 + 2 * 255));
            request.push(1);
            for text in [user, password] {
                let length = u8::try_from(text.len());
                request.push(length.map_err(|_| refused("user or password is longer than 255 bytes"))?);
                request.extend(text.as_bytes());
            }
            asked.write_all(&request)?;
            asked.read_exact(&mut answer)?;
            if answer[1] != 0 {
                return Err(refused("it does not take this user and password"));
            }
        }
        ([5, _], None) => return Err(refused("it asks for a user and a password")),
        ([5, _], _) => return Err(refused("it asks for another login than user and password")),
        _ => return Err(refused("it does not answer in SOCKS 5")),
    }
    let ip = match host.parse::<IpAddr>() {
        Ok(ip) => Some(ip),
        Err(_) if proxy.protocol == Protocol::Socks5h => None,
        Err(_) => {
            let found = lookup(host.to_owned(), port, left(details)?)?;
            Some(found.first().ok_or(Error::HostNotFound)?.ip())
        }
    };
    let mut request = vec![5, 1, 0];
    match ip {
        Some(IpAddr::V4(ip)) => {
            request.push(1);
            request.extend(ip.octets());
        }
        Some(IpAddr::V6(ip)) => {
            request.push(4);
            request.extend(ip.octets());
        }
        None => {
            request.push(3);
            request.push(u8::try_from(host.len()).map_err(|_| refused("the host's name is too long"))?);
            request.extend(host.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    asked.write_all(&request)?;
    let mut answer = [0; 4];
    asked.read_exact(&mut answer[..2])?;
    if answer[0] != 5 {
        return Err(refused("it does not answer in SOCKS 5"));
    }
    let why = match answer[1] {
        0 => None,
        2 => Some("its rules do not allow that"),
        3 => Some("the network is unreachable"),
        4 => Some("the host is unreachable"),
        5 => Some("connection refused"),
        6 => Some("the packets' time to live ended"),
        _ => Some("it failed"),
    };
    if let Some(why) = why {
        return Err(refused(format!("{why} (SOCKS 5, {})", answer[1])));
    }
    asked.read_exact(&mut answer[2..])?;
    // The address of the proxy's own end, which means nothing here.
    let length = match answer[3] {
        1 => 4,
        4 => 16,
        3 => {
            let mut length = [0];
            asked.read_exact(&mut length)?;
            usize::from(length[0])
        }
        _ => return Err(refused("it does not answer in SOCKS 5")),
    };
    asked.read_exact(&mut [0; 257][..length + 2])?;
    Ok(())
}
