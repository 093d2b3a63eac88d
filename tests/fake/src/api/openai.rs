//! `/v1/embeddings`: OpenAI's own format and what its followers made of it.

use serde_json::{Value, json};

use super::llama;
use crate::answer::Answer;
use crate::ask::{Ask, WIDEST, canonical, size, texts_in};
use crate::rows::{Row, put, quoted, write_list, write_row};
use crate::scenario::{Flavor, Settings, Shape};

/// The provider of a request: as set, else told by the fields that only it has, and for Mistral,
/// whose SDK insists on its `id`, by the model.
pub fn flavor(body: &Value, settings: &Settings) -> Flavor {
    let has = |names: &[&str]| names.iter().any(|&name| body.get(name).is_some());
    settings.flavor.unwrap_or_else(|| {
        if has(&["task", "embedding_type", "late_chunking"]) {
            Flavor::Jina
        } else if has(&["normalized", "prompt"]) || body["encoding_format"].is_array() {
            Flavor::Mixedbread
        } else if body["model"].as_str().is_some_and(|model| model.contains("stral-embed")) {
            Flavor::Mistral
        } else if has(&["input_type", "truncation", "output_dimension"]) {
            Flavor::Voyage
        } else {
            Flavor::Openai
        }
    })
}

pub fn read<'a>(flavor: Flavor, body: &'a Value, settings: &Settings) -> Result<Ask<'a>, Answer> {
    let refuse = |status, message: &str| Err(error(flavor, status, message));
    let input = &body["input"];
    if flavor == Flavor::Llama {
        llama::check_input(input)?;
    }
    if settings.shape == Shape::Llamafiler && !input.is_string() {
        return Err(Answer::plain(400, llama::NO_TEXT));
    }
    let Some(texts) = texts_in(input) else {
        return refuse(400, &bad_input(flavor, input));
    };
    if texts.is_empty() {
        return refuse(
            400,
            if flavor == Flavor::Ollama { "invalid input" } else { "[] is too short - 'input'" },
        );
    }
    let takes_empty = matches!(flavor, Flavor::Llama | Flavor::Ollama);
    if !takes_empty && texts.iter().any(|text| text.is_empty()) {
        return refuse(400, &bad_input(flavor, input));
    }
    let cap = match flavor {
        Flavor::Voyage => 1000,
        Flavor::Mistral => 512,
        Flavor::Llama | Flavor::Ollama => usize::MAX,
        _ => 2048,
    };
    if texts.len() > cap {
        return refuse(400, &format!("'$.input' is invalid. The maximum number of inputs is {cap}."));
    }
    if flavor == Flavor::Ollama
        && let Some(model) = body["model"].as_str().filter(|model| model.starts_with("missing"))
    {
        return refuse(404, &format!("model '{model}' not found"));
    }
    let mut ask = Ask::new(body, texts, width(flavor, body, settings)?);
    ask.kind = ["task", "input_type", "prompt"].iter().find_map(|&name| body[name].as_str()).map(canonical);
    ask.base64 = encodings(flavor, body)? == ["base64"] && !settings.float_only;
    if body["normalized"] == false {
        ask.scale = 2.0;
    }
    Ok(ask)
}

fn bad_input(flavor: Flavor, input: &Value) -> String {
    match flavor {
        Flavor::Openai if input.is_null() => "you must provide an 'input' parameter".into(),
        Flavor::Ollama => "invalid input".into(),
        Flavor::Voyage => "Input cannot contain empty strings or empty lists".into(),
        _ => "'$.input' is invalid. Please check the API reference: \
              https://platform.openai.com/docs/api-reference."
            .into(),
    }
}

/// Llama-server ignores a wish for another size, and Ollama one for a larger.
fn width(flavor: Flavor, body: &Value, settings: &Settings) -> Result<usize, Answer> {
    let wish = match &body["dimensions"] {
        Value::Null => &body["output_dimension"],
        value => value,
    };
    match (flavor, wish) {
        (Flavor::Llama, _) | (_, Value::Null) => Ok(settings.width),
        (Flavor::Ollama, _) => Ok(size(wish).filter(|&n| n > 0).unwrap_or(WIDEST).min(settings.width)),
        _ => size(wish).filter(|n| (1..=WIDEST).contains(n)).ok_or_else(|| {
            let message =
                format!("Invalid value for 'dimensions' = {wish}. Must be between 1 and {WIDEST} inclusive.");
            error(flavor, 400, &message)
        }),
    }
}

