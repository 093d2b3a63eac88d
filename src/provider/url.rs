//! From the URL a user gives, often a base URL, to the endpoint.

use std::net::Ipv6Addr;

use ureq::http::Uri;

use super::Spec;
use crate::base::percent;

/// How the paths of a format's endpoints look.
#[derive(Debug, Clone, Copy)]
pub struct Paths {
    /// Appended to a URL without a path.
    pub bare: &'static str,
    /// A path that ends so is an endpoint already.
    pub complete: &'static [&'static str],
    /// A path that ends in the first is an endpoint once the second is appended.
    pub prefix: &'static [(&'static str, &'static str)],
    /// Appended to any other path; `None` takes it for the endpoint.
    pub other: Option<&'static str>,
}

/// Completes `url` by the rules of `paths`. A query string stays where it is.
///
/// # Errors
/// A URL without scheme or host, with a user name or fragment, or with a host or port that cannot be.
pub fn complete(url: &str, paths: &Paths) -> Result<Uri, String> {
    let text = completed(url, paths)?;
    text.parse().map_err(|e| format!("the url is not a URL: {e}"))
}

/// The endpoint of `spec` for a model, at `url` or at the format's own.
///
/// # Errors
/// As [`complete`], and a URL that lacks what the format needs to know.
pub fn endpoint(url: Option<&str>, spec: &Spec, model: &str) -> Result<Uri, String> {
    let as_in = |text: &str| {
        // Names in braces are to be replaced, the model's is not.
        format!(
            "{text}: give the option url, as in {}",
            spec.url.replace("{model}", "MODEL").replace("{id}", "MODEL")
        )
    };
    if url.is_none() && spec.needs_url() {
        return Err(as_in("the format has no server that is the same for all"));
    }
    let given = url.unwrap_or(spec.url);
    let mut text = match url {
        Some(url) => completed(url, &spec.paths)?,
        None => given.to_owned(),
    };
    if !given.contains('{') || url.is_none() {
        let name = model.strip_prefix(spec.model.prefix).unwrap_or(model);
        text = text.replace("{model}", &encoded(name, b"-._~@/")).replace("{id}", &encoded(name, b"-._~"));
    }
    if text.contains('{') {
        return Err(as_in("the url has a name in braces that is to be replaced"));
    }
    text.parse().map_err(|e| format!("the url is not a URL: {e}"))
}

/// Who gives a token for a key: the server at `url`, or the format's own; none for a format that needs no token.
///
/// # Errors
/// As [`complete`]; a query, in which a key would be shown; a URL for a format that needs no token.
pub fn token_url(url: Option<&str>, spec: &Spec) -> Result<Option<Uri>, String> {
    let paths = Paths { bare: "/identity/token", complete: &[], prefix: &[], other: None };
    let wrong = |why: String| format!("option 'token_url': {why}");
    match (url, spec.token_url) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(wrong(format!(
            "format '{}' sends the key itself, and exchanges it for no token: leave it out",
            spec.name
        ))),
        (Some(url), Some(_)) if url.contains('?') => Err(wrong("it takes no query".into())),
        (url, Some(own)) => complete(url.unwrap_or(own), &paths).map(Some).map_err(wrong),
    }
}

/// `text` for a path: all but letters, digits and `plain` in percent.
fn encoded(text: &str, plain: &[u8]) -> String {
    percent::encoded(text, plain).map(char::from).collect()
}

