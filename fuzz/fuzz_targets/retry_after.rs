//! The wait that a reply asks for, beside the standard library's numbers and the crate httpdate. Header values,
//! split at line breaks: two of them, and one that must only not be misread.
#![no_main]

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use sqlite_rembed::fuzzing;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in ["retry-after", "retry-after-ms"] {
        if let Some(value) = parts.next().and_then(|part| HeaderValue::from_bytes(part).ok()) {
            headers.insert(name, value);
        }
    }
    let ours = fuzzing::wait_asked(503, &headers);
    assert_ne!(ours, Some(Duration::ZERO));
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<f64>().ok());
    let positive = |n: f64| n.is_finite() && n > 0.0;
    let near = |seconds: f64| {
        let ours = ours.map_or(0.0, |wait| wait.as_secs_f64());
        // A nanosecond is the least there is, u64::MAX seconds the most.
        let bounded = if (1e-9..1e19).contains(&seconds) { seconds } else { ours };
        assert!((ours - bounded).abs() <= 1e-9 + bounded * 1e-9, "{ours} s, but {seconds}");
    };
    match (number(text("retry-after-ms")).filter(|n| positive(*n / 1000.0)), number(text("retry-after"))) {
        (Some(ms), None) => near(ms / 1000.0),
        (Some(_), Some(_)) => {}
        (None, Some(seconds)) if positive(seconds) => near(seconds),
        (None, Some(_)) => assert_eq!(ours, None),
        (None, None) => {
            let date = text("retry-after").and_then(|text| httpdate::parse_http_date(text).ok());
            let wait = date.and_then(|date| date.duration_since(SystemTime::now()).ok());
            match (ours, wait) {
                (Some(ours), Some(wait)) => assert!(ours >= wait && ours - wait < Duration::from_secs(5)),
                (None, None) => {}
                (ours, wait) => {
                    let either = ours.or(wait).unwrap_or_default();
                    assert!(either < Duration::from_secs(5), "{ours:?}, but {wait:?}");
                }
            }
        }
    }
    let mut limits = HeaderMap::new();
    if let Some(value) = parts.next().and_then(|part| HeaderValue::from_bytes(part).ok()) {
        limits.insert("x-ratelimit-reset", value);
    }
    assert_ne!(fuzzing::wait_asked(429, &limits), Some(Duration::ZERO));
});
