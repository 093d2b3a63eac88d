//! What a request asks for, whichever API it came by.

use std::borrow::Cow;

use serde_json::Value;

/// Wider than any model; more is refused or ignored.
pub const WIDEST: usize = 4096;

/// An understood request.
pub struct Ask<'a> {
    pub body: &'a Value,
    pub texts: Vec<Cow<'a, str>>,
    /// The input type, in one word for all providers.
    pub kind: Option<&'a str>,
    pub width: usize,
    pub base64: bool,
    /// What the unit vectors are multiplied with.
    pub scale: f32,
}

impl<'a> Ask<'a> {
    pub fn new(body: &'a Value, texts: Vec<Cow<'a, str>>, width: usize) -> Self {
        Self { body, texts, kind: None, width, base64: false, scale: 1.0 }
    }

    pub fn model(&self) -> &'a str {
        self.body["model"].as_str().unwrap_or("fake")
    }

    pub fn tokens(&self) -> usize {
        self.texts.iter().map(|text| tokens(text)).sum()
    }
}

/// About what a BERT counts: the words and two more.
pub fn tokens(text: &str) -> usize {
    text.split_whitespace().count() + 2
}

/// Providers name the same two types in many ways; one vector shall stand for each.
pub fn canonical(kind: &str) -> &str {
    match kind {
        "search_query" | "retrieval.query" | "RETRIEVAL_QUERY" | "GENERIC_RETRIEVAL" | "query"
        | MIXEDBREAD_QUERY => "query",
        "search_document" | "retrieval.passage" | "RETRIEVAL_DOCUMENT" | "GENERIC_INDEX" | "document"
        | "passage" => "document",
        other => other,
    }
}

const MIXEDBREAD_QUERY: &str = "Represent this sentence for searching relevant passages: ";

/// The texts of one field: a string, token numbers, or a list of strings, of token lists and of
/// objects that hold a text. `None` when it is anything else.
pub fn texts_in(value: &Value) -> Option<Vec<Cow<'_, str>>> {
    match value {
        Value::String(text) => Some(vec![text.into()]),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_number) => {
            Some(vec![token_text(items)])
        }
        Value::Array(items) => items.iter().map(item_text).collect(),
        _ => None,
    }
}

fn item_text(item: &Value) -> Option<Cow<'_, str>> {
    match item {
        Value::String(text) => Some(text.into()),
        Value::Array(tokens) if tokens.iter().all(Value::is_number) => Some(token_text(tokens)),
        Value::Object(fields) => Some(fields.get("text").or(fields.get("prompt_string"))?.as_str()?.into()),
        _ => None,
    }
}

/// Token numbers have a vector too: that of their digits.
fn token_text(tokens: &[Value]) -> Cow<'static, str> {
    tokens.iter().map(Value::to_string).collect::<Vec<_>>().join(" ").into()
}

/// The texts in whichever field has them: for the log, the counters and the selectors, which also
/// see the requests that a provider refuses.
pub fn any_texts(body: &Value) -> Vec<Cow<'_, str>> {
    ["input", "texts", "content", "prompt"]
        .iter()
        .map(|field| &body[field])
        .find(|value| !value.is_null())
        .and_then(texts_in)
        .or_else(|| crate::api::cloud::texts(body))
        .unwrap_or_default()
}

/// A size that the request asks for, if it does.
pub fn size(value: &Value) -> Option<usize> {
    value.as_u64().map(|n| n as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_come_in_many_forms() {
        let read = |value: Value| texts_in(&value).map(|texts| texts.join("|"));
        assert_eq!(read(json!("a")).unwrap(), "a");
        assert_eq!(read(json!(["a", "b"])).unwrap(), "a|b");
        assert_eq!(read(json!([1, 2])).unwrap(), "1 2");
        assert_eq!(read(json!([[1, 2], [3], "c"])).unwrap(), "1 2|3|c");
        assert_eq!(read(json!([{"text": "a"}])).unwrap(), "a");
        assert_eq!(read(json!([])).unwrap(), "");
        assert_eq!(read(json!([null])), None);
        assert_eq!(read(json!({"a": 1})), None);
    }

    #[test]
    fn a_null_field_is_passed_over() {
        assert_eq!(any_texts(&json!({"input": null, "texts": ["a"], "prompt": "p"})), ["a"]);
    }
}
