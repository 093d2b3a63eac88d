//! Agents, which pool connections: one for all clients of the process but those with certificates of their own.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use ureq::Agent;
use ureq::unversioned::transport::Connector;

use super::absolute::AbsoluteConnector;
use super::connect::LateResolver;
use super::kept::{BUFFER, KeptConnector};
use super::socket::SocketConnector;
use super::through::ThroughConnector;
use super::tls::TlsConnector;
use crate::base::process::PerProcess;

/// Idle connections kept to one server, and in all: a pool of 32 statements at once reuses its own.
const IDLE_PER_HOST: usize = 64;
const IDLE: usize = 128;

pub(super) const USER_AGENT: &str = concat!("sqlite-rembed/", env!("CARGO_PKG_VERSION"));

/// The agent of clients without a certificate.
pub(super) static AGENT: PerProcess<Agent> = PerProcess::new(|_| agent(None));

/// An agent whose TLS has the configuration `own`.
pub(super) fn agent(own: Option<Arc<ClientConfig>>) -> Agent {
    let config = Agent::config_builder()
        // The chain below has its own way with proxies.
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(IDLE)
        .max_idle_connections_per_host(IDLE_PER_HOST)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .max_idle_age(Duration::from_secs(30))
        .accept_encoding("gzip")
        .user_agent(USER_AGENT)
        .build();
    let connector =
        ().chain(SocketConnector)
            .chain(ThroughConnector)
            .chain(TlsConnector { own })
            .chain(AbsoluteConnector)
            .chain(KeptConnector);
    Agent::with_parts(config, connector, LateResolver)
}
