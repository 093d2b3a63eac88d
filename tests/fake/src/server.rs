//! Accepts connections and counts them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::handler;
use crate::scenario::{Scenario, Settings};
use crate::socket::{Connection, Socket};
use crate::tls::Tls;

/// What all connections share.
pub struct Server {
    /// The scenario of requests outside `/s/`.
    pub root: Arc<Scenario>,
    pub scenarios: RwLock<HashMap<String, Arc<Scenario>>>,
    pub connections: AtomicU64,
    pub requests: AtomicU64,
    pub texts: AtomicU64,
}

impl Server {
    /// The answer to `GET /_`.
    pub fn report(&self) -> Value {
        json!({
            "connections": self.connections.load(Relaxed),
            "requests": self.requests.load(Relaxed),
            "texts": self.texts.load(Relaxed),
        })
    }
}

/// Serves until the process ends.
pub async fn run(listener: TcpListener, tls: Option<Tls>) {
    let server = Arc::new(Server {
        root: Arc::new(Scenario::new(Settings { log: false, ..Settings::default() })),
        scenarios: RwLock::default(),
        connections: AtomicU64::new(0),
        requests: AtomicU64::new(0),
        texts: AtomicU64::new(0),
    });
    let tls = tls.map(Arc::new);
    for id in 0.. {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(greet(server.clone(), stream, tls.clone(), id));
            }
            // Out of file descriptors: some connection has to end first.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn greet(server: Arc<Server>, stream: TcpStream, tls: Option<Arc<Tls>>, id: u64) {
    // Without it a small reply may wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let connection = Arc::new(Connection::new(id));
    let socket = Socket::new(stream, connection.clone());
    match tls {
        None => serve(server, socket, connection).await,
        Some(tls) => {
            if let Ok(stream) = tls.0.accept(socket).await {
                serve(server, stream, connection).await;
            }
        }
    }
}

async fn serve<S>(server: Arc<Server>, stream: S, connection: Arc<Connection>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| handler::handle(server.clone(), connection.clone(), request));
    let http = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // An error here is a client that left, or a fault that was asked for.
        _ = http => {}
        () = connection.close.notified() => {}
    }
}
