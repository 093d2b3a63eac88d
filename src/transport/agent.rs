//! The one pooled keep-alive agent of the process: its certificates, its proxy, its chain of connectors.

use std::time::Duration;

use ureq::tls::{self, PemItem, RootCerts, TlsConfig};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, RustlsConnector, SocksConnector};
use ureq::{Agent, Proxy};

use super::connect::LateResolver;
use super::kept::{BUFFER, KeptConnector};
use super::records::RecordsConnector;
use super::socket::SocketConnector;
use crate::base::file;
use crate::base::process::PerProcess;

/// Idle connections kept to one server, and in all: a pool of 32 statements at once reuses its own.
const IDLE_PER_HOST: usize = 64;
const IDLE: usize = 128;

/// The largest `SSL_CERT_FILE` that is read; Mozilla's bundle is 230 kB.
const ROOTS_MAX: usize = 4 << 20;

/// The certificates that a server's may rest on: those of `SSL_CERT_FILE`, as OpenSSL and curl take it, or
/// Mozilla's, which are compiled in.
pub(super) static ROOTS: PerProcess<Result<RootCerts, String>> = PerProcess::new(|parent| {
    if let Some(parent) = parent {
        return parent.clone();
    }
    let Some(path) = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) else {
        return Ok(RootCerts::WebPki);
    };
    let wrong = |why: String| format!("SSL_CERT_FILE ({}): {why}", path.to_string_lossy());
    let text = file::read_once(path.as_ref(), ROOTS_MAX).map_err(wrong)?;
    let mut roots = Vec::new();
    for item in tls::parse_pem(&text) {
        if let PemItem::Certificate(root) = item.map_err(|e| wrong(e.to_string()))? {
            roots.push(root);
        }
    }
    match roots.is_empty() {
        true => Err(wrong("it holds no certificate".into())),
        false => Ok(RootCerts::from(roots)),
    }
});

pub(super) static AGENT: PerProcess<Agent> = PerProcess::new(|_| {
    let roots = ROOTS.clone().unwrap_or(RootCerts::WebPki);
    let config = Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(IDLE)
        .max_idle_connections_per_host(IDLE_PER_HOST)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .max_idle_age(Duration::from_secs(30))
        .user_agent(concat!("sqlite-rembed/", env!("CARGO_PKG_VERSION")))
        .build();
    // ureq's own chain (read its DefaultConnector) with a socket that can be interrupted, buffers that are wiped, and
    // no reply that is left over.
    let connector =
        ().chain(SocksConnector::default())
            .chain(ConnectProxyConnector::default())
            .chain(SocketConnector)
            .chain(RecordsConnector)
            .chain(RustlsConnector::default())
            .chain(KeptConnector);
    Agent::with_parts(config, connector, LateResolver)
});

/// The proxy variable whose value is not a proxy's address, if there is one. ureq would ignore it, and connect
/// without a proxy.
pub(super) static BAD_PROXY: PerProcess<Option<&str>> = PerProcess::new(|_| {
    let names = ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
    let bad = |value: std::ffi::OsString| {
        !value.is_empty() && value.to_str().is_none_or(|v| Proxy::new(v).is_err())
    };
    names.into_iter().find(|name| std::env::var_os(name).is_some_and(bad))
});
