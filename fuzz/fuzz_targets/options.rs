//! The options of a client, beside serde_json and the standard library's numbers.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use sqlite_rembed::client::options::{OPTIONS, Options, from_pairs};

fuzz_target!(|data: &str| {
    let ours = Options::parse(data);
    let Ok(Value::Object(map)) = serde_json::from_str::<Value>(data.trim()) else {
        // The shorthand alone is no JSON object.
        if let Ok(options) = ours {
            let word = data.trim().to_ascii_lowercase();
            assert_eq!(options, Options { format: Some(word), ..Options::default() });
        }
        return;
    };
    let unknown = map.keys().any(|name| !OPTIONS.contains(&name.as_str()));
    assert!(!unknown || ours.is_err(), "{map:?}");
    if let Err(e) = &ours {
        // A value may be a key, and is not repeated. Short ones stand in any sentence.
        let text = e.to_string();
        for value in map.values().filter_map(Value::as_str).filter(|value| value.len() > 16) {
            // The name of an unknown option is, and may have the same text.
            let known = OPTIONS.join(", ").contains(value) || map.keys().any(|name| name.contains(value));
            assert!(!text.contains(value) || known, "{text}");
        }
    }
    if let Ok(options) = &ours {
        check(options, &map);
    }
    // As pairs, whose objects are text, it comes to the same.
    let texts = |(name, value): (String, Value)| match (name.as_str(), &value) {
        ("headers" | "body", Value::Object(_)) => (name, Value::String(value.to_string())),
        _ => (name, value),
    };
    let is_text = |name: &str| map.get(name).is_some_and(Value::is_string);
    if !is_text("headers") && !is_text("body") {
        let pairs = from_pairs(map.clone().into_iter().map(texts));
        assert_eq!(pairs.and_then(Options::from_map), ours);
    }
});

fn check(options: &Options, map: &Map<String, Value>) {
    let number = |name: &str| match map.get(name)? {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let whole = |name: &str, most: f64| {
        let n = number(name)?;
        assert!(n.fract() == 0.0 && (0.0..=most).contains(&n), "{name}: {n}");
        Some(n as u64)
    };
    assert_eq!(options.dimensions.map(|n| n as u64), whole("dimensions", 1_048_576.0));
    assert_eq!(options.batch_size.map(|n| n as u64), whole("batch_size", 1_048_576.0));
    assert_eq!(options.batch_tokens.map(|n| n as u64), whole("batch_tokens", 1_073_741_824.0));
    assert_eq!(options.retries.map(u64::from), whole("retries", 100.0));
    assert_eq!(options.concurrency.map(|n| n as u64), whole("concurrency", 256.0));
    assert_eq!(options.requests_per_minute.map(u64::from), whole("requests_per_minute", f64::from(u32::MAX)));
    assert_eq!(options.tokens_per_minute.map(u64::from), whole("tokens_per_minute", f64::from(u32::MAX)));
    assert_eq!(options.timeout, number("timeout").map(Duration::from_secs_f64));
    assert_eq!(options.connect_timeout, number("connect_timeout").map(Duration::from_secs_f64));
    let text = |name: &str| map.get(name).and_then(Value::as_str).map(|text| text.trim().to_owned());
    assert_eq!(options.model, text("model"));
    assert_eq!(options.url, text("url"));
    let empty = Map::new();
    assert_eq!(&options.body, map.get("body").and_then(Value::as_object).unwrap_or(&empty));
    let headers = map.get("headers").and_then(Value::as_object).unwrap_or(&empty);
    assert_eq!(options.headers.len(), headers.len());
    assert!(!options.shown.contains_key("key") && !options.shown.contains_key("url"));
}
