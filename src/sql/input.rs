//! The JSON that `rembed_batch` and `rembed_prefetch` take: texts, with or without names of their own.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::base::error::{Error, Result};
use crate::embed::stream::Text;

/// A text and its name: the array index, the `id`, or the object key.
pub type Item = (Value, Text);

/// Reads an array of strings, or of objects `{"id": any, "text": "…"}` (`contents` is an alias of `text`), or an
/// object `{"key": "text"}`. Numbers are taken as they are written, null as NULL. What is wrong with one text is told in
/// its own row.
///
/// # Errors
/// JSON that is none of these.
pub fn parse(json: &str) -> Result<Vec<Item>> {
    let json = json.strip_prefix('\u{feff}').unwrap_or(json);
    let parts: Parts<'_> = serde_json::from_str(json).map_err(|e| {
        Error::invalid(format!(
            "the texts must be JSON: an array of strings, an array of objects {{\"id\": …, \"text\": \"…\"}}, or an \
             object {{\"key\": \"text\"}} ({e})"
        ))
    })?;
    Ok(match parts {
        Parts::Array(elements) => {
            elements.into_iter().enumerate().map(|(index, element)| item(index, element)).collect()
        }
        Parts::Object(fields) => {
            fields.into_iter().map(|(key, text)| (Value::String(key), text_of(text.get()))).collect()
        }
    })
}

/// An array or object whose elements are not read yet: one of them may be wrong.
enum Parts<'a> {
    Array(Vec<&'a RawValue>),
    // No map: a key that comes twice is two rows.
    Object(Vec<(String, &'a RawValue)>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Parts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Parts<'a>, D::Error> {
        deserializer.deserialize_any(PartsVisitor(PhantomData))
    }
}

struct PartsVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for PartsVisitor<'a> {
    type Value = Parts<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or object of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Parts<'a>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Parts::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Parts<'a>, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Parts::Object(fields))
    }
}

/// The element `index` of an array.
fn item(index: usize, element: &RawValue) -> Item {
    if !element.get().starts_with('{') {
        return (index.into(), text_of(element.get()));
    }
    let fields = match serde_json::from_str(element.get()) {
        Ok(Parts::Object(fields)) => fields,
        Ok(Parts::Array(_)) => Vec::new(),
        Err(e) => return (Value::Null, Text::Bad(format!("element {index} cannot be read: {e}"))),
    };
    let last =
        |wanted: &str| fields.iter().rev().find(|(name, _)| name == wanted).map(|(_, value)| value.get());
    let id = match last("id").map_or(Ok(Value::Null), serde_json::from_str) {
        Ok(id) => id,
        Err(e) => return (Value::Null, Text::Bad(format!("the id of element {index} cannot be read: {e}"))),
    };
    let text = last("text").or_else(|| last("contents")).map(text_of);
    let missing = || Text::Bad(format!("element {index} has neither 'text' nor 'contents'"));
    (id, text.unwrap_or_else(missing))
}

/// The text that a JSON value is, as it is written.
fn text_of(json: &str) -> Text {
    match json.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<String>(json) {
            Ok(text) => Text::Text(text.into()),
            Err(e) => Text::Bad(format!("the text is not Unicode ({e})")),
        },
        Some(b'n') => Text::Null,
        Some(b't' | b'f') => Text::Bad("the text is true or false, not text".into()),
        Some(b'[' | b'{') => Text::Bad("the text is a JSON array or object, not text".into()),
        _ => Text::Text(Arc::from(json)),
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
    fn numbers_are_taken_as_they_are_written() {
        for number in [
            "1626175065.5934923",
            "9007199254740991.0",
            "1.50",
            "1e20",
            "-0",
            "123456789012345678901234567890",
        ] {
            assert_eq!(read(&format!("[{number}]"))[0].1.as_deref(), Some(number));
            assert_eq!(read(&format!(r#"[{{"text": {number}}}]"#))[0].1.as_deref(), Some(number));
        }
    }

    #[test]
    fn what_is_wrong_with_one_text_is_told_in_its_row() {
        let json = r#"["a", "\ud83d", true, {"id": 7}, {"id": "\udc00", "text": "b"}, {"id": 8, "text": "\ud83dx"}, {"\ud83d": 1}, "c"]"#;
        let items = parse(json).unwrap();
        let bad: Vec<_> = items
            .iter()
            .enumerate()
            .filter_map(|(i, (key, text))| match text {
                Text::Bad(why) => Some((i, key.clone(), why.as_str())),
                _ => None,
            })
            .collect();
        let found: Vec<_> = bad.iter().map(|(i, key, _)| (*i, key.clone())).collect();
        let null = Value::Null;
        assert_eq!(
            found,
            [(1, json!(1)), (2, json!(2)), (3, json!(7)), (4, null.clone()), (5, json!(8)), (6, null)]
        );
        assert!(bad[0].2.contains("not Unicode") && bad[2].2.contains("element 3 has neither"), "{bad:?}");
        assert_eq!(read(r#"{"a": "\ud83d", "b": "x"}"#), [(json!("a"), None), (json!("b"), some("x"))]);
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(read("\u{feff}[\"a\"]"), [(json!(0), some("a"))]);
    }

    #[test]
    fn what_holds_no_texts_is_refused() {
        for (json, why) in
            [("\"a\"", "array or object"), ("[", "EOF"), ("", "EOF"), ("[\"a\"] x", "trailing")]
        {
            let e = parse(json).err().unwrap().to_string();
            assert!(e.contains(why) && e.contains("must be JSON"), "{e}");
        }
    }
}
