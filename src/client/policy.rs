//! Where requests and keys may go.

use ureq::http::Uri;

use crate::base::host::{self, is_loopback};
use crate::base::process::PerProcess;
use crate::base::words::HIDDEN;
use crate::client::secret::Secret;

/// `REMBED_ALLOW_HOSTS`, read once: nobody can widen it by changing the environment of the running process.
static ALLOWED: PerProcess<Option<Vec<String>>> = PerProcess::new(|parent| {
    if let Some(parent) = parent {
        return parent.clone();
    }
    let list = std::env::var_os("REMBED_ALLOW_HOSTS")?;
    // A value that is not UTF-8 matches no host. It must not be taken for "not set", which allows all.
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
        Some(allowed) => permits(allowed, host::of(endpoint)),
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
        host::of(endpoint)
    ))
}

/// Whether a header or a parameter of this name tells the server who asks.
pub fn authenticates(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["auth", "cookie", "credential", "key", "password", "secret", "signature", "token"];
    words.iter().any(|word| name.contains(word))
}

/// Whether a header is to be kept as a key is: one that authenticates, and one whose value comes from `env:` or `file:`.
/// Whoever keeps a value out of SQL wants it secret, and no list has every name that a gateway gives its key.
pub fn is_secret(name: &str, value: &Secret) -> bool {
    !value.is_literal() || authenticates(name)
}

/// Whether a header is where servers look for the key itself, so that the format's own is not sent as well.
pub fn replaces_key(name: &str) -> bool {
    let names = ["authorization", "api-key", "x-api-key", "x-goog-api-key"];
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The values of the parameters of a URL that authenticate.
pub fn keys_of_query(endpoint: &Uri) -> impl Iterator<Item = &str> {
    let parameters = endpoint.query().unwrap_or_default().split('&').filter_map(|p| p.split_once('='));
    parameters.filter(|(name, value)| authenticates(name) && !value.is_empty()).map(|(_, value)| value)
}

/// `url` as it may be shown: a key in its query is hidden.
pub fn shown_url(url: &str) -> String {
    let Some((address, query)) = url.split_once('?') else { return url.to_owned() };
    let shown = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, value)) if authenticates(name) && !value.is_empty() => format!("{name}={HIDDEN}"),
        _ => parameter.to_owned(),
    });
    format!("{address}?{}", shown.collect::<Vec<_>>().join("&"))
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
    fn the_name_tells_whether_a_header_authenticates() {
        let secret = |name, value| is_secret(name, &Secret::parse(value).unwrap());
        for name in [
            "authorization",
            "Proxy-Authorization",
            "cookie",
            "api-key",
            "X-Goog-Api-Key",
            "Ocp-Apim-Subscription-Key",
            "x-auth",
            "cf-access-client-secret",
            "x-amz-security-token",
        ] {
            assert!(secret(name, "v"), "{name}");
        }
        for name in ["x-title", "HTTP-Referer", "user-agent", "openai-organization", "x-tenant", "accept"] {
            assert!(!secret(name, "v") && secret(name, "env:V") && secret(name, "file:v"), "{name}");
        }
        let replaces = ["Authorization", "api-key", "x-api-key", "x-goog-api-key"];
        assert!(replaces.iter().all(|name| replaces_key(name)));
        assert!(
            !["x-title", "cookie", "x-auth-token", "proxy-authorization"].iter().any(|n| replaces_key(n))
        );
    }

    #[test]
    fn a_key_in_a_query_is_hidden() {
        let url = "https://h/v1/embeddings?api-version=1&subscription-key=k%31&token=";
        assert_eq!(shown_url(url), "https://h/v1/embeddings?api-version=1&subscription-key=***&token=");
        assert_eq!(shown_url("https://h/key=1"), "https://h/key=1");
        assert_eq!(keys_of_query(&url.parse().unwrap()).collect::<Vec<_>>(), ["k%31"]);
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
