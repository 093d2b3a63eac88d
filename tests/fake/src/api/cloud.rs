//! The clouds' own envelopes: Gemini, Vertex AI, Hugging Face, Cloudflare, Bedrock, watsonx, Snowflake; and KServe's.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::ask::{Ask, WIDEST, canonical, size, texts_in};
use crate::rows::{Row, put, write_list, write_row};
use crate::scenario::Settings;

/// Whose envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    Gemini,
    Vertex,
    HuggingFace,
    Cloudflare,
    Titan,
    Nova,
    Watsonx,
    Snowflake,
    KServe,
}

impl Cloud {
    /// The cloud whose endpoint is at a path of these segments.
    pub fn find(segments: &[&str]) -> Option<Self> {
        match segments {
            [.., "models", last] if last.ends_with(":batchEmbedContents") => Some(Self::Gemini),
            [.., "models", last] if last.ends_with(":predict") => Some(Self::Vertex),
            [.., "feature-extraction"] | ["embed"] | ["endpoints", _, "invocations"] => {
                Some(Self::HuggingFace)
            }
            ["client", "v4", "accounts", _, "ai", "run", ..] => Some(Self::Cloudflare),
            ["model", id, "invoke"] if id.contains("nova") => Some(Self::Nova),
            ["model", _, "invoke"] => Some(Self::Titan),
            ["ml", "v1", "text", "embeddings"] => Some(Self::Watsonx),
            [.., "inference:embed"] => Some(Self::Snowflake),
            ["v2", "models", .., "infer"] => Some(Self::KServe),
            _ => None,
        }
    }

