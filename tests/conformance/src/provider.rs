//! The fake provider (`tests/fake`), and what a file may ask it: the connection `provider` is not the engine's.

use std::path::Path;
use std::time::Duration;

use driver::fake::Fake;
use serde_json::{Value, json};

use crate::value::Rows;

/// A running fake.
pub struct Provider {
    fake: Fake,
    agent: ureq::Agent,
}

impl Provider {
    /// Starts it. It ends with us.
    ///
    /// # Errors
    /// A program that does not start or does not say where it is.
    pub fn start(program: &Path) -> Result<Provider, String> {
        let fake = Fake::of(program).map_err(|e| format!("{}: {e}", program.display()))?;
        let timeout = Some(Duration::from_secs(20));
        let agent = ureq::Agent::config_builder().proxy(None).timeout_global(timeout).build().into();
        Ok(Provider { fake, agent })
    }

    /// A new scenario; its base URL.
    ///
    /// # Errors
    /// Settings that the fake refuses.
    pub fn scenario(&self, name: &str, settings: &Value) -> Result<String, String> {
        let put = self.agent.put(format!("{}/_/{name}", self.fake.url)).send_json(settings);
        put.map_err(|e| format!("scenario {settings}: {e}"))?;
        Ok(format!("{}/s/{name}", self.fake.url))
    }

    /// Answers `requests`, `texts`, `peak` and `connections` with a number, `each text` with the texts that came,
    /// and `last /body/model` with what the last request had there.
    ///
    /// # Errors
    /// Another question; a fake that does not answer.
    pub fn ask(&self, scenario: &str, question: &str) -> Result<Rows, String> {
        let report = self.agent.get(format!("{}/_/{scenario}", self.fake.url)).call();
        let report: Value =
            report.and_then(|mut reply| reply.body_mut().read_json()).map_err(|e| e.to_string())?;
        let log = report["log"].as_array().ok_or("the report has no log")?;
        let rows: Vec<Value> = match question.split_once(' ') {
            None if report[question].is_u64() => vec![report[question].clone()],
            Some(("each", "text")) => {
                log.iter().filter_map(|entry| entry["texts"].as_array()).flatten().cloned().collect()
            }
            Some(("last", pointer)) => {
                let entry = log.last().ok_or("no request came")?;
                vec![entry.pointer(pointer).cloned().unwrap_or(Value::Null)]
            }
            _ => return Err(format!("the provider cannot tell '{question}'")),
        };
        Rows::read(&rows.into_iter().map(|value| json!([sql_value(value)])).collect())
    }
}

/// JSON as a driver would send what json_extract() gives.
fn sql_value(value: Value) -> Value {
    match value {
        Value::Null | Value::String(_) => value,
        Value::Bool(b) => u8::from(b).into(),
        Value::Number(ref n) if n.is_f64() => json!({"real": n}),
        Value::Number(_) => value,
        Value::Array(_) | Value::Object(_) => value.to_string().into(),
    }
}
