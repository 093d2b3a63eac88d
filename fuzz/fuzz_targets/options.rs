//! The options of a client, beside serde_json and the standard library's numbers.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use sqlite_rembed::client::options::{OPTIONS, Options};
use sqlite_rembed::fuzzing::{options_of, options_of_pairs, values};

fuzz_target!(|data: &str| {
    let ours = Options::parse(data);
    let Ok(Value::Object(map)) = serde_json::from_str::<Value>(data.trim()) else {
        // The shorthand alone is no JSON object.
        if let Ok(options) = ours {
            let word = data.trim().to_ascii_lowercase();
            assert_eq!(Ok(options), options_of(Map::from_iter([("format".into(), word.into())])));
        }
        return;
    };
    let unknown = map.keys().any(|name| !OPTIONS.contains(&name.as_str()));
    assert!(!unknown || ours.is_err(), "{map:?}");
    if let Err(e) = &ours {
        // A value may be a key, and is not repeated. Short ones stand in any sentence.
        let text = e.to_string();
        for (name, value) in &map {
            let Some(value) = value.as_str().filter(|value| value.len() > 16 && text.contains(value)) else {
                continue;
            };
            // The name of an unknown option is repeated, and may have the same text.
            let named = OPTIONS.join(", ").contains(value) || map.keys().any(|name| name.contains(value));
            // The value may be words of the message itself, which then has them whatever the value is.
            let mut other = map.clone();
            other.insert(name.clone(), value.chars().rev().collect::<String>().into());
            let again = Options::parse(&Value::Object(other).to_string());
            let ours = again.is_err_and(|e| e.to_string().contains(value));
            assert!(named || ours, "{text}");
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
        assert_eq!(options_of_pairs(map.clone().into_iter().map(texts)), ours);
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
    let nanos = |name: &str| number(name).map(|n| Duration::from_secs_f64(n).as_nanos() as u64);
    let text = |name: &str| map.get(name).and_then(Value::as_str).map(|text| text.trim().to_owned());
    let object = |name: &str| map.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
    let read = values(options);
    let shown = &read["shown"];
    assert!(shown.get("key").is_none() && shown.get("url").is_none());
    let most = f64::from(u32::MAX);
    let expected = json!({
        "dimensions": whole("dimensions", 1_048_576.0), "batch_size": whole("batch_size", 1_048_576.0),
        "batch_tokens": whole("batch_tokens", 1_073_741_824.0), "retries": whole("retries", 100.0),
        "concurrency": whole("concurrency", 256.0), "connections": whole("connections", 1024.0),
        "requests_per_minute": whole("requests_per_minute", most),
        "tokens_per_minute": whole("tokens_per_minute", most), "timeout": nanos("timeout"),
        "connect_timeout": nanos("connect_timeout"), "model": text("model"), "url": text("url"),
        "body": object("body"), "headers": object("headers").len(), "shown": shown
    });
    assert_eq!(read, expected);
}
