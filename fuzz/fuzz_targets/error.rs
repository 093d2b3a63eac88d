//! The body of an error, as each format reads it, beside serde_json's `Value`. The first byte chooses the format, the
//! second the status.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rembed_fuzz::json;
use serde_json::Value;
use sqlite_rembed::base::words::PROVIDER_MESSAGE_MAX;
use sqlite_rembed::provider::{self, HttpReply, Verdict};

const STATUSES: [u16; 8] = [400, 401, 404, 413, 422, 429, 500, 307];

fuzz_target!(|data: &[u8]| {
    let [format, status, body @ ..] = data else { return };
    let formats = provider::all().count();
    let Some(format) = provider::all().nth(usize::from(*format) % formats) else { return };
    let status = STATUSES[usize::from(*status) % STATUSES.len()];
    let failure = format.failure(&HttpReply::new(status, body));
    assert!(failure.message.chars().count() < 4 * PROVIDER_MESSAGE_MAX + 300, "{failure:?}");
    assert!(!failure.message.chars().any(char::is_control), "{failure:?}");
    let retry = matches!(failure.verdict, Verdict::Retry(_));
    assert!(!retry || matches!(status, 429 | 500), "{status}: {failure:?}");
    let tree = json::read(body);
    let Some(json) = serde_json::from_slice::<Value>(body).ok().filter(|_| !tree.unwrap().has_twins()) else {
        return;
    };
    let text = text_of(&json).unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let words: Vec<String> =
        text.split_whitespace().map(|word| word.chars().filter(|c| !c.is_control()).collect()).collect();
    let text: String = words.join(" ").chars().take(400).collect();
    assert!(failure.message.contains(&text), "{text:?} is not in {failure:?}");
});

/// The message, where the providers put it. An object as a message is shown as it is, which is not compared.
fn text_of(json: &Value) -> Option<String> {
    let json = match json {
        Value::Array(list) => list.first()?,
        other => other,
    };
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let listed = |v: &Value| -> Option<String> {
        let texts = v.as_array()?.iter().filter_map(|item| text(&item["msg"]).or_else(|| text(item)));
        Some(texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; "))
    };
    None.or_else(|| text(&json["error"]["message"]))
        .or_else(|| text(&json["error"]))
        .or_else(|| text(&json["message"]))
        .or_else(|| json["message"].is_object().then(String::new))
        .or_else(|| text(&json["detail"]))
        .or_else(|| listed(&json["detail"]))
        .or_else(|| text(&json["errors"][0]["message"]))
        .or_else(|| text(json))
}
