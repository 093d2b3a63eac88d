//! The JSON that `rembed_batch` and `rembed_prefetch` take: texts, with or without names of their own.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::base::error::{Error, Result};
use crate::embed::stream::Text;

/// A text and its name: the array index, the `id`, or the object key.
pub type Item = (Value, Text);

/// Reads an array of strings, or of objects `{"id": any, "text": "…"}` (`contents` is an alias of `text`), or an
/// object `{"key": "text"}`. Numbers are taken as their text, null as NULL.
///
/// # Errors
/// JSON that is none of these.
pub fn parse(json: &str) -> Result<Vec<Item>> {
    let items: Items = serde_json::from_str(json).map_err(|e| {
        Error::invalid(format!(
            "the texts must be JSON: an array of strings, an array of objects {{\"id\": …, \"text\": \"…\"}}, or an \
             object {{\"key\": \"text\"}} ({e})"
        ))
    })?;
    Ok(items.0)
}

struct Items(Vec<Item>);

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Items, D::Error> {
        deserializer.deserialize_any(ItemsVisitor)
    }
}

struct ItemsVisitor;

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Items;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or object of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Items, A::Error> {
        let mut items = Vec::new();
        while let Some(value) = seq.next_element::<Value>()? {
            let index = items.len();
            items.push(match value {
                Value::Object(mut object) => {
                    let text = object.remove("text").or_else(|| object.remove("contents"));
                    let Some(text) = text else {
                        return Err(A::Error::custom(format!(
                            "element {index} has neither 'text' nor 'contents'"
                        )));
                    };
                    (object.remove("id").unwrap_or(Value::Null), text_of(text))
                }
                text => (index.into(), text_of(text)),
            });
        }
        Ok(Items(items))
    }

    // The pairs are not put into a map: a key that comes twice is two rows.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Items, A::Error> {
        let mut items = Vec::new();
        while let Some((key, text)) = map.next_entry::<String, Value>()? {
            items.push((Value::String(key), text_of(text)));
        }
        Ok(Items(items))
    }
}

fn text_of(value: Value) -> Text {
    match value {
        Value::Null => Text::Null,
        Value::String(text) => Text::Text(text.into()),
        Value::Number(n) => Text::Text(Arc::from(n.to_string())),
        Value::Bool(_) => Text::Bad("the text is true or false, not text".into()),
        Value::Array(_) | Value::Object(_) => {
            Text::Bad("the text is a JSON array or object, not text".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(json: &str) -> Vec<(Value, Option<String>)> {
        let text = |t| match t {
            Text::Text(text) => Some(text.to_string()),
            _ => None,
        };
        parse(json).unwrap().into_iter().map(|(key, t)| (key, text(t))).collect()
    }

    fn some(text: &str) -> Option<String> {
        Some(text.into())
    }

    #[test]
    fn every_form_is_read_in_order() {
        assert_eq!(
            read(r#"["a", null, 5]"#),
            [(json!(0), some("a")), (json!(1), None), (json!(2), some("5"))]
        );
        assert_eq!(
            read(r#"[{"id": 7, "text": "a"}, {"text": "b"}, {"contents": "c", "id": "x"}]"#),
            [(json!(7), some("a")), (Value::Null, some("b")), (json!("x"), some("c"))]
        );
        assert_eq!(read(r#"{"k": "a", "j": "b", "k": "c"}"#).len(), 3);
        assert!(read("[]").is_empty() && read("{}").is_empty());
    }

    #[test]
    fn what_holds_no_texts_is_refused() {
        for (json, why) in [
            ("\"a\"", "array or object"),
            ("[{\"id\":1}]", "element 0"),
            ("[", "EOF"),
            ("", "EOF"),
            ("[\"a\"] x", "trailing"),
        ] {
            let e = parse(json).err().unwrap().to_string();
            assert!(e.contains(why) && e.contains("must be JSON"), "{e}");
        }
    }
}
