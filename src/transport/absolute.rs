//! Requests for plain http that a proxy reads: the whole URL stands in the request line, and who asks the proxy in a header.

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport};
use zeroize::Zeroizing;

use super::kept::{is_probing, send_all};
use super::proxy;
use crate::base::wiped::Wiped;

/// Wraps connections to proxies that read the request.
#[derive(Debug)]
pub(super) struct AbsoluteConnector;

impl<In: Transport> Connector<In> for AbsoluteConnector {
    type Out = Either<In, Absolute<In>>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let wrap = |inner| match proxy::of(details.uri) {
            Ok(Some(proxy)) if proxy.speaks_http() && !details.needs_tls() => {
                let authority = details.uri.authority().map_or("", |authority| authority.as_str());
                let origin = format!("http://{authority}");
                Either::B(Absolute { inner, origin, login: proxy.authorization(), begins: true })
            }
            _ => Either::A(inner),
        };
        Ok(chained.map(wrap))
    }
}

/// A connection to a proxy that reads the request.
pub(super) struct Absolute<T> {
    inner: T,
    /// What goes before the path.
    origin: String,
    /// The header for the proxy.
    login: Zeroizing<String>,
    /// Whether what is sent next begins a request.
    begins: bool,
}

impl<T: Transport> std::fmt::Debug for Absolute<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Absolute({:?})", self.inner)
    }
}

impl<T: Transport> Transport for Absolute<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        // After `100 Continue` comes a body, which is JSON.
        let is_line = self.inner.buffers().output()[..amount].starts_with(b"POST ");
        if !std::mem::take(&mut self.begins) || !is_line {
            return self.inner.transmit_output(amount, timeout);
        }
        // The layer above sends a request's line in one piece with what follows it.
        let piece = Wiped::new(self.inner.buffers().output()[..amount].to_vec());
        let path = piece.iter().position(|byte| *byte == b' ').map_or(0, |at| at + 1);
        let line = piece.windows(2).position(|end| end == b"\r\n").map_or(amount, |at| at + 2);
        let parts = [
            &piece[..path],
            self.origin.as_bytes(),
            &piece[path..line],
            self.login.as_bytes(),
            &piece[line..],
        ];
        let request = Wiped::new(parts.concat());
        send_all(&mut self.inner, &request, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let more = self.inner.await_input(timeout);
        // Who waits for a reply has sent all of the request.
        self.begins |= !is_probing();
        more
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
