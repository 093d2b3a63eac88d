//! The Open Inference Protocol, version 2, as KServe, Triton, MLServer and OpenVINO speak it: `/v2/models/NAME/infer`.
//! A request holds one tensor of texts, a reply one tensor of numbers.
//!
//! Source: kserve 0.21.0 (`protocol/rest/v2_datamodels.py`), tritonclient 2.73.0 (`http/_infer_input.py`). The name and
//! shape of a model's input are its own: the option `body` has them as the server's metadata does, with -1 for the number
//! of texts: `{"inputs": [{"name": "TEXT", "shape": [-1, 1]}]}`.

use serde_json::{Map, Value, json};

use super::json::GoOn;
use super::reply::{self, Reply};
use super::{Ask, BASE, Failure, Input, Model, Paths, Provider, Spec};
use crate::base::vector::Encoding;

static SPEC: Spec = Spec {
    name: "kserve",
    url: "http://localhost:8080/v2/models/{id}/infer",
    paths: Paths {
        bare: "/v2/models/{id}/infer",
        complete: &["/infer"],
        prefix: &[("/v2", "/models/{id}/infer"), ("/v2/models", "/{id}/infer")],
        other: Some("/infer"),
    },
    model: Model::IN_URL,
    batch_size: 32,
    input: Input::List("inputs/0/data"),
    source: "kserve 0.21.0, tritonclient 2.73.0",
    ..BASE
};

pub(super) struct KServe;

impl Provider for KServe {
    fn spec(&self) -> &Spec {
        &SPEC
    }

    fn at(&'static self, _: &str) -> &'static dyn Provider {
        self
    }

    fn accepts(&self, ask: &Ask<'_>) -> Result<(), String> {
        tensor(ask.body)?;
        let rest = ask.body.iter().filter(|(name, _)| *name != "inputs");
        let rest: Map<String, Value> = rest.map(|(name, value)| (name.clone(), value.clone())).collect();
        super::accepts(&SPEC, &Ask { body: &rest, ..*ask })
    }

    fn request(&self, ask: &Ask<'_>, texts: &[&str]) -> Result<Vec<u8>, String> {
        self.input_type(ask.input_type)?;
        let mut input = tensor(ask.body)?;
        if let Some(Value::Array(shape)) = input.get_mut("shape") {
            shape.iter_mut().filter(|n| **n == -1).for_each(|n| *n = texts.len().into());
        }
        input.insert("data".into(), texts.into());
        let mut body = ask.body.clone();
        body.insert("inputs".into(), json!([input]));
        body.retain(|_, value| !value.is_null());
        serde_json::to_vec(&body).map_err(|e| e.to_string())
    }

    fn reply_as(&self, _: Encoding, body: &[u8], go_on: GoOn<'_>) -> Result<Reply, Failure> {
        reply::read_tensor(body, go_on)
    }
}

/// The tensor of texts, without its data: ours, with what the user says of it.
fn tensor(body: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let ours = json!({"name": "text", "shape": [-1], "datatype": "BYTES"});
    let Value::Object(mut tensor) = ours else { return Ok(Map::new()) };
    match body.get("inputs") {
        None => {}
        Some(Value::Array(inputs)) => match inputs.as_slice() {
            [Value::Object(theirs)] if !theirs.contains_key("data") => {
                tensor.extend(theirs.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            _ => return Err(WANTED.into()),
        },
        Some(_) => return Err(WANTED.into()),
    }
    let is_batch = |shape: &Value| shape.as_array().is_some_and(|shape| shape.contains(&json!(-1)));
    match tensor.get("shape").is_some_and(is_batch) {
        true => Ok(tensor),
        false => Err(WANTED.into()),
    }
}

const WANTED: &str = "'inputs' of the option 'body' is a list of one object without 'data', whose 'shape' has -1 for the \
                      number of texts, as in {\"inputs\": [{\"name\": \"TEXT\", \"shape\": [-1, 1]}]}";

#[cfg(test)]
mod tests {
    use super::super::testing::{completed, plain, request};
    use super::*;

    #[test]
    fn the_texts_are_a_tensor() {
        assert_eq!(
            request(&KServe, plain(), &["a", "b"]),
            json!({"inputs": [{"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}]})
        );
        let body = json!({"inputs": [{"name": "TEXT", "shape": [-1, 1]}], "outputs": [{"name": "OUT"}]});
        let ask = Ask { body: body.as_object().unwrap(), ..plain() };
        assert!(KServe.accepts(&ask).is_ok());
        assert_eq!(
            request(&KServe, ask, &["a", "b"]),
            json!({"inputs": [{"name": "TEXT", "shape": [2, 1], "datatype": "BYTES", "data": ["a", "b"]}],
                   "outputs": [{"name": "OUT"}]})
        );
    }

    #[test]
    fn what_cannot_be_a_tensor_of_texts_is_refused() {
        for inputs in [
            json!({}),
            json!([]),
            json!([1]),
            json!([{}, {}]),
            json!([{"data": ["mine"]}]),
            json!([{"shape": [2]}]),
            json!([{"shape": "-1"}]),
        ] {
            let body = json!({"inputs": inputs});
            let ask = Ask { body: body.as_object().unwrap(), ..plain() };
            assert!(KServe.accepts(&ask).unwrap_err().contains("[-1, 1]"), "{body}");
        }
        let ask = Ask { truncate: Some(true), ..plain() };
        assert!(KServe.accepts(&ask).unwrap_err().contains("'truncate'"));
    }

    #[test]
    fn base_urls_are_completed() {
        for (given, made) in [
            ("http://h:8000", "http://h:8000/v2/models/m/infer"),
            ("http://h/v2", "http://h/v2/models/m/infer"),
            ("http://h/v2/models", "http://h/v2/models/m/infer"),
            ("http://h/v2/models/x", "http://h/v2/models/x/infer"),
            ("http://h/v2/models/x/versions/1", "http://h/v2/models/x/versions/1/infer"),
            ("http://h/ns/v2/models/x/infer", "http://h/ns/v2/models/x/infer"),
        ] {
            assert_eq!(completed("kserve", given), made, "{given}");
        }
    }
}
