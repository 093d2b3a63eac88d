//! The way of one request, from the path to the reply.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::api::Route;
use crate::ask::{Ask, any_texts};
use crate::control;
use crate::delivery::{Body, Dropped, deliver};
use crate::fault::{Fault, Reset};
use crate::rows::{Row, spoil};
use crate::scenario::Settings;
use crate::scenario::{Entry, Scenario};
use crate::server::Server;
use crate::socket::Connection;
use crate::vector::embed;

/// Answers a request, or drops its connection.
pub async fn handle(
    server: Arc<Server>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Dropped> {
    if connection.dying.load(Relaxed) {
        return Err(Dropped);
    }
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    let path = parts.uri.path();
    if path == "/_" || path.starts_with("/_/") {
        let answer = control::handle(&server, &parts.method, path, &bytes);
        return Ok(deliver(answer, &[], false, &connection));
    }
    if !connection.counted.swap(true, Relaxed) {
        server.connections.fetch_add(1, Relaxed);
    }
    server.requests.fetch_add(1, Relaxed);
    match find_scenario(&server, path) {
        Ok((scenario, below)) => within(&server, &scenario, below, &parts, bytes, &connection).await,
        Err(answer) => Ok(deliver(answer, &[], false, &connection)),
    }
}

/// The scenario of a path, and the path within it.
fn find_scenario<'a>(server: &Server, path: &'a str) -> Result<(Arc<Scenario>, &'a str), Answer> {
    let Some(rest) = path.strip_prefix("/s/") else {
        return Ok((server.root.clone(), path));
    };
    let (name, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match server.scenarios.read().unwrap().get(name) {
        Some(scenario) => Ok((scenario.clone(), below)),
        None => Err(control::unknown(name)),
    }
}

async fn within(
    server: &Server,
    scenario: &Scenario,
    path: &str,
    parts: &Parts,
    bytes: Bytes,
    connection: &Arc<Connection>,
) -> Result<Response<Body>, Dropped> {
    let arrived = Instant::now();
    let mut begun = arrived;
    let settings = &scenario.settings;
    let body: Option<Value> = serde_json::from_slice(&bytes).ok();
    let value = body.as_ref().unwrap_or(&Value::Null);
    let texts = any_texts(value);
    server.texts.fetch_add(texts.len() as u64, Relaxed);
    let (number, _in_flight) = scenario.enter(connection.id, texts.len());
    let entry = settings.log.then(|| log_entry(parts, path, &bytes, &texts, connection, arrived));
    if let Some(entry) = &entry {
        scenario.record(entry.clone());
    }
    let limited = scenario.over_limit().map(Fault::too_many);
    let struck = settings.faults.iter().filter(|fault| fault.strikes(number, &texts));
    let faults: Vec<&Fault> = limited.iter().chain(struck).collect();
    let mut slot = None;
    if let Some(slots) = &scenario.slots {
        slot = slots.acquire().await.ok();
        begun = Instant::now();
    }
    let is_json = body.is_some() || bytes.is_empty();
    let route = Route::find(path, value, settings);
    let answer = answer(&route, parts, &bytes, value, is_json, scenario, &faults);
    // Counted from the beginning: what the answer costs to compute is part of a server's latency.
    let delay = faults.iter().filter_map(|fault| fault.delay_ms).sum::<u64>() + settings.latency_ms;
    if delay > 0 {
        tokio::time::sleep_until((begun + Duration::from_millis(delay)).into()).await;
    }
    drop(slot);
    if faults.iter().any(|fault| fault.hang) {
        std::future::pending::<()>().await;
    }
    if faults.iter().any(|fault| fault.reset == Some(Reset::Before)) {
        connection.reset_at_end();
        return Err(Dropped);
    }
    if let Some(entry) = &entry {
        entry.status.store(answer.status, Relaxed);
    }
    Ok(deliver(answer, &faults, settings.gzip, connection))
}

fn log_entry(
    parts: &Parts,
    path: &str,
    bytes: &Bytes,
    texts: &[Cow<str>],
    connection: &Connection,
    at: Instant,
) -> Arc<Entry> {
    let query = parts.uri.query().map_or(String::new(), |query| format!("?{query}"));
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Arc::new(Entry {
        method: parts.method.to_string(),
        path: format!("{path}{query}"),
        headers: parts.headers.iter().map(header).collect(),
        body: bytes.clone(),
        texts: texts.iter().map(|text| text.clone().into_owned()).collect(),
        connection: connection.id,
        at,
        status: AtomicU16::new(0),
    })
}

fn answer(
    route: &Route,
    parts: &Parts,
    sent: &[u8],
    body: &Value,
    is_json: bool,
    scenario: &Scenario,
    faults: &[&Fault],
) -> Answer {
    let settings = &scenario.settings;
    if let Some(answer) = faults.iter().find_map(|fault| overall(route, fault, scenario)) {
        return answer;
    }
    let api = match route {
        Route::Embed(api) => *api,
        Route::Health => return Answer::json(200, &json!({"status": "ok"})),
        Route::Models => {
            let model = json!({"id": "fake", "object": "model", "owned_by": "rembed-fake"});
            return Answer::json(200, &json!({"object": "list", "data": [model]}));
        }
        Route::User => return Answer::json(200, &json!({"sub": "fake", "organizations": []})),
        Route::Token => return token(sent, settings),
        Route::Unknown => {
            return Answer::json(
                404,
                &json!({"error": {"message": "File Not Found", "type": "not_found_error", "code": 404}}),
            );
        }
    };
    if parts.method != Method::POST {
        return api.error(405, "Method Not Allowed", settings);
    }
    if let Some(key) = &settings.key
        && !carries(&parts.headers, key)
    {
        return api.failure(401, settings);
    }
    if !is_json {
        return api.error(400, "We could not parse the JSON body of your request.", settings);
    }
    let ask = match api.read(body, settings) {
        Ok(ask) => ask,
        Err(refusal) => return refusal,
    };
    let mut rows = rows(&ask);
    spoil(&mut rows, faults, &ask.texts);
    let mut out = api.write(&ask, &rows, settings);
    if faults.iter().any(|fault| fault.bad_json) {
        out.truncate(out.len() / 2);
    }
    Answer::ok(out)
}

/// IBM's IAM: the key of the scenario's embeddings, for its API key.
fn token(sent: &[u8], settings: &Settings) -> Answer {
    let form = String::from_utf8_lossy(sent);
    let field = |name: &str| form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let is_apikey = field("grant_type") == Some("urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey");
    match (&settings.api_key, &settings.key) {
        (Some(api_key), Some(key)) if is_apikey && field("apikey") == Some(api_key) => {
            let life = settings.token_life;
            let token = json!({"access_token": key, "token_type": "Bearer", "expires_in": life, "scope": "ibm openid"});
            Answer::json(200, &token)
        }
        _ => {
            let message = "Provided API key could not be found.";
            Answer::json(400, &json!({"errorCode": "BXNIM0415E", "errorMessage": message, "requestId": "1"}))
        }
    }
}

/// The answer of a fault that leaves nothing of the provider's own.
fn overall(route: &Route, fault: &Fault, scenario: &Scenario) -> Option<Answer> {
    if fault.redirect.is_some() {
        return Some(Answer::plain(307, ""));
    }
    if fault.html {
        return Some(Answer::html("<!DOCTYPE html>\n<html><body><h1>It works!</h1></body></html>\n"));
    }
    if fault.repeat.is_some() {
        // The body is that of the delivery.
        return Some(Answer::ok(Vec::new()).with_status(fault.status.unwrap_or(200)));
    }
    let status = fault.status?;
    Some(match (&fault.body, route) {
        (Some(Value::String(text)), _) => Answer::plain(status, text),
        (Some(body), _) => Answer::json(status, body),
        (None, Route::Embed(api)) => api.failure(status, &scenario.settings),
        (None, _) => Answer::plain(status, ""),
    })
}

fn carries(headers: &HeaderMap, key: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| value.split_once(' '));
    bearer.is_some_and(|(scheme, given)| scheme.eq_ignore_ascii_case("bearer") && given == key)
        || ["api-key", "x-goog-api-key", "x-portkey-api-key"].iter().any(|name| text(name) == Some(key))
}

fn rows(ask: &Ask) -> Vec<Row> {
    let row = |(index, text): (usize, &Cow<str>)| {
        let mut values = embed(text, ask.kind, ask.width);
        if ask.scale != 1.0 {
            values.iter_mut().for_each(|value| *value *= ask.scale);
        }
        Row { index, values: Some(values) }
    };
    ask.texts.iter().enumerate().map(row).collect()
}