/// The text of a completed URL; what it appends may have names in braces.
fn completed(url: &str, paths: &Paths) -> Result<String, String> {
    let (address, query) = match url.split_once('?') {
        Some((address, query)) => (address, format!("?{query}")),
        None => (url, String::new()),
    };
    // What stands before an @ may be a password, and the query may hold a key: neither is repeated.
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let holds_a_key = || rest.split(['/', ':']).any(crate::base::words::looks_like_a_key);
    let shown = match scheme {
        _ if address.contains('@') => "the url".into(),
        "" => format!("url {}", crate::base::words::quoted(address)),
        _ if holds_a_key() => "the url".into(),
        _ => format!("url '{}'", crate::base::words::bounded(address, 200)),
    };
    let wrong = |why: &str| format!("{shown} {why}");
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err("a url may not hold a user name or password: give them by 'key' or 'headers'".into());
    }
    if !["http", "https"].iter().any(|s| scheme.eq_ignore_ascii_case(s)) {
        return Err(wrong("must start with http:// or https://"));
    }
    if url.contains('#') {
        return Err(wrong("may not have a #fragment"));
    }
    check_authority(authority).map_err(|why| wrong(&why))?;
    let given = path;
    let path = given.trim_end_matches('/');
    // Google names methods after a colon.
    let is_complete = paths.complete.iter().any(|end| path.ends_with(end)) || path.contains(':');
    let (path, append) = if path.is_empty() {
        (path, paths.bare)
    } else if is_complete {
        // Some servers have their endpoint at the path with the slash.
        (given, "")
    } else {
        let known = paths.prefix.iter().find(|(end, _)| path.ends_with(end));
        (path, known.map(|(_, append)| *append).or(paths.other).unwrap_or(""))
    };
    // A query of the user's stands for ours.
    let append = if query.is_empty() { append } else { append.split('?').next().unwrap_or(append) };
    let given = format!("{}://{authority}{path}", scheme.to_ascii_lowercase());
    given
        .parse::<Uri>()
        .and_then(|_| format!("{given}{query}").parse::<Uri>())
        .map_err(|e| wrong(&format!("is not a URL: {e}")))?;
    Ok(format!("{given}{append}{query}"))
}

