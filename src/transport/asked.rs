//! How long a server asks to wait, by the headers of its reply.
//!
//! `retry-after-ms` and `Retry-After` say it outright. Of the headers that tell when a limit starts anew, those count
//! whose limit is used up: `x-ratelimit-reset-requests` and `-tokens` (OpenAI, Groq: `6m0s`, `20ms`),
//! `x-ratelimit-reset` (seconds, or the time of day in seconds or milliseconds since 1970) and `RateLimit-Reset` (seconds; the
//! draft draft-ietf-httpapi-ratelimit-headers, of which later versions write `RateLimit: "name";r=0;t=20`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ureq::http::HeaderMap;

use crate::base::span::span;

/// Headers that tell when a limit starts anew, and those that tell what is left of it.
const LIMITS: &[(&str, &str)] = &[
    ("x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"),
    ("x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"),
    ("x-ratelimit-reset", "x-ratelimit-remaining"),
    ("ratelimit-reset", "ratelimit-remaining"),
];

/// The wait that a reply with status `status` asks for. What is not positive counts as absent (Azure sends 0 and -1).
pub fn wait_asked(status: u16, headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let positive = |n: f64, unit: f64| Duration::try_from_secs_f64(n * unit).ok().filter(|d| !d.is_zero());
    if let Some(wait) = text("retry-after-ms").and_then(|t| positive(t.parse().ok()?, 1e-3)) {
        return Some(wait);
    }
    if let Some(asked) = text("retry-after") {
        return match asked.parse() {
            Ok(seconds) => positive(seconds, 1.0),
            Err(_) => until(httpdate::parse_http_date(asked).ok()?),
        };
    }
    // Replies that are no 429 have them too, and mean nothing by them.
    let resets = LIMITS.iter().filter(|_| status == 429).filter_map(|(reset, left)| {
        let used_up = text(left).is_none_or(|left| left.parse::<f64>().is_ok_and(|left| left <= 0.0));
        used_up.then(|| text(reset).and_then(reset_in)).flatten()
    });
    let listed = (status == 429).then(|| text("ratelimit").and_then(reset_listed)).flatten();
    resets.chain(listed).max()
}

/// When the limits that are used up start anew, by `limit=9, remaining=0, reset=20` or `"name";r=0;t=20, …`.
fn reset_listed(text: &str) -> Option<Duration> {
    let of = |item: &str, names: [&str; 2]| {
        let mut parts = item.split([';', ',']).filter_map(|part| part.trim().split_once('='));
        parts.find(|(name, _)| names.contains(name)).and_then(|(_, value)| value.parse::<f64>().ok())
    };
    // Without semicolons, commas part what is said of one limit.
    let items: Vec<&str> = if text.contains(';') { text.split(',').collect() } else { vec![text] };
    let used_up =
        items.into_iter().filter(|item| of(item, ["r", "remaining"]).is_none_or(|left| left <= 0.0));
    used_up
        .filter_map(|item| Duration::try_from_secs_f64(of(item, ["t", "reset"])?).ok())
        .filter(|wait| !wait.is_zero())
        .max()
}

/// The time from now to `at`.
fn until(at: SystemTime) -> Option<Duration> {
    at.duration_since(SystemTime::now()).ok().filter(|wait| !wait.is_zero())
}

/// When a limit starts anew: `6m0s`, `20ms`, seconds from now, or seconds since 1970.
fn reset_in(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        let seconds = Duration::try_from_secs_f64(seconds).ok()?;
        // Nobody has a limit of thirty years.
        return match seconds.as_secs() >= 1_000_000_000 {
            // OpenRouter counts milliseconds.
            true if seconds.as_secs() >= 1_000_000_000_000 => until(UNIX_EPOCH.checked_add(seconds / 1000)?),
            true => until(UNIX_EPOCH.checked_add(seconds)?),
            false => Some(seconds).filter(|wait| !wait.is_zero()),
        };
    }
    span(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(status: u16, pairs: &[(&'static str, &str)]) -> Option<f64> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        wait_asked(status, &headers).map(|d| d.as_secs_f64())
    }

    fn near(got: Option<f64>, want: Option<f64>, what: &str) {
        match (got, want) {
            (Some(got), Some(want)) => assert!((got - want).abs() < 2.0, "{what}: {got}"),
            (got, want) => assert_eq!(got, want, "{what}"),
        }
    }

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
            near(wait(503, &[(name, value)]), seconds, value);
        }
    }

    #[test]
    fn a_limit_that_is_used_up_says_when_it_starts_anew() {
        let epoch = (UNIX_EPOCH.elapsed().unwrap().as_secs() + 40).to_string();
        for (pairs, seconds) in [
            (&[("x-ratelimit-reset-requests", "6m0s")][..], Some(360.0)),
            (&[("x-ratelimit-reset-tokens", "1m2.5s"), ("x-ratelimit-remaining-tokens", "0")], Some(62.5)),
            (&[("x-ratelimit-reset-tokens", "1m0s"), ("x-ratelimit-remaining-tokens", "7")], None),
            (&[("x-ratelimit-reset-requests", "120ms"), ("x-ratelimit-reset-tokens", "9s")], Some(9.0)),
            (&[("ratelimit-reset", "12"), ("ratelimit-remaining", "0")], Some(12.0)),
            (&[("x-ratelimit-reset", epoch.as_str())], Some(40.0)),
            (&[("x-ratelimit-reset", &format!("{epoch}000"))], Some(40.0)),
            (&[("ratelimit", "limit=100, remaining=0, reset=20")], Some(20.0)),
            (&[("ratelimit", "\"a\";r=0;t=20, \"b\";r=5;t=90")], Some(20.0)),
            (&[("ratelimit", "\"a\";r=7;t=20")], None),
            (&[("ratelimit", "\"a\"")], None),
            (&[("x-ratelimit-reset", "1")], Some(1.0)),
            (&[("x-ratelimit-reset", "soon")], None),
            (&[("retry-after", "3"), ("x-ratelimit-reset", "50")], Some(3.0)),
        ] {
            near(wait(429, pairs), seconds, &format!("{pairs:?}"));
        }
        assert_eq!(wait(503, &[("x-ratelimit-reset", "9")]), None);
    }
}
