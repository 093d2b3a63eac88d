//! Whose certificates are believed: those that an authority has signed which Mozilla, this machine or the user trusts, and those
//! that the user names themselves.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};

use crate::base::file;
use crate::base::process::PerProcess;

/// The largest `SSL_CERT_FILE` that is read; Mozilla's bundle is 230 kB.
const FILE_MAX: usize = 4 << 20;

/// What this process trusts: the certificates of `SSL_CERT_FILE`, as OpenSSL and curl take it; without it Mozilla's, which
/// are compiled in, and those of the machine.
pub(super) static TRUST: PerProcess<Result<Trust, String>> = PerProcess::new(|parent| match parent {
    Some(parent) => parent.clone(),
    None => match std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) {
        Some(path) => {
            let wrong = |why: String| format!("SSL_CERT_FILE ({}): {why}", path.to_string_lossy());
            let named = named_by_file(path.as_ref()).map_err(wrong)?;
            Trust::new(RootCertStore::empty(), named).map_err(wrong)
        }
        None => {
            let mozilla = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            Trust::new(mozilla, named_by_machine())
        }
    },
});

/// The certificates of a file in PEM.
fn named_by_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = without_marks(&file::read_once(path, FILE_MAX)?);
    certificates(&text)
}

/// The certificates of a text in PEM.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let all = all.map_err(|e| e.to_string())?;
    if all.is_empty() { Err("it holds no certificate".into()) } else { Ok(all) }
}

/// The text without byte order marks, of which a bundle of several files has some within.
fn without_marks(text: &[u8]) -> Vec<u8> {
    let mut rest = text;
    let mut all = Vec::with_capacity(text.len());
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(file::MARK) {
            Some(after) => rest = after,
            None => {
                all.push(*first);
                rest = after;
            }
        }
    }
    all
}

/// The certificates that the administrator of this machine trusts. Of a store that cannot be read, none.
fn named_by_machine() -> Vec<CertificateDer<'static>> {
    file::once(|| Ok(rustls_native_certs::load_native_certs().certs)).unwrap_or_default()
}

/// Checks the certificates of servers.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    webpki: Arc<WebPkiServerVerifier>,
    /// The certificates beside Mozilla's. One of them may be a server's own.
    named: Vec<CertificateDer<'static>>,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

impl Trust {
    fn new(mut roots: RootCertStore, named: Vec<CertificateDer<'static>>) -> Result<Trust, String> {
        roots.add_parsable_certificates(named.iter().cloned());
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        Ok(Trust { webpki: builder.build().map_err(|e| e.to_string())?, named })
    }

    /// A client's configuration but for its own certificate.
    pub(super) fn configure(&self) -> ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring has all of them")
            // Dangerous is a verifier that checks less. This one asks rustls's own.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self.clone()))
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let checked =
            self.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match checked {
            Err(Error::InvalidCertificate(why))
                if self.named.iter().any(|named| named == end_entity)
                    && is_about_the_issuer(&why, end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Whether a certificate was refused for nothing but who signed it, which does not matter for one that the user names.
/// webpki checks the dates before that. An authority's own certificate it refuses before it comes to what the
/// certificate is for.
fn is_about_the_issuer(why: &CertificateError, certificate: &[u8]) -> bool {
    match why {
        // The latter where somebody else's certificate has the issuer's name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => true,
        CertificateError::Other(OtherError(e)) if e.to_string() == "CaUsedAsEndEntity" => {
            // OIDs as DER has them (RFC 5280, 4.2.1.12): the extension, and its purpose of servers.
            const EXTENDED_KEY_USAGE: &[u8] = &[6, 3, 0x55, 0x1d, 0x25];
            const SERVER: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
            let has = |oid: &[u8]| certificate.windows(oid.len()).any(|bytes| bytes == oid);
            !has(EXTENDED_KEY_USAGE) || has(SERVER)
        }
        _ => false,
    }
}
