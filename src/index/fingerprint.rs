//! What tells whose vectors can be compared: the model, and how texts come to it. Not the URL: a model is moved from one
//! server to another.

use std::fmt;

use serde_json::{Value, json};

use crate::base::error::{Error, Result};
use crate::base::vector::Encoding;
use crate::base::words::quoted;
use crate::embed::call::Call;

/// A model's fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    format: String,
    model: String,
    /// What was asked for; `None` is the model's own.
    dimensions: Option<usize>,
    document_prefix: String,
    query_prefix: String,
}

impl Fingerprint {
    /// Of the client of a call. A model inside the process is known by its files and not by their folder.
    ///
    /// # Errors
    /// A format that does not have the input types; vectors that are not f32.
    pub fn of(call: &Call) -> Result<Fingerprint> {
        let client = call.client();
        if client.encoding() != Encoding::Float32 {
            return Err(call.bad_input(
                "an index takes vectors of encoding 'float32', of which it makes bytes by itself: leave out the option encoding",
            ));
        }
        let prefix = |input_type| client.prefix(Some(input_type)).map_err(|why| call.bad_input(&why));
        let model = match call.model_hash() {
            Some(hash) => {
                let path = client.model();
                let name = path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or(path);
                let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
                format!("{name} {hash}")
            }
            None => client.model().to_owned(),
        };
        Ok(Fingerprint {
            format: client.format().to_owned(),
            model,
            dimensions: client.dimensions(),
            document_prefix: prefix("document")?.to_owned(),
            query_prefix: prefix("query")?.to_owned(),
        })
    }

    /// As the index keeps it.
    pub fn to_json(&self) -> String {
        json!({
            "format": self.format, "model": self.model, "dimensions": self.dimensions,
            "document_prefix": self.document_prefix, "query_prefix": self.query_prefix
        })
        .to_string()
    }

    /// What [`Fingerprint::to_json`] gave.
    ///
    /// # Errors
    /// Another text: the table is anybody's.
    pub fn from_json(json: &str) -> Result<Fingerprint> {
        let damaged = || Error::invalid("the index's table of options is damaged: what it says of its model");
        let value: Value = serde_json::from_str(json).map_err(|_| damaged())?;
        let text = |name: &str| value[name].as_str().map(str::to_owned).ok_or_else(damaged);
        Ok(Fingerprint {
            format: text("format")?,
            model: text("model")?,
            dimensions: value["dimensions"].as_u64().and_then(|n| usize::try_from(n).ok()),
            document_prefix: text("document_prefix")?,
            query_prefix: text("query_prefix")?,
        })
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        &self.model
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", quoted(&self.model), self.format)?;
        if let Some(dimensions) = self.dimensions {
            write!(f, ", {dimensions} dimensions")?;
        }
        for (name, prefix) in
            [("document_prefix", &self.document_prefix), ("query_prefix", &self.query_prefix)]
        {
            if !prefix.is_empty() {
                write!(f, ", {name} {}", quoted(prefix))?;
            }
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint() -> Fingerprint {
        Fingerprint {
            format: "ollama".into(),
            model: "m".into(),
            dimensions: Some(8),
            document_prefix: "passage: ".into(),
            query_prefix: String::new(),
        }
    }

    #[test]
    fn it_is_kept_as_json() {
        let plain = Fingerprint { dimensions: None, ..fingerprint() };
        for one in [fingerprint(), plain] {
            assert_eq!(Fingerprint::from_json(&one.to_json()).unwrap(), one);
        }
        for damaged in ["", "[]", "{}", r#"{"format": 1}"#] {
            assert!(Fingerprint::from_json(damaged).unwrap_err().to_string().contains("damaged"));
        }
    }

    #[test]
    fn it_says_what_differs() {
        assert_eq!(fingerprint().to_string(), "'m' (ollama, 8 dimensions, document_prefix 'passage:')");
    }
}
