//! Opening a connection: the look-up of a name and the connecting itself, both of which can be left behind.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Instant;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::wait::{is_timeout, waited};
use crate::base::interrupt::SLICE;

/// A resolver that looks nothing up. ureq asks it for every request, even if a connection of the pool serves the
/// request; [`connect`] looks the name up, when a connection is opened.
#[derive(Debug)]
pub(super) struct LateResolver;

impl Resolver for LateResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

/// Opens a connection to `host`. For a host that `is_here`, on this machine, no address of another machine is tried.
pub(super) fn connect(
    host: String,
    port: u16,
    is_here: bool,
    timeout: NextTimeout,
) -> Result<TcpStream, Error> {
    left_behind(timeout, move || open(&host, port, is_here, timeout))
}

/// The addresses of `host`.
pub(super) fn lookup(host: String, port: u16, timeout: NextTimeout) -> Result<Vec<SocketAddr>, Error> {
    left_behind(timeout, move || addresses(&host, port))
}

fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let found = (host, port).to_socket_addrs().map_err(|e| {
        io::Error::new(io::ErrorKind::HostUnreachable, format!("the host '{host}' was not found ({e})"))
    });
    Ok(found?.collect())
}

/// Runs `work` on a thread of its own, since neither the look-up of a name nor connecting can be stopped: after an
/// interrupt or the timeout, the thread is left to end by itself.
fn left_behind<T: Send + 'static>(
    timeout: NextTimeout,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let start = Instant::now();
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new().name("rembed-connect".into()).spawn(move || {
        // Nobody may be waiting any more.
        let _ = sender.send(work());
    })?;
    loop {
        match receiver.recv_timeout(SLICE) {
            Ok(result) => return result,
            Err(mpsc::RecvTimeoutError::Timeout) => waited(start, timeout)?,
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(Error::ConnectionFailed),
        }
    }
}

/// Looks `host` up and tries its addresses in turn, each for its share of the time that is left.
fn open(host: &str, port: u16, is_here: bool, timeout: NextTimeout) -> Result<TcpStream, Error> {
    let start = Instant::now();
    let mut addrs = addresses(host, port)?;
    if is_here {
        keep_loopback(host, &mut addrs)?;
    }
    let mut failed = Error::HostNotFound;
    for (i, addr) in addrs.iter().enumerate() {
        let left = timeout.after.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(Error::Timeout(timeout.reason));
        }
        match TcpStream::connect_timeout(addr, left / (addrs.len() - i) as u32) {
            Ok(stream) => return Ok(stream),
            Err(e) if is_timeout(&e) => failed = Error::Timeout(timeout.reason),
            Err(e) => failed = Error::Io(e),
        }
    }
    Err(failed)
}

/// Drops addresses that are not this machine's. Keys go to a name like localhost over plain http and past the proxy, so
/// it must lead nowhere else.
fn keep_loopback(host: &str, addrs: &mut Vec<SocketAddr>) -> Result<(), Error> {
    let elsewhere = addrs.first().map(SocketAddr::ip);
    addrs.retain(|addr| addr.ip().to_canonical().is_loopback());
    match elsewhere {
        Some(ip) if addrs.is_empty() => Err(Error::Other(
            format!("'{host}' is {ip} here, which is not this machine: name the host, or correct /etc/hosts")
                .into(),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_this_machine_or_an_error() {
        let addrs = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let mut both = addrs(&["192.0.2.1:80", "[::1]:80", "127.0.0.1:80", "[::ffff:127.0.0.2]:80"]);
        keep_loopback("localhost", &mut both).unwrap();
        assert_eq!(both, addrs(&["[::1]:80", "127.0.0.1:80", "[::ffff:127.0.0.2]:80"]));
        let e = keep_loopback("localhost", &mut addrs(&["192.0.2.1:80"])).unwrap_err().to_string();
        assert!(e.contains("'localhost' is 192.0.2.1 here"), "{e}");
    }
}
