//! Sockets whose waits end when the statement is interrupted.
//!
//! ureq's own TCP transport blocks until its timeout. This one waits in slices on the caller's thread, so no
//! thread is needed to interrupt a request; only opening a connection, which the standard library cannot do
//! in slices, runs on a thread of its own.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Error, Timeout};

use super::kept::is_probing;
use super::{Interrupt, SLICE, policy};

/// The request of a thread: who may end its waits, and when they end by themselves.
#[derive(Clone)]
struct Current {
    interrupt: Arc<dyn Interrupt>,
    deadline: Instant,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// While the guard lives, waits of this thread end when `interrupt` says so, and at `deadline`.
pub(crate) fn interruptible(interrupt: &Arc<dyn Interrupt>, deadline: Instant) -> impl Drop {
    struct Restore(Option<Current>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    Restore(CURRENT.replace(Some(Current { interrupt: interrupt.clone(), deadline })))
}

/// Asked before every read and write, not only after a wait: a server that trickles bytes never lets one end.
pub(super) fn check() -> Result<(), Error> {
    CURRENT.with_borrow(|current| match current {
        // Not ErrorKind::Interrupted: readers take that as "try again".
        Some(current) if current.interrupt.is_interrupted() => Err(io::Error::other("interrupted").into()),
        Some(current) if Instant::now() >= current.deadline => Err(Error::Timeout(Timeout::Global)),
        _ => Ok(()),
    })
}

/// The same for waits that are not for a server.
pub(crate) fn may_wait() -> Result<(), String> {
    check().map_err(|e| match e {
        Error::Timeout(_) => "it did not come in time".into(),
        e => e.to_string(),
    })
}

fn is_timeout(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Leaves looking a host name up to [`SocketConnector`]: ureq asks for every request, also when a connection of
/// the pool serves it.
#[derive(Debug)]
pub(super) struct LateResolver;

impl Resolver for LateResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        match config.proxy().is_some() {
            // The connectors of proxies look up the proxy, and some the target.
            true => DefaultResolver::default().resolve(uri, config, timeout),
            false => Ok(self.empty()),
        }
    }
}

/// Opens [`Socket`]s, unless a proxy in the chain has opened a connection already.
#[derive(Debug)]
pub(super) struct SocketConnector;

impl<In: Transport> Connector<In> for SocketConnector {
    type Out = Either<In, Socket>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        if chained.is_some() {
            return Ok(chained.map(Either::A));
        }
        let uri = details.uri;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let standard = if details.needs_tls() { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(standard);
        let timeout = details.timeout;
        let is_here = policy::is_loopback(uri);
        let stream = on_thread(timeout, move || open(&host, port, is_here, timeout))?;
        stream.set_nodelay(details.config.no_delay())?;
        stream.set_read_timeout(Some(SLICE))?;
        stream.set_write_timeout(Some(SLICE))?;
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Socket { stream, buffers })))
    }
}

/// Runs `work` on a thread and waits for it in slices. An interrupt or the timeout leaves the thread behind, to
/// end by itself: neither a look-up of a name nor connecting can be called off.
fn on_thread<T: Send + 'static>(
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

/// Looks `host` up and tries its addresses in turn, each for its share of the time that is left; only those of this
/// machine where it `is_here`.
fn open(host: &str, port: u16, is_here: bool, timeout: NextTimeout) -> Result<TcpStream, Error> {
    let start = Instant::now();
    let mut addrs: Vec<_> = (host, port).to_socket_addrs()?.collect();
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

/// A name that counts as this machine, for which keys go over plain http and past the proxy, must be it.
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

/// A TCP connection.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        write_all(&self.stream, &self.buffers.output()[..amount], timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        let start = Instant::now();
        loop {
            let read = match is_probing() {
                true => {
                    self.stream.set_nonblocking(true)?;
                    let read = self.stream.read(self.buffers.input_append_buf());
                    self.stream.set_nonblocking(false)?;
                    read
                }
                false => {
                    check()?;
                    self.stream.read(self.buffers.input_append_buf())
                }
            };
            match read {
                Ok(n) => {
                    self.buffers.input_appended(n);
                    return Ok(n > 0);
                }
                Err(e) if is_timeout(&e) && is_probing() => return Err(Error::Timeout(timeout.reason)),
                Err(e) if is_timeout(&e) || e.kind() == ErrorKind::Interrupted => waited(start, timeout)?,
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Asked after a look at what is there, which tells more.
    fn is_open(&mut self) -> bool {
        true
    }
}

fn write_all(mut stream: &TcpStream, mut rest: &[u8], timeout: NextTimeout) -> Result<(), Error> {
    let timeout = timeout.for_write();
    let start = Instant::now();
    while !rest.is_empty() {
        check()?;
        match stream.write(rest) {
            Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
            Ok(n) => rest = &rest[n..],
            Err(e) if is_timeout(&e) || e.kind() == ErrorKind::Interrupted => waited(start, timeout)?,
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// After a slice of waiting: is it to go on?
fn waited(start: Instant, timeout: NextTimeout) -> Result<(), Error> {
    check()?;
    match !timeout.after.is_not_happening() && start.elapsed() >= *timeout.after {
        true => Err(Error::Timeout(timeout.reason)),
        false => Ok(()),
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
