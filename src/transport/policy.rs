//! Where requests and keys may go.

use std::net::IpAddr;

use ureq::http::Uri;

use crate::process::PerProcess;
use crate::secret::Secret;

/// `REMBED_ALLOW_HOSTS`, read once: a library that is loaded late must not be told otherwise later.
static ALLOWED: PerProcess<Option<Vec<String>>> = PerProcess::new(|parent| {
    if let Some(parent) = parent {
        return parent.clone();
    }
    let list = std::env::var_os("REMBED_ALLOW_HOSTS")?;
    // What is no text matches no host; it must not lift the restriction.
    let list = list.to_string_lossy();
    let hosts = list.split(',').map(|h| h.trim().to_ascii_lowercase()).filter(|h| !h.is_empty());
    Some(hosts.collect())
});

/// Whether `REMBED_ALLOW_HOSTS` permits the endpoint's host.
///
/// # Errors
/// The text names the host and the list.
pub fn check_host(endpoint: &Uri) -> Result<(), String> {
    match &*ALLOWED {
        Some(allowed) => permits(allowed, host(endpoint)),
        None => Ok(()),
    }
}

fn permits(allowed: &[String], host: &str) -> Result<(), String> {
    let host = host.to_ascii_lowercase();
    let matches = |pattern: &String| match pattern.strip_prefix('*') {
        Some(suffix) if suffix.starts_with('.') => host.len() > suffix.len() && host.ends_with(suffix),
        _ => *pattern == host,
    };
    match allowed.iter().any(matches) {
        true => Ok(()),
        false => Err(format!("host '{host}' is not in REMBED_ALLOW_HOSTS ({})", allowed.join(", "))),
    }
}

/// Whether a key may travel to `endpoint`: over https, to this machine, or where the user allowed plain http.
///
/// # Errors
/// The text says how to permit it.
pub fn check_key(endpoint: &Uri, allow_http: bool) -> Result<(), String> {
    if endpoint.scheme_str() == Some("https") || allow_http || is_loopback(endpoint) {
        return Ok(());
    }
    Err(format!(
        "a key is not sent over plain http to {}: use https, or set the option allow_http to true",
        host(endpoint)
    ))
}

/// Whether `endpoint` is this machine.
pub fn is_loopback(endpoint: &Uri) -> bool {
    let host = host(endpoint);
    // A name other than localhost could resolve to anywhere.
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Whether a header is to be kept as a key is: all are, but those that are known to hold none.
pub fn is_secret(name: &str, value: &Secret) -> bool {
    let harmless = ["accept", "content-type", "openai-organization", "openai-project", "user-agent"];
    !(value.is_literal() && harmless.iter().any(|h| name.eq_ignore_ascii_case(h)))
}

fn host(endpoint: &Uri) -> &str {
    endpoint.host().unwrap_or_default().trim_matches(['[', ']'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_match_whole_or_by_suffix() {
        let allowed = ["api.openai.com".to_owned(), "*.example.org".into(), "::1".into()];
        for host in ["api.openai.com", "API.OpenAI.com", "a.example.org", "a.b.example.org", "::1"] {
            assert!(permits(&allowed, host).is_ok(), "{host}");
        }
        for host in ["openai.com", "example.org", "xexample.org", "api.openai.com.evil", "127.0.0.1", ""] {
            let e = permits(&allowed, host).unwrap_err();
            assert!(e.contains("REMBED_ALLOW_HOSTS (api.openai.com"), "{e}");
        }
    }

    #[test]
    fn a_key_stays_on_this_machine_or_goes_encrypted() {
        for (url, ok) in [
            ("https://h/", true),
            ("http://localhost:1/", true),
            ("http://127.9.9.9/", true),
            ("http://[::1]:8/", true),
            ("http://[::ffff:127.0.0.1]:8/", true),
            ("http://h/", false),
            ("http://localhost.evil/", false),
            ("http://127.0.0.1.evil/", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(check_key(&url.parse().unwrap(), false).is_ok(), ok, "{url}");
            assert!(check_key(&url.parse().unwrap(), true).is_ok(), "{url}");
        }
    }
}
