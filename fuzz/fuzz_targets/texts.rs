//! The JSON of `rembed_batch`, beside the same read from a tree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rembed_fuzz::json::{self, Json};
use serde_json::Value;
use sqlite_rembed::embed::stream::Text;
use sqlite_rembed::sql::input;

fuzz_target!(|data: &str| {
    let Some(tree) = json::read(data.as_bytes()) else {
        // Half a surrogate pair spoils one row, or a field that nobody reads; the mark is skipped.
        let is_lenient = data.contains("\\u") || data.starts_with('\u{feff}');
        assert!(is_lenient || input::parse(data).is_err());
        return;
    };
    // serde_json's own bounds: its `Value` holds no number beyond f64, and nothing that is nested too deeply.
    if tree.depth() > 100 || has_huge_number(&tree) {
        let _ = input::parse(data);
        return;
    }
    let wanted: Option<Vec<(Value, String)>> = match &tree {
        Json::Array(items) => Some(items.iter().enumerate().map(|(i, item)| element(i, item)).collect()),
        Json::Object(fields) => {
            Some(fields.iter().map(|(key, text)| (key.clone().into(), shown(text))).collect())
        }
        _ => None,
    };
    let ours = input::parse(data).ok();
    let ours: Option<Vec<_>> = ours.map(|items| items.map(|(key, text)| (key, kind(&text))).collect());
    assert_eq!(ours, wanted);
});

fn element(i: usize, item: &Json) -> (Value, String) {
    let Json::Object(fields) = item else { return (i.into(), shown(item)) };
    // Of a key that comes twice, the last counts.
    let of = |wanted: &str| fields.iter().rfind(|(key, _)| key == wanted).map(|(_, value)| value);
    let text = of("text").or_else(|| of("contents"));
    (of("id").map_or(Value::Null, value), text.map_or("bad".into(), shown))
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => (*b).into(),
        Json::Number(text) => serde_json::from_str(text).expect("a number"),
        Json::String(text) => text.clone().into(),
        Json::Array(items) => items.iter().map(value).collect(),
        Json::Object(fields) => fields.iter().map(|(key, v)| (key.clone(), value(v))).collect(),
    }
}

fn shown(json: &Json) -> String {
    match json {
        Json::Null => "null".into(),
        Json::String(text) => format!("text {text}"),
        Json::Number(text) => format!("text {text}"),
        _ => "bad".into(),
    }
}

fn kind(text: &Text) -> String {
    match text {
        Text::Null => "null".into(),
        Text::Text(text) => format!("text {text}"),
        Text::Bad(_) => "bad".into(),
    }
}

fn has_huge_number(json: &Json) -> bool {
    match json {
        Json::Number(text) => text.parse().is_ok_and(f64::is_infinite),
        Json::Array(items) => items.iter().any(has_huge_number),
        Json::Object(fields) => fields.iter().any(|(_, value)| has_huge_number(value)),
        _ => false,
    }
}
