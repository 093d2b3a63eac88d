//! The server's side of TLS.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate and its key.
pub struct Tls(pub TlsAcceptor);

impl Tls {
    /// Reads both from PEM files.
    pub fn load(cert: &str, key: &str) -> Result<Self, String> {
        let chain = CertificateDer::pem_file_iter(cert)
            .and_then(Iterator::collect)
            .map_err(|e| format!("{cert}: {e}"))?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|e| format!("{key}: {e}"))?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|e| e.to_string())?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}
