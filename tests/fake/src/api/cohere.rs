//! Cohere: `/v2/embed` and `/v1/embed`.

use serde_json::{Value, json};

use super::Api;
use crate::answer::Answer;
use crate::ask::{Ask, WIDEST, canonical, size, texts_in};
use crate::rows::{Row, put, quoted, write_list, write_row};
use crate::scenario::Settings;

const MOST_TEXTS: usize = 96;
const TYPES: [&str; 5] = ["search_query", "search_document", "classification", "clustering", "image"];

pub fn read<'a>(api: Api, body: &'a Value, settings: &Settings) -> Result<Ask<'a>, Answer> {
    let refuse = |message: &str| Err(Answer::json(400, &json!({"message": message})));
    let model = body["model"].as_str();
    if api == Api::CohereV2 && model.is_none() {
        return refuse("invalid request: model is required");
    }
    let needs_type = api == Api::CohereV2 || model.is_some_and(|name| !name.contains("v2"));
    let kind = body["input_type"].as_str();
    if kind.map_or(needs_type, |kind| !TYPES.contains(&kind)) {
        return refuse("valid input_type must be provided with the provided model");
    }
    let Some(texts) = body["texts"].as_array().and_then(|_| texts_in(&body["texts"])) else {
        return refuse("invalid request: texts must be a list of strings");
    };
    if texts.is_empty() || texts.len() > MOST_TEXTS {
        return refuse(&format!(
            "invalid request: total number of texts must be between 1 and {MOST_TEXTS} - received {}",
            texts.len()
        ));
    }
    const OFFERED: [&str; 4] = ["float", "base64", "int8", "ubinary"];
    if let Some(other) = types(body).into_iter().find(|name| !OFFERED.contains(name)) {
        return refuse(&format!("invalid request: embedding type {other} is not offered here"));
    }
    let wish = &body["output_dimension"];
    let width = if wish.is_null() { Some(settings.width) } else { size(wish) };
    let Some(width) = width.filter(|n| (1..=WIDEST).contains(n)) else {
        return refuse("invalid request: output_dimension is out of range");
    };
    let mut ask = Ask::new(body, texts, width);
    ask.kind = kind.map(canonical);
    Ok(ask)
}

fn types(body: &Value) -> Vec<&str> {
    body["embedding_types"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

pub fn write(api: Api, ask: &Ask, rows: &[Row], settings: &Settings) -> Vec<u8> {
    let mut types = types(ask.body);
    if types.is_empty() && api == Api::CohereV2 {
        types.push("float");
    }
    let mut out = br#"{"id":"fake","embeddings":"#.to_vec();
    if types.is_empty() {
        write_list(&mut out, rows, |out, row| write_row(out, row, false));
    } else {
        for (place, name) in types.iter().enumerate() {
            let opening = if place == 0 { '{' } else { ',' };
            put(&mut out, format_args!(r#"{opening}"{name}":"#));
            write_list(&mut out, rows, |out, row| match (*name, &row.values) {
                ("int8", Some(values)) => write_whole(out, values.iter().map(|x| (x * 127.0).round() as i16)),
                ("ubinary", Some(values)) => write_whole(out, values.chunks(8).map(packed)),
                _ => write_row(out, row, *name == "base64"),
            });
        }
        out.push(b'}');
    }
    out.extend_from_slice(br#","texts":"#);
    write_list(&mut out, &ask.texts, |out, text| out.extend_from_slice(quoted(text).as_bytes()));
    let version = if api == Api::CohereV2 { 2 } else { 1 };
    put(&mut out, format_args!(r#","meta":{{"api_version":{{"version":"{version}"}}"#));
    if !settings.no_usage {
        put(&mut out, format_args!(r#","billed_units":{{"input_tokens":{}}}"#, ask.tokens()));
    }
    let shape = if types.is_empty() { "floats" } else { "by_type" };
    put(&mut out, format_args!(r#"}},"response_type":"embeddings_{shape}"}}"#));
    out
}

/// Eight signs as NumPy's packbits has them: the first is the highest bit.
fn packed(signs: &[f32]) -> i16 {
    signs.iter().enumerate().fold(0, |bits, (place, x)| bits | i16::from(*x > 0.0) << (7 - place))
}

fn write_whole(out: &mut Vec<u8>, numbers: impl Iterator<Item = i16>) {
    write_list(out, &numbers.collect::<Vec<_>>(), |out, n| put(out, format_args!("{n}")));
}