/// The notations asked for; Jina has its own name for the field, Mixedbread takes a list.
fn encodings(flavor: Flavor, body: &Value) -> Result<Vec<&str>, Answer> {
    let field = if body["embedding_type"].is_null() { "encoding_format" } else { "embedding_type" };
    let wish = match &body[field] {
        Value::Null => vec!["float"],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        value => vec![value.as_str().unwrap_or_default()],
    };
    match wish.iter().find(|&&name| name != "float" && name != "base64") {
        None => Ok(wish),
        Some(name) => {
            Err(error(flavor, 400, &format!("'{name}' is not one of ['base64', 'float'] - '{field}'")))
        }
    }
}

pub fn write(flavor: Flavor, ask: &Ask, rows: &[Row], settings: &Settings) -> Vec<u8> {
    let encodings = encodings(flavor, ask.body).unwrap_or_default();
    let several = encodings.len() > 1;
    let mut out = br#"{"object":"list","data":"#.to_vec();
    write_list(&mut out, rows, |out, row| {
        put(out, format_args!(r#"{{"object":"{}","#, if several { "embedding_dict" } else { "embedding" }));
        if !settings.no_index {
            put(out, format_args!(r#""index":{},"#, row.index));
        }
        out.extend_from_slice(br#""embedding":"#);
        if several {
            out.extend_from_slice(br#"{"float":"#);
            write_row(out, row, false);
            out.extend_from_slice(br#","base64":"#);
            write_row(out, row, true);
            out.push(b'}');
        } else {
            write_row(out, row, ask.base64);
        }
        if flavor == Flavor::Llama && ask.base64 {
            out.extend_from_slice(br#","encoding_format":"base64""#);
        }
        out.push(b'}');
    });
    put(&mut out, format_args!(r#","model":{}"#, quoted(ask.model())));
    match flavor {
        Flavor::Mixedbread => {
            let extra = json!({
                "normalized": ask.scale == 1.0,
                "encoding_format": if several { json!(encodings) } else { json!(encodings[0]) },
                "dimensions": ask.width,
            });
            put(&mut out, format_args!(",{}", extra.to_string().trim_matches(['{', '}'])));
        }
        Flavor::Mistral => out.extend_from_slice(br#","id":"fake""#),
        _ => {}
    }
    if !settings.no_usage {
        usage(&mut out, flavor, ask.tokens());
    }
    out.push(b'}');
    out
}

fn usage(out: &mut Vec<u8>, flavor: Flavor, n: usize) {
    match flavor {
        Flavor::Together => {}
        Flavor::Voyage => put(out, format_args!(r#","usage":{{"total_tokens":{n}}}"#)),
        Flavor::Mistral => put(
            out,
            format_args!(r#","usage":{{"prompt_tokens":{n},"completion_tokens":0,"total_tokens":{n}}}"#),
        ),
        _ => put(out, format_args!(r#","usage":{{"prompt_tokens":{n},"total_tokens":{n}}}"#)),
    }
}

pub fn error(flavor: Flavor, status: u16, message: &str) -> Answer {
    let body = match flavor {
        Flavor::Llama => return llama::error(status, message),
        Flavor::Jina | Flavor::Voyage => json!({"detail": message}),
        Flavor::Mistral if matches!(status, 401 | 429) => json!({"message": message}),
        Flavor::Mistral => json!({
            "object": "error", "message": message, "type": "invalid_request_error", "param": null, "code": null,
        }),
        Flavor::Ollama => {
            let kind = match status {
                404 => "not_found_error",
                500.. => "api_error",
                _ => "invalid_request_error",
            };
            json!({"error": {"message": message, "type": kind, "param": null, "code": null}})
        }
        Flavor::Openai | Flavor::Mixedbread | Flavor::Together => {
            let (kind, code) = match status {
                401 => ("invalid_request_error", json!("invalid_api_key")),
                429 => ("requests", json!("rate_limit_exceeded")),
                500.. => ("server_error", Value::Null),
                _ => ("invalid_request_error", Value::Null),
            };
            json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
        }
    };
    Answer::json(status, &body)
}
