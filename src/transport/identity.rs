//! Connections on which a client shows its certificate.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, Error, InconsistentKeys};
use ureq::Agent;
use zeroize::Zeroize as _;

use super::agent;
use super::trust::{TRUST, certificates};
use crate::base::certificate::Identity;
use crate::base::hash::Digest;
use crate::base::process::PerProcess;

/// The most certificates whose connections are kept.
const AGENTS_MAX: usize = 64;

/// The agents of certificates, each with connections of its own: what a server gives to one is not for another.
static AGENTS: PerProcess<Mutex<HashMap<Digest, Agent>>> = PerProcess::new(|_| Mutex::default());

/// The agent whose connections show this certificate.
pub(super) fn agent_of(identity: &Identity) -> Result<Agent, String> {
    let agents = || AGENTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(agent) = agents().get(&identity.digest) {
        return Ok(agent.clone());
    }
    let agent = agent::agent(Some(Arc::new(configure(identity)?)));
    let mut agents = agents();
    if agents.len() >= AGENTS_MAX {
        agents.clear();
    }
    Ok(agents.entry(identity.digest).or_insert(agent).clone())
}

fn configure(identity: &Identity) -> Result<ClientConfig, String> {
    let chain = certificates(&identity.chain).map_err(|why| format!("client_cert: {why}"))?;
    let mut key = PrivateKeyDer::from_pem_slice(&identity.key).map_err(
        |_| "client_key: it holds no private key in PEM, or one that is encrypted (openssl pkey decrypts it)",
    )?;
    let trust = TRUST.as_ref().map_err(String::clone)?;
    let builder = trust.configure();
    let signing = builder.crypto_provider().key_provider.load_private_key(key.clone_key());
    key.zeroize();
    let wrong = |e| format!("client_cert and client_key: {e}");
    let certified = CertifiedKey::new(chain, signing.map_err(wrong)?);
    match certified.keys_match() {
        // What the server makes of it is the server's: OpenSSL signs by version 1 of X.509 unless it is told otherwise, and
        // takes it.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown) | Error::InvalidCertificate(_)) => {
            Ok(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified))))
        }
        Err(e) => Err(wrong(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_version_1_is_shown_to_the_server() {
        let pem = include_bytes!("../../tests/fixtures/tls/client_version_1.pem").to_vec();
        let identity = Identity { chain: pem.clone().into(), key: pem.into(), digest: [0; 32] };
        assert!(configure(&identity).unwrap().client_auth_cert_resolver.has_certs());
    }
}