/// Whether `authority` is a host, or a host and a port. What reads the URL later would take a port that is none for
/// the scheme's own.
fn check_authority(authority: &str) -> Result<(), String> {
    let port = match authority.find(']') {
        Some(end) if authority.starts_with('[') => {
            let (host, port) = authority.split_at(end + 1);
            if host[1..end].parse::<Ipv6Addr>().is_err() {
                return Err("has no IPv6 address in its brackets".into());
            }
            port
        }
        _ => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            if host.is_empty() {
                return Err("has no host".into());
            }
            if !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
                return Err(
                    "is not a URL: a host is letters, digits, '-' and '.', or an IPv6 address in brackets \
                            (a name in other letters has a form that starts with xn--)"
                        .into(),
                );
            }
            port
        }
    };
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok(()),
        Some(port) if digits(port) && port.parse().is_ok_and(|n: u16| n > 0) => Ok(()),
        _ => {
            Err("has a port that is none: after the host comes ':' and a number from 1 to 65535, or nothing"
                .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::super::testing::completed;
    use super::*;

    #[test]
    fn base_urls_are_completed_by_the_table() {
        for (format, given, endpoint) in [
            ("openai", "http://h", "http://h/v1/embeddings"),
            ("openai", "http://h:8000/", "http://h:8000/v1/embeddings"),
            ("openai", "HTTPS://h/v1/", "https://h/v1/embeddings"),
            ("openai", "https://h/inference/v1", "https://h/inference/v1/embeddings"),
            ("openai", "https://h/v1beta/openai", "https://h/v1beta/openai/embeddings"),
            ("openai", "https://h/v1/openai", "https://h/v1/openai/embeddings"),
            ("openai", "https://h/client/v4/ai/v1", "https://h/client/v4/ai/v1/embeddings"),
            ("openai", "http://h/embeddings", "http://h/embeddings"),
            ("openai", "https://h/x/embeddings?api-version=1", "https://h/x/embeddings?api-version=1"),
            ("openai", "https://h:65535/@cf/v1", "https://h:65535/@cf/v1/embeddings"),
            ("openai", "http://h_1:080/u:p@x/embeddings", "http://h_1:080/u:p@x/embeddings"),
            ("openai", "http://[::1]/v1", "http://[::1]/v1/embeddings"),
            ("openai", "https://h/inference", "https://h/inference/embeddings"),
            ("openai", "https://h/compat/", "https://h/compat/embeddings"),
            (
                "openai",
                "https://h/v1/projects/p/locations/l/endpoints/openapi",
                "https://h/v1/projects/p/locations/l/endpoints/openapi/embeddings",
            ),
            ("openai", "https://h/api/paas/v4", "https://h/api/paas/v4/embeddings"),
            ("openai", "https://h/api/v3", "https://h/api/v3/embeddings"),
            ("openai", "https://h/serving-endpoints", "https://h/serving-endpoints/embeddings"),
            (
                "openai",
                "https://h/openai/deployments/d?api-version=1",
                "https://h/openai/deployments/d/embeddings?api-version=1",
            ),
            ("openai", "https://h/api", "https://h/api/embeddings"),
            ("openai", "https://h/a/prefix/of/mine", "https://h/a/prefix/of/mine/embeddings"),
            ("openai", "https://h/v1/embeddings/", "https://h/v1/embeddings/"),
            ("openai", "https://h/embeddings/?a=1", "https://h/embeddings/?a=1"),
            ("openai", "https://h/endpoints/e/invocations", "https://h/endpoints/e/invocations"),
            ("openai", "https://h/embed", "https://h/embed"),
            ("openai", "https://h/embedding", "https://h/embedding"),
            ("openai", "https://h/v1/models/m:predict", "https://h/v1/models/m:predict"),
            ("jina", "https://h/proxy", "https://h/proxy/embeddings"),
        ] {
            assert_eq!(completed(format, given), endpoint, "{given}");
        }
    }

    #[test]
    fn a_url_that_cannot_work_is_refused() {
        let paths = &find("openai").unwrap().spec().paths;
        for (url, why) in [
            ("localhost:8080", "http://"),
            ("ftp://h", "http://"),
            ("http://", "host"),
            ("http://u:secret@h", "user name"),
            ("u:secret@h", "user name"),
            ("htps://u:secret@h", "user name"),
            ("h?key=secret", "http://"),
            ("http://h/#x", "fragment"),
            ("http://h /", "not a URL"),
            ("http://u:sec/ret@h/v1", "port"),
            ("http://h:99999/v1", "port"),
            ("http://h:65536", "port"),
            ("http://h:-1", "port"),
            ("http://h:+80", "port"),
            ("http://h:http", "port"),
            ("http://h:0x50/", "port"),
            ("http://h:8 0", "port"),
            ("http://h:", "port"),
            ("http://h:/v1", "port"),
            ("http://h:0", "port"),
            ("http://h:00000000000000000080000", "port"),
            ("http://h:80:80", "port"),
            ("http://h:８０", "port"),
            ("http://h:80\\v1", "port"),
            ("https://[::1]:http", "port"),
            ("https://[::1]8080", "port"),
            ("https://[::1", "not a URL"),
            ("https://::1", "host"),
            ("https://1::2", "port"),
            ("https://[localhost]", "IPv6"),
            ("https://[]", "IPv6"),
            ("https://[fe80::1%eth0]", "IPv6"),
            ("http:///v1", "host"),
            ("http://:80", "host"),
            ("http://h%2eexample/", "not a URL"),
            ("http://h\\v1", "not a URL"),
            ("http://bücher.example", "xn--"),
            ("http:/h", "http://"),
            ("//h/v1", "http://"),
            (" http://h", "http://"),
            ("file:///h", "http://"),
        ] {
            let e = complete(url, paths).unwrap_err();
            assert!(e.contains(why) && !e.contains("secret"), "{url}: {e}");
        }
    }

    #[test]
    fn every_default_url_is_its_own_completion() {
        for provider in super::super::all().filter(|p| !p.spec().url.is_empty()) {
            let spec = provider.spec();
            if !spec.needs_url() {
                let made = endpoint(None, spec, "m").unwrap().to_string();
                assert_eq!(endpoint(Some(&made), spec, "m").unwrap().to_string(), made);
            }
        }
    }
}
