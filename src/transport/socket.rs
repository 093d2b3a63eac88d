//! Sockets whose waits end when the statement is interrupted.
//!
//! ureq's own TCP transport blocks until its timeout. This one waits in slices on the caller's thread, so no
//! thread is needed to interrupt a request; only [`super::connect`] has one.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use super::connect::connect;
use super::kept::is_probing;
use super::proxy;
use super::wait::{check, is_timeout, waited};
use crate::base::host::{self, is_loopback};
use crate::base::interrupt::SLICE;

/// Opens [`Socket`]s, to the target or its proxy.
#[derive(Debug)]
pub(super) struct SocketConnector;

impl Connector for SocketConnector {
    type Out = Socket;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Socket>, Error> {
        let uri = details.uri;
        let stream = match proxy::of(uri) {
            Ok(Some(proxy)) => connect(proxy.host.clone(), proxy.port, false, details.timeout)?,
            Ok(None) => {
                connect(host::of(uri).to_owned(), host::port(uri), is_loopback(uri), details.timeout)?
            }
            // Never without the proxy.
            Err(_) => return Err(Error::InvalidProxyUrl),
        };
        stream.set_nodelay(details.config.no_delay())?;
        stream.set_read_timeout(Some(SLICE))?;
        stream.set_write_timeout(Some(SLICE))?;
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Socket { stream, buffers, unsent: None }))
    }
}

/// A TCP connection.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    buffers: LazyBuffers,
    /// Why a write failed. A server that has had enough of a request answers it and closes: its reply is read first.
    unsent: Option<Error>,
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.unsent.is_some() {
            return Ok(());
        }
        match write_all(&self.stream, &self.buffers.output()[..amount], timeout) {
            Err(Error::Io(e)) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                self.unsent = Some(Error::Io(e));
                Ok(())
            }
            done => done,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        let start = Instant::now();
        loop {
            let read = match is_probing() {
                true => look(&self.stream, self.buffers.input_append_buf()),
                false => {
                    check()?;
                    self.stream.read(self.buffers.input_append_buf())
                }
            };
            match read {
                Ok(n) => {
                    self.buffers.input_appended(n);
                    return match self.unsent.take() {
                        Some(e) if n == 0 => Err(e),
                        unsent => {
                            self.unsent = unsent;
                            Ok(n > 0)
                        }
                    };
                }
                Err(e) if is_timeout(&e) && is_probing() => return Err(Error::Timeout(timeout.reason)),
                Err(e) if is_timeout(&e) || e.kind() == ErrorKind::Interrupted => waited(start, timeout)?,
                Err(e) => return Err(self.unsent.take().unwrap_or(e.into())),
            }
        }
    }

    /// This is called after a look at what is there to read, and that look tells more.
    fn is_open(&mut self) -> bool {
        self.unsent.is_none()
    }
}

/// Reads what is there, and does not wait.
#[cfg(unix)]
fn look(stream: &TcpStream, buf: &mut [u8]) -> io::Result<usize> {
    let (read, _) = rustix::net::recv(stream, buf, rustix::net::RecvFlags::DONTWAIT)?;
    Ok(read)
}

/// The same where a read cannot be asked not to wait.
#[cfg(not(unix))]
fn look(mut stream: &TcpStream, buf: &mut [u8]) -> io::Result<usize> {
    stream.set_nonblocking(true)?;
    let read = stream.read(buf);
    stream.set_nonblocking(false)?;
    read
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
