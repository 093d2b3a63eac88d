//! Connections that are kept for the next request, and what must not be on them: a key, or a byte that nobody asked for.
//!
//! A server may send one reply too many. It must not be taken for the answer to the next request. No reply can arrive
//! before its request has left. So before the last piece of a request is sent, the connection is looked at: if anything
//! is there to read, at any layer below, the connection is closed.

use std::cell::Cell;
use std::io;

use ureq::unversioned::transport::time::Duration;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Error, Timeout};

use crate::base::wiped::Wiped;

thread_local! {
    static PROBING: Cell<bool> = const { Cell::new(false) };
    static AFRESH: Cell<bool> = const { Cell::new(false) };
}

/// While the guard lives, what this thread reads is a look at what is there, not a wait.
fn probe() -> impl Drop {
    set(&PROBING)
}

/// Whether this thread only looks.
pub(super) fn is_probing() -> bool {
    PROBING.get()
}

/// While the guard lives, requests of this thread take no connection that served another.
pub(super) fn afresh() -> impl Drop {
    set(&AFRESH)
}

fn set(flag: &'static std::thread::LocalKey<Cell<bool>>) -> impl Drop {
    struct Restore(&'static std::thread::LocalKey<Cell<bool>>, bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    Restore(flag, flag.replace(true))
}

/// A connection's buffers, which it keeps while it is idle.
pub(super) const BUFFER: usize = 32 << 10;

/// Whether an error says that the other side has ended the connection.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// The time of a look. It is had at once, and no time at all would be over before it.
const LOOK: Duration = Duration::from_millis(1);

/// A connection that served another request is of no use for this one: it had something to read before the request had
/// left, or ended before the first byte of the reply. Servers close connections that are idle without a word.
#[derive(Debug, thiserror::Error)]
#[error("it sent what nobody had asked for, or closed the connection")]
struct Stale;

/// Whether a request failed since its connection was [`Stale`]: it may be sent again, by another one.
pub(super) fn is_stale(error: &Error) -> bool {
    matches!(error, Error::Io(e) if e.get_ref().is_some_and(|e| e.is::<Stale>()))
}

/// Makes [`Kept`]s of the connections of a chain.
#[derive(Debug)]
pub(super) struct KeptConnector;

impl<In: Transport> Connector<In> for KeptConnector {
    type Out = Kept<In>;

    fn connect(&self, _: &ConnectionDetails, chained: Option<In>) -> Result<Option<Kept<In>>, Error> {
        Ok(chained.map(|inner| Kept {
            inner,
            pending: Wiped::default(),
            has_served: false,
            just_read: false,
            is_answered: false,
            came: BUFFER,
        }))
    }
}

/// A connection as ureq's pool has it, TLS and proxies included.
#[derive(Debug)]
pub(super) struct Kept<T: Transport> {
    inner: T,
    /// Output that is not sent yet. The header and the body of a small request leave together, and the last piece of
    /// every request leaves only when nothing is there to read.
    pending: Wiped,
    /// Whether a request before this one was answered.
    has_served: bool,
    /// Whether a read has succeeded since ureq last asked whether the connection is open.
    just_read: bool,
    /// Whether a byte of the reply to this request has come.
    is_answered: bool,
    /// How many bytes of the input buffer may have been written to since it was wiped. A proxy may have spoken before.
    came: usize,
}

impl<T: Transport> Kept<T> {
    /// Whether nothing is left to read: not in the kernel, not in a buffer, not in TLS, neither as text nor as half a
    /// record. TLS keeps for itself what is its own, as the tickets that a server sends unasked.
    fn is_idle(&mut self) -> bool {
        let _probe = probe();
        let look = NextTimeout { after: LOOK, reason: Timeout::PerRead, ..NextTimeout::default() };
        self.inner.buffers().input().is_empty()
            && matches!(self.read(look), Err(Error::Timeout(_)))
            && self.inner.is_open()
    }

    /// The end of a kept connection before the first byte of the reply, as [`Stale`].
    fn or_stale<R>(&self, done: Result<R, Error>) -> Result<R, Error> {
        match done {
            Err(Error::Io(e)) if self.has_served && !self.is_answered && is_end(&e) => {
                Err(io::Error::other(Stale).into())
            }
            done => done,
        }
    }

    fn read(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let before = self.inner.buffers().input().len();
        let read = self.inner.await_input(timeout);
        self.came += self.inner.buffers().input().len() - before;
        read
    }

    /// Wipes what came: a server may repeat the key.
    fn wipe_input(&mut self) {
        let buffers = self.inner.buffers();
        if buffers.input().is_empty() {
            let buffer = buffers.input_append_buf();
            let written = buffer.len().min(std::mem::take(&mut self.came));
            buffer[..written].fill(0);
        }
    }

    fn flush(&mut self, timeout: NextTimeout) -> Result<(), Error> {
        let pending = std::mem::take(&mut self.pending);
        send_all(&mut self.inner, &pending, timeout)
    }
}

/// Sends `bytes` through the output buffer, in pieces where they are more than it holds.
pub(super) fn send_all(inner: &mut impl Transport, bytes: &[u8], timeout: NextTimeout) -> Result<(), Error> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let output = inner.buffers().output();
        let (now, later) = rest.split_at(rest.len().min(output.len()));
        output[..now.len()].copy_from_slice(now);
        let sent = inner.transmit_output(now.len(), timeout);
        // The connection is kept, and its buffer with it: the key must not stay in there.
        inner.buffers().output()[..now.len()].fill(0);
        sent?;
        rest = later;
    }
    Ok(())
}

impl<T: Transport> Drop for Kept<T> {
    fn drop(&mut self) {
        let unread = self.inner.buffers().input().len();
        self.inner.buffers().input_consume(unread);
        self.wipe_input();
    }
}

impl<T: Transport> Transport for Kept<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let full = self.pending.len() + amount > BUFFER;
        let before = if full { &[][..] } else { &self.pending };
        let output = &mut self.inner.buffers().output()[..amount];
        // A new buffer: growing would leave a copy of the key behind that nobody wipes.
        let pending = Wiped::new([before, &*output].concat());
        output.fill(0);
        if full {
            let sent = self.flush(timeout);
            self.or_stale(sent)?;
        }
        self.pending = pending;
        Ok(())
    }

    fn maybe_await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        match self.pending.is_empty() && self.inner.buffers().can_use_input() {
            true => Ok(true),
            false => self.await_input(timeout),
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if !self.pending.is_empty() && !is_probing() {
            // A new connection cannot hold a reply to an earlier request. If its server speaks before the request is
            // complete, it speaks of this request.
            let unasked = !self.inner.buffers().input().is_empty();
            if unasked || (self.has_served && !self.is_idle()) {
                return Err(io::Error::other(Stale).into());
            }
            let sent = self.flush(timeout);
            self.or_stale(sent)?;
        }
        let read = match self.read(timeout) {
            Ok(false) if !self.is_answered => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            read => read,
        };
        self.just_read = self.or_stale(read)?;
        self.is_answered |= self.just_read;
        Ok(self.just_read)
    }

    /// ureq calls this when it puts a connection back, just after the reply, and again when it takes the connection out:
    /// then it is not looked at, since it will be before the request leaves. While [`is_probing`], it passes the question
    /// on to the layers below.
    fn is_open(&mut self) -> bool {
        if is_probing() {
            return self.inner.is_open();
        }
        if std::mem::take(&mut self.just_read) {
            (self.has_served, self.is_answered) = (true, false);
            self.wipe_input();
            return true;
        }
        !AFRESH.get()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
