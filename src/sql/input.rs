//! The JSON that `rembed_batch` and `rembed_prefetch` take: texts, with or without names of their own.
//!
//! The JSON is checked whole before the first text leaves, and then each element is read as it is needed: a long list takes
//! no memory beside itself.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::base::error::{Error, Result};
use crate::base::words::unmarked;
use crate::embed::stream::Text;

/// A text and its name: the array index, the `id`, or the object key.
pub type Item = (Value, Text);

/// The texts of a JSON value, read as they are needed.
#[derive(Debug)]
pub struct Texts<J> {
    json: J,
    /// What comes after the texts that were read.
    at: usize,
    shape: Shape,
    read: usize,
}

/// Reads an array of strings, or of objects `{"id": any, "text": "…"}` (`contents` is an alias of `text`), or an
/// object `{"key": "text"}`. Numbers are taken as they are written, null as NULL. What is wrong with one text is told in
/// its own row.
///
/// # Errors
/// JSON that is none of these.
pub fn parse<J: Deref<Target = str>>(json: J) -> Result<Texts<J>> {
    let shape: Shape = serde_json::from_str(unmarked(&json)).map_err(|e| {
        Error::invalid(format!(
            "the texts must be JSON: an array of strings, an array of objects {{\"id\": …, \"text\": \"…\"}}, or an \
             object {{\"key\": \"text\"}} ({e})"
        ))
    })?;
    let at = json.find(['[', '{']).map_or(json.len(), |bracket| bracket + 1);
    Ok(Texts { json, at, shape, read: 0 })
}

impl<J: Deref<Target = str>> Iterator for Texts<J> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let (json, index) = (&*self.json, self.read);
        if index == self.shape.texts() {
            return None;
        }
        self.read += 1;
        let first = value(json, &mut self.at)?;
        Some(match self.shape {
            Shape::Array(_) => item(index, first),
            Shape::Object(_) => (serde_json::from_str(first).ok()?, text_of(value(json, &mut self.at)?)),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.shape.texts() - self.read;
        (left, Some(left))
    }
}

impl<J: Deref<Target = str>> ExactSizeIterator for Texts<J> {}

/// The next of the values in an array or object that was checked, the keys of an object included.
fn value<'a>(json: &'a str, at: &mut usize) -> Option<&'a str> {
    let rest = json[*at..].trim_start_matches([' ', '\t', '\r', '\n', ',', ':']);
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
    let value = values.next()?.ok()?;
    *at = json.len() - rest.len() + values.byte_offset();
    Some(value.get())
}

/// What holds the texts, and how many. An element is not read yet: one of them may be wrong.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Array(usize),
    /// A key that comes twice is two texts.
    Object(usize),
}

impl Shape {
    fn texts(self) -> usize {
        let (Shape::Array(texts) | Shape::Object(texts)) = self;
        texts
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Shape, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or object of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Shape, A::Error> {
        let mut texts = 0;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            texts += 1;
        }
        Ok(Shape::Array(texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Shape, A::Error> {
        let mut texts = 0;
        // A key that is not Unicode is an error of the whole.
        while map.next_entry::<String, IgnoredAny>()?.is_some() {
            texts += 1;
        }
        Ok(Shape::Object(texts))
    }
}

/// The element `index` of an array.
fn item(index: usize, json: &str) -> Item {
    if !json.starts_with('{') {
        return (index.into(), text_of(json));
    }
    let Fields { id, text, contents } = match serde_json::from_str(json) {
        Ok(fields) => fields,
        Err(e) => return (Value::Null, Text::Bad(format!("element {index} cannot be read: {e}"))),
    };
    let id = match id.map_or(Ok(Value::Null), |id| serde_json::from_str(id.get())) {
        Ok(id) => id,
        Err(e) => return (Value::Null, Text::Bad(format!("the id of element {index} cannot be read: {e}"))),
    };
    let missing = || Text::Bad(format!("element {index} has neither 'text' nor 'contents'"));
    (id, text.or(contents).map_or_else(missing, |text| text_of(text.get())))
}

/// What is read of an element that is an object. The last counts where a name comes twice.
#[derive(Default)]
struct Fields<'a> {
    id: Option<&'a RawValue>,
    text: Option<&'a RawValue>,
    contents: Option<&'a RawValue>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Fields<'a>, D::Error> {
        deserializer.deserialize_map(FieldsVisitor(PhantomData))
    }
}

struct FieldsVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for FieldsVisitor<'a> {
    type Value = Fields<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a text")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Fields<'a>, A::Error> {
        let mut fields = Fields::default();
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            match name.as_str() {
                "id" => fields.id = Some(value),
                "text" => fields.text = Some(value),
                "contents" => fields.contents = Some(value),
                _ => {}
            }
        }
        Ok(fields)
    }
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
        _ => Text::Text(json.into()),
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
        parse(json).unwrap().map(|(key, t)| (key, text(t))).collect()
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
        // As white space stands between them.
        assert_eq!(
            read("\n\t[ \r\n1 ,\"a, ]\"\n, [ ] ,null\n]\n"),
            [(json!(0), some("1")), (json!(1), some("a, ]")), (json!(2), None), (json!(3), None)]
        );
        assert_eq!(
            read(" { \"k:\" :\n\"a\" , \"\" : 2 } "),
            [(json!("k:"), some("a")), (json!(""), some("2"))]
        );
    }

    #[test]
    fn the_number_of_texts_is_known_before_they_are_read() {
        for (json, n) in [("[]", 0), (r#"["a", "b", {"text": "c"}]"#, 3), (r#"{"k": "a", "k": "b"}"#, 2)] {
            let mut texts = parse(json).unwrap();
            for left in (0..n).rev() {
                assert_eq!(texts.len(), left + 1);
                assert!(texts.next().is_some());
            }
            assert!(texts.len() == 0 && texts.next().is_none() && texts.next().is_none());
        }
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
        let items: Vec<_> = parse(json).unwrap().collect();
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