    /// Understands a request, or refuses it as the provider would.
    pub fn read<'a>(self, body: &'a Value, settings: &Settings) -> Result<Ask<'a>, Answer> {
        let refuse = |message: &str| Err(self.error(400, message));
        let Some(texts) = texts(body).filter(|texts| !texts.is_empty()) else {
            return refuse("the texts are missing");
        };
        let most = match self {
            Self::Gemini | Self::Cloudflare => 100,
            Self::HuggingFace | Self::KServe => 32,
            Self::Titan | Self::Nova => 1,
            _ => 1000,
        };
        if texts.len() > most {
            return refuse(&format!("at most {most} texts can be in one batch"));
        }
        let (wish, kind) = match self {
            Self::Gemini => {
                let items = body["requests"].as_array().map_or(&[][..], Vec::as_slice);
                if items.iter().any(|item| !item["model"].as_str().is_some_and(|m| m.starts_with("models/")))
                {
                    return refuse("the model of a request is missing");
                }
                (&body["requests"][0]["outputDimensionality"], &body["requests"][0]["taskType"])
            }
            Self::Vertex => (&body["parameters"]["outputDimensionality"], &body["instances"][0]["task_type"]),
            Self::Nova => {
                let asked = &body["singleEmbeddingParams"];
                if body["taskType"] != "SINGLE_EMBEDDING" || asked["text"]["truncationMode"].is_null() {
                    return refuse("required fields are missing");
                }
                (&asked["embeddingDimension"], &asked["embeddingPurpose"])
            }
            Self::KServe => {
                let input = &body["inputs"][0];
                let shape = input["shape"].as_array().map_or(&[][..], Vec::as_slice);
                let size = shape.iter().map(Value::as_u64).product::<Option<u64>>();
                if input["datatype"] != "BYTES" || size != Some(texts.len() as u64) {
                    return refuse("unexpected shape or datatype of an input");
                }
                (&Value::Null, &Value::Null)
            }
            _ => (&body["dimensions"], &body["prompt_name"]),
        };
        let width = if wish.is_null() { Some(settings.width) } else { size(wish) };
        let Some(width) = width.filter(|n| (1..=WIDEST).contains(n)) else {
            return refuse("the dimension is out of range");
        };
        let mut ask = Ask::new(body, texts, width);
        ask.kind = kind.as_str().map(canonical);
        Ok(ask)
    }

    /// Writes a good reply.
    pub fn write(self, ask: &Ask, rows: &[Row]) -> Vec<u8> {
        let (before, open, close, after) = match self {
            Self::Gemini => (r#"{"embeddings":"#, r#"{"values":"#, "}", "}"),
            Self::Vertex => (
                r#"{"predictions":"#,
                r#"{"embeddings":{"statistics":{"truncated":false},"values":"#,
                "}}",
                "}",
            ),
            Self::HuggingFace => ("", "", "", ""),
            Self::Cloudflare => {
                (r#"{"result":{"data":"#, "", "", r#"},"success":true,"errors":[],"messages":[]}"#)
            }
            Self::Nova => (r#"{"embeddings":"#, r#"{"embeddingType":"TEXT","embedding":"#, "}", "}"),
            Self::Watsonx => (r#"{"results":"#, r#"{"embedding":"#, "}", r#","input_token_count":3}"#),
            Self::Snowflake => (r#"{"data":"#, r#"{"embedding":["#, "]}", r#","usage":{"total_tokens":3}}"#),
            Self::KServe => {
                let width = rows.iter().find_map(|row| row.values.as_ref()).map_or(0, Vec::len);
                let shape = json!([rows.len(), width]);
                let mut out =
                    br#"{"model_name":"m","outputs":[{"name":"embedding","datatype":"FP32","data":"#.to_vec();
                // One list of all numbers: without the brackets between the rows.
                let mut lists = Vec::new();
                write_list(&mut lists, rows, |out, row| write_row(out, row, false));
                let text = String::from_utf8_lossy(&lists).replace("],[", ",");
                out.extend_from_slice(text.get(1..text.len() - 1).unwrap_or_default().as_bytes());
                put(&mut out, format_args!(r#","shape":{shape}}}]}}"#));
                return out;
            }
            Self::Titan => {
                let mut out = br#"{"embedding":"#.to_vec();
                if let Some(row) = rows.first() {
                    write_row(&mut out, row, false);
                }
                put(&mut out, format_args!(r#","inputTextTokenCount":{}}}"#, ask.tokens()));
                return out;
            }
        };
        let mut out = before.as_bytes().to_vec();
        write_list(&mut out, rows, |out, row| {
            out.extend_from_slice(open.as_bytes());
            write_row(out, row, false);
            out.extend_from_slice(close.as_bytes());
        });
        out.extend_from_slice(after.as_bytes());
        out
    }

    /// Words an error.
    pub fn error(self, status: u16, message: &str) -> Answer {
        let body = match self {
            Self::Gemini | Self::Vertex => {
                json!({"error": {"code": status, "message": message, "status": "INVALID_ARGUMENT"}})
            }
            Self::HuggingFace => json!({"error": message, "error_type": "validation"}),
            Self::KServe => json!({"error": message}),
            Self::Cloudflare => {
                json!({"success": false, "errors": [{"code": 7009, "message": message}], "result": null})
            }
            Self::Watsonx => json!({"errors": [{"code": "invalid_request", "message": message}]}),
            Self::Titan | Self::Nova | Self::Snowflake => json!({"message": message}),
        };
        Answer::json(status, &body)
    }
}

/// The texts of a request, wherever a cloud has them.
pub fn texts(body: &Value) -> Option<Vec<Cow<'_, str>>> {
    let of = |list: &'static str, text: &'static str| {
        let items = body[list].as_array()?;
        items.iter().map(|item| item.pointer(text)?.as_str().map(Cow::from)).collect::<Option<Vec<_>>>()
    };
    let single = || body.pointer("/singleEmbeddingParams/text/value").and_then(texts_in);
    ["inputs", "text", "inputText"]
        .iter()
        .find_map(|field| texts_in(&body[field]))
        .or_else(|| of("requests", "/content/parts/0/text"))
        .or_else(|| of("instances", "/content"))
        .or_else(single)
        .or_else(|| body.pointer("/inputs/0/data").and_then(texts_in))
}
