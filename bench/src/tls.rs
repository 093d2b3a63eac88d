//! Over TLS, beside a bare ureq keep-alive loop over TLS, in rounds that take turns.

use std::time::Instant;

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::single::{bare_by, sql};
use crate::{Bar, Result, Setup, median};

pub fn run(setup: &Setup, bars: &mut Vec<Bar>) -> Result<()> {
    let mut ours = sql(&setup.library, &setup.tls_url, "")?;
    let mut theirs = bare_by(agent()?, &setup.tls_url, "base64");
    let calls = setup.scale(2000);
    let (mut of_ours, mut of_theirs) = (Vec::new(), Vec::new());
    for round in 0..=setup.scale(15) {
        let numbers = || round * calls..(round + 1) * calls;
        let start = Instant::now();
        numbers().try_for_each(&mut ours)?;
        let mine = start.elapsed();
        let start = Instant::now();
        numbers().try_for_each(&mut theirs)?;
        // The first round opens connections and warms up.
        if round > 0 {
            of_ours.push(mine);
            of_theirs.push(start.elapsed());
        }
    }
    let work = "single rembed() over TLS: time";
    bars.push(Bar::at_most(work, "bare ureq loop over TLS", median(of_ours) / median(of_theirs), 1.05));
    Ok(())
}

fn agent() -> Result<ureq::Agent> {
    let mut roots = Vec::new();
    for item in parse_pem(&std::fs::read(std::env::var("SSL_CERT_FILE")?)?) {
        if let PemItem::Certificate(root) = item? {
            roots.push(root);
        }
    }
    let tls = TlsConfig::builder().root_certs(RootCerts::from(roots)).build();
    Ok(ureq::Agent::config_builder().tls_config(tls).build().new_agent())
}
