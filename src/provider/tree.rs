//! Writes the requests that are no flat object: fields are paths (`parameters/size`), and `*` in one is an array that has
//! an object for each text.

use serde_json::{Map, Value};

use super::{Ask, Spec};

/// Writes the body of a request. The user's fields are merged over ours, and null takes one out.
pub(super) fn write(
    spec: &Spec,
    ask: &Ask<'_>,
    input_type: Option<(&str, &str)>,
    texts: &[&str],
) -> serde_json::Result<Vec<u8>> {
    let mut body = Value::Object(Map::new());
    let mut all = |path: &str, value: Value| set(&mut body, path, &vec![value; texts.len()]);
    if let (Some(path), Some(model)) = (spec.model.field, ask.model) {
        let prefix = spec.model.prefix;
        all(path, format!("{prefix}{}", model.strip_prefix(prefix).unwrap_or(model)).into());
    }
    for (path, value) in spec.fixed.iter().filter(|(_, value)| !(ask.numbers && value.is_base64())) {
        all(path, value.json());
    }
    if let (Some(path), Some(n)) = (spec.dimensions, ask.dimensions) {
        all(path, n.into());
    }
    if let Some((path, value)) = spec.truncation(ask.truncate) {
        all(path, value.json());
    }
    if let Some((path, word)) = input_type {
        all(path, word.into());
    }
    for (name, value) in ask.body {
        merge(&mut body[name.as_str()], value);
    }
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    let texts: Vec<Value> = texts.iter().map(|text| (*text).into()).collect();
    set(&mut body, spec.input.field(), &texts);
    serde_json::to_vec(&body)
}

/// Puts a value at `path`, the first one where the path has no `*`. What is in the way is replaced; the items of a list
/// are made like its first.
pub(super) fn set(at: &mut Value, path: &str, values: &[Value]) {
    let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let index = name.parse::<usize>().ok().filter(|n| *n < 8 && !at.is_object());
    if name == "*" || index.is_some() {
        if !at.is_array() {
            *at = Value::Array(Vec::new());
        }
    } else if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    match (at, index) {
        (Value::Array(items), None) => {
            let like = items.first().cloned().unwrap_or_default();
            items.clear();
            items.resize(values.len(), like);
            for (item, value) in items.iter_mut().zip(values) {
                put(item, rest, std::slice::from_ref(value));
            }
        }
        (Value::Array(items), Some(n)) => {
            items.resize(items.len().max(n + 1), Value::Null);
            put(&mut items[n], rest, values);
        }
        (Value::Object(fields), _) => {
            let name = name.replace("~1", "/").replace("~0", "~");
            put(fields.entry(name).or_insert(Value::Null), rest, values);
        }
        _ => {}
    }
}

fn put(place: &mut Value, rest: Option<&str>, values: &[Value]) {
    match (rest, values) {
        (Some(rest), _) => set(place, rest, values),
        (None, [value, ..]) => *place = value.clone(),
        (None, []) => {}
    }
}

/// Lays `over` on what is there: objects field by field.
fn merge(at: &mut Value, over: &Value) {
    match (at, over) {
        (Value::Object(fields), Value::Object(more)) => {
            for (name, value) in more {
                merge(fields.entry(name.as_str()).or_insert(Value::Null), value);
            }
            fields.retain(|_, value| !value.is_null());
        }
        (at, over) => *at = over.clone(),
    }
}
