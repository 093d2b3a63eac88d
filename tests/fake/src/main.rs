//! `rembed-fake`: a loopback server that speaks the embedding APIs, well or badly.
//!
//! It prints its address as the first line and lives until its standard input ends, so that it dies
//! with the test that started it. The README beside the source has the paths and the settings;
//! [`vector`] has the algorithm of the vectors.
//!
//! Each API is served at the root and, as a world of its own with settings, faults, counters and a
//! log, below `/s/NAME`. A request takes this way: [`server`] accepts the connection, [`handler`]
//! finds the [`scenario`] and the [`api`], [`fault`] tells what shall go wrong, [`rows`] spoils the
//! vectors, [`delivery`] the way they are sent, [`socket`] the connection itself.

mod answer;
mod api;
mod ask;
mod control;
mod delivery;
mod fault;
mod handler;
mod rows;
mod scenario;
mod server;
mod socket;
mod tls;
mod vector;

use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::process::ExitCode;

use tokio::net::TcpListener;

use tls::Tls;

const USAGE: &str = "rembed-fake [--port N] [--tls CERT KEY] [--forever]";

#[derive(Debug, Default, PartialEq)]
struct Options {
    port: u16,
    tls: Option<(String, String)>,
    forever: bool,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--port" => options.port = value()?.parse().map_err(|e| format!("--port: {e}"))?,
                "--tls" => options.tls = Some((value()?, value()?)),
                "--forever" => options.forever = true,
                other => return Err(format!("unknown option {other}\n{USAGE}")),
            }
        }
        Ok(options)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match start().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("rembed-fake: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn start() -> Result<(), String> {
    let options = Options::parse(std::env::args().skip(1))?;
    let tls = options.tls.map(|(cert, key)| Tls::load(&cert, &key)).transpose()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await.map_err(|e| e.to_string())?;
    let port = listener.local_addr().map_err(|e| e.to_string())?.port();
    announce(port, tls.is_some()).map_err(|e| e.to_string())?;
    if !options.forever {
        std::thread::spawn(die_with_parent);
    }
    server::run(listener, tls).await;
    Ok(())
}

fn announce(port: u16, tls: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let base = if tls { "https://localhost" } else { "http://127.0.0.1" };
    writeln!(out, "{base}:{port}")?;
    out.flush()
}

fn die_with_parent() {
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    std::process::exit(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(Into::into))
    }

    #[test]
    fn options_are_read() {
        assert_eq!(parse("").unwrap(), Options::default());
        let tls = Some(("c.pem".into(), "k.pem".into()));
        assert_eq!(
            parse("--port 80 --forever --tls c.pem k.pem").unwrap(),
            Options { port: 80, tls, forever: true }
        );
        assert!(parse("--port").is_err());
        assert!(parse("--verbose").is_err());
    }
}
