//! The certificate by which a client shows who it is, as its files hold it.

use std::path::Path;

use zeroize::Zeroizing;

use crate::base::file;
use crate::base::hash::{Digest, hash_secrets};

/// The largest file of a certificate or its key.
const FILE_MAX: usize = 256 << 10;

/// A client's certificate and its key, in PEM.
pub struct Identity {
    /// The certificate, and those that lead to who signed it.
    pub chain: Zeroizing<Vec<u8>>,
    /// The private key.
    pub key: Zeroizing<Vec<u8>>,
    /// A hash of both.
    pub digest: Digest,
}

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
}
