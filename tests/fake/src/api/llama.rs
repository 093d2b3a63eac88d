//! `/embedding` of llama-server, its five historic shapes, and llamafile's server.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::openai;
use crate::answer::Answer;
use crate::ask::{Ask, texts_in, tokens};
use crate::rows::{Row, put, write_list, write_row};
use crate::scenario::{Flavor, Settings, Shape};

pub const NO_TEXT: &str = "JSON missing content/prompt/input key";

/// Llama-server takes a body with `content` for its own format, whatever the path.
pub fn is_native(body: &Value) -> bool {
    body["input"].is_null() && !body["content"].is_null()
}

pub fn read<'a>(body: &'a Value, settings: &Settings) -> Result<Ask<'a>, Answer> {
    let texts = if settings.shape == Shape::Llamafiler {
        vec![only_text(body)?]
    } else {
        let input = if body["input"].is_null() { &body["content"] } else { &body["input"] };
        check_input(input)?;
        texts_in(input).unwrap_or_default()
    };
    Ok(Ask::new(body, texts, settings.width))
}

fn only_text(body: &Value) -> Result<Cow<'_, str>, Answer> {
    match ["content", "prompt", "input"].iter().find_map(|&name| body[name].as_str()) {
        None => Err(Answer::plain(400, NO_TEXT)),
        Some("") => Err(Answer::plain(400, "completely empty prompt disallowed")),
        Some(text) => Ok(text.into()),
    }
}

/// Refuses with the words, and the odd statuses, of the real server.
pub fn check_input(input: &Value) -> Result<(), Answer> {
    let refuse = |status, message| Err(error(status, message));
    match texts_in(input) {
        None if input.is_null() => refuse(400, r#""input" or "content" must be provided"#),
        None => refuse(
            500,
            "\"prompt\" elements must be a string, a list of tokens, a JSON object containing a prompt string, \
             or a list of mixed strings & tokens.",
        ),
        Some(texts) if texts.is_empty() => refuse(500, r#""prompt" must not be empty"#),
        Some(_) => Ok(()),
    }
}

pub fn too_large(got: usize, limit: usize) -> Answer {
    let message = format!(
        "input ({got} tokens) is too large to process. increase the physical batch size (current batch size: {limit})"
    );
    error(500, &message)
}

pub fn error(status: u16, message: &str) -> Answer {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        501 => "not_supported_error",
        503 => "unavailable_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    Answer::json(status, &json!({"error": {"code": status, "message": message, "type": kind}}))
}

pub fn write(ask: &Ask, rows: &[Row], settings: &Settings) -> Vec<u8> {
    let mut out = Vec::new();
    let list = |out: &mut Vec<u8>, each: fn(&mut Vec<u8>, &Row)| write_list(out, rows, each);
    match settings.shape {
        Shape::Openai => return openai::write(Flavor::Llama, ask, rows, settings),
        Shape::Llamafiler => {
            let n = ask.tokens();
            let used = settings.max_tokens_per_text.unwrap_or(n).min(n);
            put(
                &mut out,
                format_args!(
                    r#"{{"add_special":true,"parse_special":false,"tokens_provided":{n},"tokens_used":{used},"#
                ),
            );
            if let Some(row) = rows.first() {
                write_field(&mut out, row, false);
            }
            out.push(b'}');
        }
        Shape::Flat => single_or_results(&mut out, rows, false),
        Shape::Nested => single_or_results(&mut out, rows, true),
        Shape::ListFlat => list(&mut out, |out, row| write_object(out, row, false)),
        Shape::ListNested => list(&mut out, |out, row| write_object(out, row, true)),
        Shape::Native => list(&mut out, |out, row| {
            put(out, format_args!(r#"{{"index":{},"#, row.index));
            write_field(out, row, true);
            out.push(b'}');
        }),
        Shape::PerToken => write_list(&mut out, rows, |out, row| {
            let count = ask.texts.get(row.index).map_or(1, |text| tokens(text));
            put(out, format_args!(r#"{{"index":{},"embedding":"#, row.index));
            write_list(out, &vec![row; count], |out, row| write_row(out, row, false));
            out.push(b'}');
        }),
    }
    out
}

/// Servers of those days wrapped the replies to a list of texts.
fn single_or_results(out: &mut Vec<u8>, rows: &[Row], nested: bool) {
    if let [row] = rows {
        return write_object(out, row, nested);
    }
    out.extend_from_slice(br#"{"results":"#);
    write_list(out, rows, |out, row| write_object(out, row, nested));
    out.push(b'}');
}

fn write_object(out: &mut Vec<u8>, row: &Row, nested: bool) {
    out.push(b'{');
    write_field(out, row, nested);
    out.push(b'}');
}

fn write_field(out: &mut Vec<u8>, row: &Row, nested: bool) {
    out.extend_from_slice(br#""embedding":"#);
    if nested {
        out.push(b'[');
    }
    write_row(out, row, false);
    if nested {
        out.push(b']');
    }
}
