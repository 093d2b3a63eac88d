//! The certificate by which a client shows who it is.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use ureq::Agent;
use zeroize::{Zeroize as _, Zeroizing};

use super::agent;
use super::trust::{TRUST, certificates};
use crate::base::file;
use crate::base::hash::{Digest, hash_secrets};
use crate::base::process::PerProcess;

/// The largest file of a certificate or its key.
const FILE_MAX: usize = 256 << 10;

/// The most certificates whose connections are kept.
const AGENTS_MAX: usize = 64;

/// A client's certificate and its key, as its files hold them.
pub struct Identity {
    chain: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
    digest: Digest,
}

/// The agents of certificates, each with connections of its own: what a server gives to one is not for another.
static AGENTS: PerProcess<Mutex<HashMap<Digest, Agent>>> = PerProcess::new(|_| Mutex::default());

impl Identity {
    /// Reads the files, both in PEM. A file of the certificate may hold the key, too.
    ///
    /// # Errors
    /// Why that cannot be, in words for the user.
    pub fn read(certificate: &Path, key: Option<&Path>) -> Result<Identity, String> {
        let read = |what: &str, path: &Path| {
            file::read(path, FILE_MAX).map_err(|why| format!("{what} ({}): {why}", path.display()))
        };
        let chain = read("client_cert", certificate)?;
        let key = match key {
            Some(key) => read("client_key", key)?,
            None => chain.clone(),
        };
        let digest = hash_secrets([&chain[..], &key[..]]);
        Ok(Identity { chain, key, digest })
    }

    /// A hash of both files.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The agent whose connections show this certificate.
    pub(super) fn agent(&self) -> Result<Agent, String> {
        let agents = || AGENTS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents().get(&self.digest) {
            return Ok(agent.clone());
        }
        let agent = agent::agent(Some(Arc::new(self.configure()?)));
        let mut agents = agents();
        if agents.len() >= AGENTS_MAX {
            agents.clear();
        }
        Ok(agents.entry(self.digest).or_insert(agent).clone())
    }

    fn configure(&self) -> Result<ClientConfig, String> {
        let chain = certificates(&self.chain).map_err(|why| format!("client_cert: {why}"))?;
        let mut key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| {
            "client_key: it holds no private key in PEM, or one that is encrypted (openssl pkey decrypts it)"
        })?;
        let trust = TRUST.as_ref().map_err(String::clone)?;
        let config = trust.configure().with_client_auth_cert(chain, key.clone_key());
        key.zeroize();
        config.map_err(|e| format!("client_cert and client_key: {e}"))
    }
}
