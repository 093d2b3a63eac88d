//! Ollama: `/api/embed`, and `/api/embeddings` of earlier days.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::ask::{Ask, size, texts_in};
use crate::rows::{Row, put, quoted, write_list, write_row};
use crate::scenario::Settings;

/// The legacy handler does not normalise; any length but 1 shows that.
const LEGACY_SCALE: f32 = 2.0;

pub fn read<'a>(body: &'a Value, settings: &Settings) -> Result<Ask<'a>, Answer> {
    if body.is_null() {
        return Err(refusal(400, "missing request body"));
    }
    if let Some(model) = missing_model(body) {
        return Err(refusal(404, &format!("model '{model}' not found")));
    }
    let texts = match &body["input"] {
        Value::Null => Vec::new(),
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::Array(items) if !items.iter().all(Value::is_string) => {
            return Err(refusal(400, "invalid input type"));
        }
        input => texts_in(input).ok_or_else(|| refusal(400, "invalid input type"))?,
    };
    let width = size(&body["dimensions"]).filter(|&n| n > 0).unwrap_or(settings.width);
    Ok(Ask::new(body, texts, width.min(settings.width)))
}

pub fn read_legacy<'a>(body: &'a Value, settings: &Settings) -> Result<Ask<'a>, Answer> {
    if body.is_null() {
        return Err(refusal(400, "missing request body"));
    }
    if let Some(model) = missing_model(body) {
        return Err(refusal(404, &format!("model \"{model}\" not found, try pulling it first")));
    }
    let prompt = body["prompt"].as_str().filter(|prompt| !prompt.is_empty());
    let mut ask = Ask::new(body, prompt.map(Into::into).into_iter().collect(), settings.width);
    ask.scale = LEGACY_SCALE;
    Ok(ask)
}

fn missing_model(body: &Value) -> Option<&str> {
    body["model"].as_str().filter(|model| model.starts_with("missing"))
}

fn refusal(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({"error": message}))
}

pub fn write(ask: &Ask, rows: &[Row], settings: &Settings) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, format_args!(r#"{{"model":{},"embeddings":"#, quoted(ask.model())));
    write_list(&mut out, rows, |out, row| write_row(out, row, false));
    if !settings.no_usage && !ask.texts.is_empty() {
        put(
            &mut out,
            format_args!(
                r#","total_duration":1200000,"load_duration":300000,"prompt_eval_count":{}"#,
                ask.tokens()
            ),
        );
    }
    out.push(b'}');
    out
}

pub fn write_legacy(rows: &[Row]) -> Vec<u8> {
    let mut out = br#"{"embedding":"#.to_vec();
    match rows.first() {
        Some(row) => write_row(&mut out, row, false),
        None => out.extend_from_slice(b"[]"),
    }
    out.push(b'}');
    out
}
