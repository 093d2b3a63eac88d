//! From the URL a user gives, often a base URL, to the endpoint.

use ureq::http::Uri;

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
/// A URL without scheme or host, or with a user name or fragment.
pub fn complete(url: &str, paths: &Paths) -> Result<Uri, String> {
    let (address, query) = match url.split_once('?') {
        Some((address, query)) => (address, format!("?{query}")),
        None => (url, String::new()),
    };
    if address.contains('@') {
        // Not repeated: what stands before the @ may be a password.
        return Err("a url may not hold a user name or password: give them by 'key' or 'headers'".into());
    }
    // Nor is the query, which may hold a key.
    let wrong = |why: &str| format!("url '{}' {why}", crate::error::bounded(address, 200));
    let Some((scheme, rest)) = address.split_once("://") else {
        return Err(format!("url {} must start with http:// or https://", crate::error::quoted(address)));
    };
    if !["http", "https"].iter().any(|s| scheme.eq_ignore_ascii_case(s)) {
        return Err(wrong("must start with http:// or https://"));
    }
    if url.contains('#') {
        return Err(wrong("may not have a #fragment"));
    }
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if host.is_empty() || host.starts_with(':') {
        return Err(wrong("has no host"));
    }
    let path = path.trim_end_matches('/');
    let append = if path.is_empty() {
        paths.bare
    } else if paths.complete.iter().any(|end| path.ends_with(end)) {
        ""
    } else {
        let known = paths.prefix.iter().find(|(end, _)| path.ends_with(end));
        known.map(|(_, append)| *append).or(paths.other).unwrap_or("")
    };
    let endpoint = format!("{}://{host}{path}{append}{query}", scheme.to_ascii_lowercase());
    endpoint.parse().map_err(|e| wrong(&format!("is not a URL: {e}")))
}

#[cfg(test)]
mod tests {
    use super::super::find;
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
            ("ollama", "http://localhost:11434", "http://localhost:11434/api/embed"),
            ("ollama", "http://h/api", "http://h/api/embed"),
            ("ollama", "http://h/proxy", "http://h/proxy/api/embed"),
            ("ollama", "http://h/api/embeddings", "http://h/api/embeddings"),
            ("ollama", "http://h/v1", "http://h/v1/embeddings"),
            ("ollama", "http://h/v1/embeddings", "http://h/v1/embeddings"),
            ("llamafile", "http://h", "http://h/v1/embeddings"),
            ("llamafile", "http://h/embedding", "http://h/embedding"),
            ("cohere", "https://h", "https://h/v2/embed"),
            ("cohere", "https://h/v1", "https://h/v1/embed"),
            ("cohere", "https://h/v2", "https://h/v2/embed"),
            ("nomic", "https://h", "https://h/v1/embedding/text"),
            ("nomic", "https://h/v1", "https://h/v1/embedding/text"),
            ("jina", "http://[::1]:9", "http://[::1]:9/v1/embeddings"),
            ("mixedbread", "https://h/v1/embeddings/", "https://h/v1/embeddings"),
        ] {
            let uri = complete(given, &find(format).unwrap().spec().paths);
            assert_eq!(uri.unwrap().to_string(), endpoint, "{format} {given}");
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
        ] {
            let e = complete(url, paths).unwrap_err();
            assert!(e.contains(why) && !e.contains("secret"), "{url}: {e}");
        }
    }

    #[test]
    fn every_default_url_is_its_own_completion() {
        for provider in super::super::all() {
            let spec = provider.spec();
            assert_eq!(complete(spec.url, &spec.paths).unwrap().to_string(), spec.url);
        }
    }
}
