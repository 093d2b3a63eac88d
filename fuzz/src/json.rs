//! JSON as a tree that keeps what serde_json's `Value` does not: keys that come twice, and numbers as they are written.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, every key of it.
    Object(Vec<(String, Json)>),
}

struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Reads `text` by serde_json, every string of it too. `None` is no JSON.
pub fn read(text: &[u8]) -> Option<Json> {
    tree(serde_json::from_str(std::str::from_utf8(text).ok()?).ok()?)
}

fn tree(raw: &RawValue) -> Option<Json> {
    let text = raw.get();
    Some(match text.as_bytes()[0] {
        b'{' => {
            let Fields(fields) = serde_json::from_str(text).ok()?;
            let fields = fields.into_iter().map(|(key, value)| Some((key, tree(value)?)));
            Json::Object(fields.collect::<Option<_>>()?)
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            Json::Array(items.into_iter().map(tree).collect::<Option<_>>()?)
        }
        b'"' => Json::String(serde_json::from_str(text).ok()?),
        b'n' => Json::Null,
        b't' | b'f' => Json::Bool(text == "true"),
        _ => Json::Number(text.into()),
    })
}

impl Json {
    /// How many arrays and objects stand within each other.
    pub fn depth(&self) -> usize {
        let deepest = match self {
            Json::Array(items) => items.iter().map(Json::depth).max(),
            Json::Object(fields) => fields.iter().map(|(_, value)| value.depth()).max(),
            _ => return 0,
        };
        deepest.unwrap_or(0) + 1
    }

    /// Whether an object in it has a key twice.
    pub fn has_twins(&self) -> bool {
        match self {
            Json::Array(items) => items.iter().any(Json::has_twins),
            Json::Object(fields) => {
                let twin = |i: usize| fields[..i].iter().any(|(key, _)| *key == fields[i].0);
                (0..fields.len()).any(twin) || fields.iter().any(|(_, value)| value.has_twins())
            }
            _ => false,
        }
    }

    /// The whole number that it is.
    pub fn whole(&self) -> Option<u64> {
        let Json::Number(text) = self else { return None };
        text.parse().ok().or_else(|| {
            let float: f64 = text.parse().ok()?;
            (float.fract() == 0.0 && float >= 0.0).then_some(float as u64)
        })
    }
}
