//! The fake provider (`tests/fake`), and what a file may ask it: the connection `provider` is not the engine's.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::value::Rows;

/// A running fake.
pub struct Provider {
    url: String,
    agent: ureq::Agent,
    child: Child,
}

impl Provider {
    /// Starts it. It ends with us.
    ///
    /// # Errors
    /// A program that does not start or does not say where it is.
    pub fn start(program: &Path) -> Result<Provider, String> {
        let spawned = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|e| format!("{}: {e}", program.display()))?;
        let mut url = String::new();
        let stdout = child.stdout.take().ok_or("no standard output")?;
        BufReader::new(stdout).read_line(&mut url).map_err(|e| e.to_string())?;
        let timeout = Some(Duration::from_secs(20));
        let agent = ureq::Agent::config_builder().proxy(None).timeout_global(timeout).build().into();
        Ok(Provider { url: url.trim_end().into(), agent, child })
    }

    /// A new scenario; its base URL.
    ///
    /// # Errors
    /// Settings that the fake refuses.
    pub fn scenario(&self, name: &str, settings: &Value) -> Result<String, String> {
        let put = self.agent.put(format!("{}/_/{name}", self.url)).send_json(settings);
        put.map_err(|e| format!("scenario {settings}: {e}"))?;
        Ok(format!("{}/s/{name}", self.url))
    }

    /// Answers `requests`, `texts`, `peak` and `connections` with a number, `each text` with the texts that came,
    /// and `last /body/model` with what the last request had there.
    ///
    /// # Errors
    /// Another question; a fake that does not answer.
    pub fn ask(&self, scenario: &str, question: &str) -> Result<Rows, String> {
        let report = self.agent.get(format!("{}/_/{scenario}", self.url)).call();
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

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
