//! Sockets whose waits end when the statement is interrupted, and buffers that keep no key.
//!
//! ureq's own TCP transport blocks until its timeout. This one waits in slices on the caller's thread, so no
//! thread is needed to interrupt a request; only opening a connection, which the standard library cannot do
//! in slices, runs on a thread of its own.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Error, Timeout};

use zeroize::Zeroizing;

use super::{Interrupt, SLICE};

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
fn check() -> Result<(), Error> {
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
        let stream = on_thread(timeout, move || open(&host, port, timeout))?;
        stream.set_nodelay(details.config.no_delay())?;
        stream.set_read_timeout(Some(SLICE))?;
        stream.set_write_timeout(Some(SLICE))?;
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Socket {
            stream,
            buffers,
            pending: Zeroizing::default(),
            process: std::process::id(),
            just_read: false,
        })))
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

/// Looks `host` up and tries its addresses in turn, each for its share of the time that is left.
fn open(host: &str, port: u16, timeout: NextTimeout) -> Result<TcpStream, Error> {
    let start = Instant::now();
    let addrs: Vec<_> = (host, port).to_socket_addrs()?.collect();
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

/// Output up to this size waits for what follows: header and body of a small request leave in one packet.
const COALESCE: usize = 16 << 10;

/// A TCP connection.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    buffers: LazyBuffers,
    /// Output that is not sent yet, since ureq has not asked for the reply.
    pending: Zeroizing<Vec<u8>>,
    /// The process that opened the connection. Its child must not use it: both would read each other's replies.
    process: u32,
    /// Whether a read has succeeded since the connection was last found to be open.
    just_read: bool,
}

impl Socket {
    fn flush(&mut self, timeout: NextTimeout) -> Result<(), Error> {
        let sent = write_all(&self.stream, &self.pending, timeout);
        self.pending.fill(0);
        self.pending.clear();
        sent
    }
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.pending.len() + amount > COALESCE {
            self.flush(timeout)?;
            return write_all(&self.stream, &self.buffers.output()[..amount], timeout);
        }
        // Room for all that may come: growing would leave a copy behind that nobody wipes.
        let room = COALESCE - self.pending.len();
        self.pending.reserve_exact(room);
        self.pending.extend_from_slice(&self.buffers.output()[..amount]);
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if !self.pending.is_empty() {
            self.flush(timeout)?;
        }
        let timeout = timeout.for_read();
        let start = Instant::now();
        loop {
            check()?;
            match self.stream.read(self.buffers.input_append_buf()) {
                Ok(n) => {
                    self.buffers.input_appended(n);
                    self.just_read = n > 0;
                    return Ok(n > 0);
                }
                Err(e) if is_timeout(&e) || e.kind() == ErrorKind::Interrupted => waited(start, timeout)?,
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Whether the server has neither closed the connection nor sent what nobody asked for. ureq asks when it
    /// puts a connection back, just after the reply, and again when it takes it out.
    fn is_open(&mut self) -> bool {
        let just_read = std::mem::take(&mut self.just_read);
        if self.process != std::process::id() {
            return false;
        }
        if just_read {
            return true;
        }
        let mut byte = [0];
        let idle = self.stream.set_nonblocking(true).is_ok()
            && matches!(self.stream.read(&mut byte), Err(e) if e.kind() == ErrorKind::WouldBlock);
        idle && self.stream.set_nonblocking(false).is_ok()
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

/// Wipes what was sent from the output buffer, which a pooled connection would keep with the key in it, and what came
/// from the input buffer: a server may repeat the key.
#[derive(Debug)]
pub(super) struct WipeConnector;

impl<In: Transport> Connector<In> for WipeConnector {
    type Out = Wipe<In>;

    fn connect(&self, _: &ConnectionDetails, chained: Option<In>) -> Result<Option<Wipe<In>>, Error> {
        Ok(chained.map(Wipe))
    }
}

#[derive(Debug)]
pub(super) struct Wipe<T: Transport>(T);

impl<T: Transport> Wipe<T> {
    fn wipe_input(&mut self) {
        let buffers = self.0.buffers();
        if buffers.input().is_empty() {
            buffers.input_append_buf().fill(0);
        }
    }
}

impl<T: Transport> Drop for Wipe<T> {
    fn drop(&mut self) {
        let unread = self.0.buffers().input().len();
        self.0.buffers().input_consume(unread);
        self.wipe_input();
    }
}

impl<T: Transport> Transport for Wipe<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let sent = self.0.transmit_output(amount, timeout);
        self.0.buffers().output()[..amount].fill(0);
        sent
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.wipe_input();
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}
