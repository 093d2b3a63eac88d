//! TLS on a connection, by rustls. ureq's own connector takes no verifier, and makes its configuration anew for every request
//! that has one of its own.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use super::records::Records;
use super::trust::TRUST;
use super::wait::left;
use crate::base::host;
use crate::base::process::PerProcess;

/// Connections of clients without a certificate.
static PLAIN: PerProcess<Result<Arc<ClientConfig>, String>> = PerProcess::new(|_| {
    Ok(Arc::new(TRUST.as_ref().map_err(String::clone)?.configure().with_no_client_auth()))
});

/// The configuration of clients without a certificate.
pub(super) fn plain() -> Result<Arc<ClientConfig>, Error> {
    PLAIN.clone().map_err(|why| io::Error::other(why).into())
}

/// Wraps connections for https in TLS. `own` is the configuration of a client with a certificate.
pub(super) struct TlsConnector {
    pub own: Option<Arc<ClientConfig>>,
}

impl std::fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, Tls<In>>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let Some(inner) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(inner)));
        }
        let config = self.own.clone().map_or_else(plain, Ok)?;
        secure(inner, &config, host::of(details.uri), details).map(|tls| Some(Either::B(tls)))
    }
}

/// Makes sure that the other end of a connection is `host`.
pub(super) fn secure<T: Transport>(
    inner: T,
    config: &Arc<ClientConfig>,
    host: &str,
    details: &ConnectionDetails,
) -> Result<Tls<T>, Error> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut conn = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
    let mut sock = TransportAdapter::new(Records::new(inner), details.current_time.clone());
    sock.set_timeout(left(details)?);
    conn.complete_io(&mut sock)?;
    let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
    Ok(Tls { buffers, stream: StreamOwned { conn, sock } })
}

/// A connection within TLS.
pub(super) struct Tls<T: Transport> {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter<Records<T>>>,
}

impl<T: Transport> std::fmt::Debug for Tls<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({:?})", self.stream.sock.inner())
    }
}

impl<T: Transport> Transport for Tls<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let read = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
