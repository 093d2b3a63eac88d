//! How long a server asks to wait.

use std::time::{Duration, SystemTime};

use ureq::http::HeaderMap;

/// The wait that a reply asks for: `retry-after-ms`, or `Retry-After` in seconds or as an HTTP date.
/// What is not positive counts as absent (Azure sends 0 and -1).
pub fn wait_asked(headers: &HeaderMap) -> Option<Duration> {
    let text =
        |name| headers.get(name).and_then(|v: &ureq::http::HeaderValue| v.to_str().ok()).map(str::trim);
    let positive = |n: f64, unit: f64| Duration::try_from_secs_f64(n * unit).ok().filter(|d| !d.is_zero());
    if let Some(wait) = text("retry-after-ms").and_then(|t| positive(t.parse().ok()?, 1e-3)) {
        return Some(wait);
    }
    let asked = text("retry-after")?;
    match asked.parse() {
        Ok(seconds) => positive(seconds, 1.0),
        Err(_) => {
            let date = httpdate::parse_http_date(asked).ok()?;
            date.duration_since(SystemTime::now()).ok().filter(|d| !d.is_zero())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_read_from_either_header() {
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        for (name, value, seconds) in [
            ("retry-after-ms", "250", Some(0.25)),
            ("retry-after", "1.5", Some(1.5)),
            ("retry-after", "0", None),
            ("retry-after", "-1", None),
            ("retry-after", "soon", None),
            ("retry-after", "1e300", None),
            ("retry-after", date.as_str(), Some(60.0)),
            ("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            let wait = wait_asked(&headers).map(|d| d.as_secs_f64());
            match (wait, seconds) {
                (Some(got), Some(want)) => assert!((got - want).abs() < 2.0, "{value}: {got}"),
                (got, want) => assert_eq!(got, want, "{value}"),
            }
        }
    }
}
