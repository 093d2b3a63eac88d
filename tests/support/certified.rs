//! Certificates of tests, made when they are needed.
#![allow(dead_code)] // no file uses all of it

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// What a certificate for a server of that name says, but for who signed it.
pub fn server(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// The same, as a certificate of an authority.
pub fn of_authority(mut params: CertificateParams) -> CertificateParams {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// A certificate and its key.
pub struct Certified {
    certificate: String,
    key: KeyPair,
}

impl Certified {
    pub fn self_signed(params: CertificateParams) -> Certified {
        let key = KeyPair::generate().unwrap();
        Certified { certificate: params.self_signed(&key).unwrap().pem(), key }
    }

    pub fn pem(&self) -> String {
        self.certificate.clone()
    }

    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// A server's configuration. With `clients`, it wants a certificate that this authority signed.
    pub fn config(&self, clients: Option<&Authority>) -> Arc<ServerConfig> {
        let chain = vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.key_pem().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        Arc::new(config.with_single_cert(chain, key).unwrap())
    }
}

/// Who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Authority {
        let mut params = of_authority(CertificateParams::new([]).unwrap());
        params.distinguished_name.push(DnType::CommonName, "test authority");
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn sign(&self, params: CertificateParams) -> Certified {
        let key = KeyPair::generate().unwrap();
        Certified { certificate: params.signed_by(&key, &self.0).unwrap().pem(), key }
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }
}

/// A file of this process, or a folder, which goes with this value.
pub struct Temporary(PathBuf);

impl Temporary {
    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("rembed-test-{}-{name}", std::process::id()))
    }

    pub fn file(name: &str, text: &str) -> Temporary {
        let path = Temporary::path(name);
        std::fs::write(&path, text).unwrap();
        Temporary(path)
    }

    /// A folder with one file, `name`.
    pub fn folder(name: &str, text: &str) -> Temporary {
        let path = Temporary::path("folder");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join(name), text).unwrap();
        Temporary(path)
    }
}

impl Deref for Temporary {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ =
            if self.0.is_dir() { std::fs::remove_dir_all(&self.0) } else { std::fs::remove_file(&self.0) };
    }
}
