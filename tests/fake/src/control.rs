//! The paths below `/_`, by which a test sets up a scenario and reads what happened.

use std::sync::Arc;

use hyper::Method;
use serde_json::json;

use crate::answer::Answer;
use crate::scenario::{Scenario, Settings};
use crate::server::Server;

/// Answers `GET /_`, and `PUT`, `GET` and `DELETE` of `/_/NAME`.
pub fn handle(server: &Server, method: &Method, path: &str, body: &[u8]) -> Answer {
    let name = path.strip_prefix("/_").unwrap_or(path).trim_matches('/');
    if name.contains('/') {
        return refusal(404, "a scenario has a name of one segment");
    }
    match (method, name) {
        (&Method::GET, "") => Answer::json(200, &server.report()),
        (_, "") => refusal(405, "only GET here"),
        (&Method::PUT, _) => put(server, name, body),
        (&Method::GET, _) => match server.scenarios.read().unwrap().get(name) {
            Some(scenario) => Answer::json(200, &scenario.report()),
            None => unknown(name),
        },
        (&Method::DELETE, _) => match server.scenarios.write().unwrap().remove(name) {
            Some(_) => Answer::json(200, &json!({})),
            None => unknown(name),
        },
        _ => refusal(405, "only PUT, GET and DELETE here"),
    }
}

fn put(server: &Server, name: &str, body: &[u8]) -> Answer {
    let settings = match body {
        [] => Ok(Settings::default()),
        body => serde_json::from_slice(body),
    };
    match settings {
        Ok(settings) => {
            let scenario = Arc::new(Scenario::new(settings));
            server.scenarios.write().unwrap().insert(name.to_owned(), scenario);
            Answer::json(200, &json!({"path": format!("/s/{name}")}))
        }
        Err(error) => refusal(400, &format!("settings of {name}: {error}")),
    }
}

/// The answer for a scenario that nobody has put.
pub fn unknown(name: &str) -> Answer {
    refusal(404, &format!("no scenario is named {name}"))
}

fn refusal(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({"error": {"message": message}}))
}
