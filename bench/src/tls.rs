//! Over TLS, beside a connection a call. That is what the old extension makes; it cannot be run here itself, since it
//! trusts the roots that were compiled into it and no certificate of a test.

use std::time::Instant;

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::single::{sql, text};
use crate::{Bar, Result, Setup};

pub fn run(setup: &Setup, bars: &mut Vec<Bar>) -> Result<()> {
    let mut ours = sql(&setup.library, &setup.tls_url, "")?;
    let mut theirs = connection_a_call(&setup.tls_url)?;
    // Opens the connection that the rest uses.
    ours(0)?;
    let calls = setup.scale(2000);
    let start = Instant::now();
    (0..calls).try_for_each(&mut ours)?;
    let ours = start.elapsed().as_secs_f64() / calls as f64;
    let few = calls / 10;
    let start = Instant::now();
    (0..few).try_for_each(&mut theirs)?;
    let theirs = start.elapsed().as_secs_f64() / few as f64;
    bars.push(Bar::at_least(
        "single rembed() over TLS: calls/s",
        "a TLS connection a call",
        theirs / ours,
        10.0,
    ));
    Ok(())
}

fn connection_a_call(url: &str) -> Result<impl FnMut(usize) -> Result<()>> {
    let mut roots = Vec::new();
    for item in parse_pem(&std::fs::read(std::env::var("SSL_CERT_FILE")?)?) {
        if let PemItem::Certificate(root) = item? {
            roots.push(root);
        }
    }
    let tls = TlsConfig::builder().root_certs(RootCerts::from(roots)).build();
    let url = format!("{url}/v1/embeddings");
    Ok(move |n| {
        let agent = ureq::Agent::config_builder().tls_config(tls.clone()).build().new_agent();
        let body = format!(r#"{{"model":"m","encoding_format":"float","input":"{}"}}"#, text(n));
        agent.post(&url).header("Content-Type", "application/json").send(&body)?.body_mut().read_to_vec()?;
        Ok(())
    })
}
