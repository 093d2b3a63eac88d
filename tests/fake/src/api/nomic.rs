//! Nomic Atlas: `/v1/embedding/text`.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::ask::{Ask, canonical, size, texts_in};
use crate::rows::{Row, put, quoted, write_list, write_row};
use crate::scenario::Settings;

const TASKS: [&str; 4] = ["search_query", "search_document", "classification", "clustering"];

pub fn read<'a>(body: &'a Value, settings: &Settings) -> Result<Ask<'a>, Answer> {
    let refuse = |status, message: &str| Err(Answer::json(status, &json!({"detail": message})));
    let Some(texts) = body["texts"].as_array().and_then(|_| texts_in(&body["texts"])) else {
        return refuse(422, "texts: field required");
    };
    let task = match &body["task_type"] {
        Value::Null => "search_document",
        Value::String(task) if TASKS.contains(&task.as_str()) => task,
        other => return refuse(400, &format!("{other} is not a task type")),
    };
    let wish = &body["dimensionality"];
    let width = if wish.is_null() { Some(settings.width) } else { size(wish) };
    let Some(width) = width.filter(|n| (1..=settings.width).contains(n)) else {
        return refuse(400, &format!("dimensionality must be between 1 and {}", settings.width));
    };
    let mut ask = Ask::new(body, texts, width);
    ask.kind = Some(canonical(task));
    Ok(ask)
}

pub fn write(ask: &Ask, rows: &[Row], settings: &Settings) -> Vec<u8> {
    let mut out = br#"{"embeddings":"#.to_vec();
    write_list(&mut out, rows, |out, row| write_row(out, row, false));
    if !settings.no_usage {
        let n = ask.tokens();
        put(&mut out, format_args!(r#","usage":{{"prompt_tokens":{n},"total_tokens":{n}}}"#));
    }
    put(&mut out, format_args!(r#","model":{}}}"#, quoted(ask.model())));
    out
}
