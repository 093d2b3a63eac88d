//! The options of `rembed_sync`.

use serde_json::{Map, Value};

use crate::base::error::{Error, Result};
use crate::base::words::{did_you_mean, quoted};

const OPTIONS: [&str; 2] = ["limit", "reembed"];

/// What a sync is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// The most rows that it takes up.
    pub limit: Option<u64>,
    /// Whether every chunk is embedded anew, by the client's model of now.
    pub reembed: bool,
}

impl Asked {
    /// Reads the options, a JSON object.
    ///
    /// # Errors
    /// JSON that is none; an option that does not exist, a value that it does not take.
    pub fn parse(json: &str) -> Result<Asked> {
        let options: Map<String, Value> = serde_json::from_str(json).map_err(|e| {
            Error::invalid(format!(
                "the options of rembed_sync are a JSON object, as {{\"limit\": 10000, \"reembed\": true}} ({e})"
            ))
        })?;
        let mut asked = Asked::default();
        for (option, value) in options {
            let wrong = |what: &str| {
                Error::invalid(format!(
                    "rembed_sync: {option} is {}: it must be {what}",
                    quoted(&value.to_string())
                ))
            };
            match (&*option, &value) {
                (_, Value::Null) if OPTIONS.contains(&&*option) => {}
                ("limit", value) => {
                    let limit = value.as_u64().filter(|n| *n > 0);
                    asked.limit = Some(limit.ok_or_else(|| wrong("a whole number of rows, 1 or more"))?);
                }
                ("reembed", Value::Bool(reembed)) => asked.reembed = *reembed,
                ("reembed", _) => return Err(wrong("true or false")),
                _ => {
                    return Err(Error::invalid(format!(
                        "rembed_sync has no option {}.{} It has: {}",
                        quoted(&option),
                        did_you_mean(&option, OPTIONS),
                        OPTIONS.join(", ")
                    )));
                }
            }
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        assert_eq!(Asked::parse("{}").unwrap(), Asked::default());
        let asked = Asked::parse(r#"{"limit": 10, "reembed": true}"#).unwrap();
        assert_eq!(asked, Asked { limit: Some(10), reembed: true });
        assert_eq!(Asked::parse(r#"{"limit": null, "reembed": false}"#).unwrap(), Asked::default());
    }

    #[test]
    fn each_error_says_what_to_do() {
        for (json, part) in [
            ("[]", "are a JSON object, as {\"limit\""),
            ("", "are a JSON object"),
            (r#"{"limt": 1}"#, "no option 'limt'. Did you mean 'limit'? It has: limit, reembed"),
            (r#"{"limit": 0}"#, "limit is '0': it must be a whole number of rows, 1 or more"),
            (r#"{"limit": -1}"#, "1 or more"),
            (r#"{"limit": "5"}"#, "1 or more"),
            (r#"{"reembed": 1}"#, "reembed is '1': it must be true or false"),
        ] {
            let e = Asked::parse(json).unwrap_err().to_string();
            assert!(e.contains(part), "{json}: {e}");
        }
    }
}
