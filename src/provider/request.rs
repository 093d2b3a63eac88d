//! Requests of one flat object, and whether a format can carry out what is asked of it.

use serde::ser::{SerializeMap, Serializer};

use super::{Ask, Fixed, Input, Provider, Spec, Truncate, all};
use crate::base::vector::Encoding;

/// Writes the body of a request; the user's fields win over ours.
pub(super) fn write(
    spec: &Spec,
    ask: &Ask<'_>,
    input_type: Option<(&str, &str)>,
    texts: &[&str],
) -> serde_json::Result<Vec<u8>> {
    let room: usize = texts.iter().map(|t| t.len() + t.len() / 8 + 4).sum();
    let mut json = serde_json::Serializer::new(Vec::with_capacity(room + 256));
    let mut body = json.serialize_map(None)?;
    let ours = |name: &str| !ask.body.contains_key(name);
    if let (Some(name), Some(model)) = (spec.model.field.filter(|name| ours(name)), ask.model) {
        body.serialize_entry(name, model)?;
    }
    // What is asked for as bytes or bits comes as numbers: what base64 of it holds differs.
    let encoded = spec.encodings.and_then(|all| Some((all, all.word(ask.encoding)?)));
    let numbers = ask.numbers || encoded.is_some();
    let wanted = |name: &str, value: &Fixed| {
        !(numbers && value.is_base64() || encoded.is_some_and(|(encodings, _)| encodings.field == name))
    };
    for (name, value) in spec.fixed.iter().filter(|(name, value)| ours(name) && wanted(name, value)) {
        body.serialize_entry(name, value)?;
    }
    if let Some((encodings, word)) = encoded.filter(|(encodings, _)| ours(encodings.field)) {
        match encodings.is_list {
            true => body.serialize_entry(encodings.field, &[word])?,
            false => body.serialize_entry(encodings.field, word)?,
        }
    }
    if let (Some(name), Some(n)) = (spec.dimensions.filter(|name| ours(name)), ask.dimensions) {
        body.serialize_entry(name, &n)?;
    }
    if let Some((name, value)) = spec.truncation(ask.truncate).filter(|(name, _)| ours(name)) {
        body.serialize_entry(name, &value)?;
    }
    if let Some((name, word)) = input_type.filter(|(name, _)| ours(name)) {
        body.serialize_entry(name, word)?;
    }
    // null takes a field out, for servers that refuse what they do not know.
    for (name, value) in ask.body.iter().filter(|(_, value)| !value.is_null()) {
        body.serialize_entry(name, value)?;
    }
    match (spec.input, texts) {
        (Input::Text(name) | Input::TextOrList(name), [one]) => body.serialize_entry(name, one)?,
        (input, many) => body.serialize_entry(input.field(), many)?,
    }
    body.end()?;
    Ok(json.into_inner())
}

/// Whether the fields of a format can carry out an ask.
pub(super) fn accepts(spec: &Spec, ask: &Ask<'_>) -> Result<(), String> {
    let name = spec.name;
    for (option, given) in [("input", ask.input), ("output", ask.output)] {
        if given.is_some() {
            return Err(format!("the option '{option}' is for format 'custom' alone: leave it out"));
        }
    }
    if ask.truncate.is_some() && spec.truncate.is_none() {
        return Err(format!(
            "format '{name}' has no option 'truncate': leave it out, or set the server's own field by 'body'"
        ));
    }
    if let (Some(false), Some(Truncate::Word(_, _, None))) = (ask.truncate, spec.truncate) {
        return Err(format!("format '{name}' cannot be asked not to truncate"));
    }
    if ask.encoding != Encoding::Float32 {
        let word = ask.encoding.name();
        if spec.encodings.and_then(|encodings| encodings.word(ask.encoding)).is_none() {
            let able =
                all().map(Provider::spec).filter(|spec| spec.encodings.is_some()).map(|spec| spec.name);
            return Err(format!(
                "format '{name}' has no option 'encoding' = '{word}': leave it out (formats that have the option: {})",
                able.collect::<Vec<_>>().join(", ")
            ));
        }
        if ask.encoding == Encoding::Bit && ask.dimensions.is_some_and(|n| n % 8 != 0) {
            return Err("with encoding 'bit', dimensions must be a multiple of 8".into());
        }
    }
    let field = spec.input.field().split('/').next().unwrap_or_default();
    if !matches!(spec.input, Input::Text(path) if path.contains('/')) && ask.body.contains_key(field) {
        return Err(format!("option 'body' may not set '{field}', which holds the texts"));
    }
    input_type(spec, ask.input_type).map(drop)
}

/// The field and word that `asked` becomes for a format.
///
/// `query` and `document` are accepted everywhere, so that one SQL text serves symmetric models too.
pub(super) fn input_type<'a>(
    spec: &Spec,
    asked: Option<&'a str>,
) -> Result<Option<(&'static str, &'a str)>, String> {
    let Some(types) = &spec.input_type else {
        return match asked {
            None | Some("query" | "document") => Ok(None),
            Some(word) => Err(format!(
                "format '{}' has no input types, so {} cannot be sent: put the model's prefix into the text, \
                 or set the server's own field by the option 'body'",
                spec.name,
                crate::base::words::quoted(word)
            )),
        };
    };
    let word = match asked {
        Some("query") => types.query,
        Some("document") => types.document,
        None if types.required => types.document,
        own => own,
    };
    Ok(word.map(|word| (types.field, word)))
}
