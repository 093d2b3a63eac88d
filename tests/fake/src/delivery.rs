//! How an answer is sent, and the faults of that.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
};
use serde_json::Value;

use crate::answer::Answer;
use crate::fault::{Close, Fault, Reset, compressed};
use crate::socket::Connection;

/// A whole body, or one that comes in pieces and may fail.
pub type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, Dropped>>;

/// The connection ends here, without a reply or in the middle of it.
#[derive(Debug)]
pub struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the connection was dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

const DRIP: usize = 7;
const HUGE: usize = 256 * 1024;
/// Long enough for what was sent to have left before the connection goes.
const PAUSE: Duration = Duration::from_millis(20);

/// Makes the response, as good or bad as the faults want it.
pub fn deliver(
    answer: Answer,
    faults: &[&Fault],
    gzip: bool,
    connection: &Arc<Connection>,
) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = answer.status.try_into().unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    let repeat = faults.iter().find_map(|fault| fault.repeat.as_ref());
    let mut bytes = repeat.map_or_else(|| answer.body.into(), |repeat| repeat.body(gzip));
    if gzip {
        if repeat.is_none() {
            bytes = compressed(&bytes);
        }
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    for fault in faults {
        for (name, value) in &fault.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), header_value(value)) {
                headers.insert(name, value);
            }
        }
        if let Some(place) = fault.redirect.as_deref().and_then(|place| HeaderValue::try_from(place).ok()) {
            headers.insert(LOCATION, place);
        }
        if fault.huge_header {
            let value = HeaderValue::try_from("a".repeat(HUGE)).expect("letters");
            headers.insert("x-huge", value);
        }
        match fault.close {
            Some(Close::Announced) => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Some(Close::Silent) => close_soon(connection.clone()),
            None => {}
        }
    }
    let truncate = faults.iter().find_map(|fault| fault.truncate);
    let drip = faults.iter().find_map(|fault| fault.drip_ms);
    let body = if faults.iter().any(|fault| fault.endless) {
        boxed(endless())
    } else if faults.iter().any(|fault| fault.reset == Some(Reset::Mid)) {
        headers.insert(CONTENT_LENGTH, bytes.len().into());
        boxed(reset_midway(bytes, connection.clone()))
    } else if let Some(sent) = truncate {
        headers.insert(CONTENT_LENGTH, bytes.len().max(sent + 1).into());
        boxed(cut(bytes.slice(..sent.min(bytes.len()))))
    } else if let Some(pause) = drip {
        headers.insert(CONTENT_LENGTH, bytes.len().into());
        boxed(drops(bytes, Duration::from_millis(pause)))
    } else {
        Either::Left(Full::new(bytes))
    };
    *response.body_mut() = body;
    response
}

fn header_value(value: &Value) -> Result<HeaderValue, hyper::header::InvalidHeaderValue> {
    match value {
        Value::String(text) => HeaderValue::try_from(text),
        other => HeaderValue::try_from(other.to_string()),
    }
}

/// The request that comes before the end finds the door closed too, so that the race between the two
/// always has the same winner.
fn close_soon(connection: Arc<Connection>) {
    connection.dying.store(true, Relaxed);
    tokio::spawn(async move {
        tokio::time::sleep(PAUSE).await;
        connection.close.notify_one();
    });
}

fn boxed(pieces: impl Stream<Item = Result<Bytes, Dropped>> + Send + 'static) -> Body {
    use futures_util::TryStreamExt as _;
    Either::Right(StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync())
}

/// The beginning of a good reply, and then numbers for ever.
fn endless() -> impl Stream<Item = Result<Bytes, Dropped>> {
    let numbers = Bytes::from("0.125,".repeat(10_000));
    stream::unfold(false, move |begun| {
        let piece = match begun {
            false => Bytes::from_static(br#"{"object":"list","data":[{"index":0,"embedding":["#),
            true => numbers.clone(),
        };
        async move { Some((Ok(piece), true)) }
    })
}

fn reset_midway(bytes: Bytes, connection: Arc<Connection>) -> impl Stream<Item = Result<Bytes, Dropped>> {
    stream::unfold(Some(bytes), move |left| {
        let connection = connection.clone();
        async move {
            if let Some(bytes) = left {
                return Some((Ok(bytes.slice(..bytes.len() / 2)), None));
            }
            tokio::time::sleep(PAUSE).await;
            connection.reset_at_end();
            Some((Err(Dropped), None))
        }
    })
}

fn cut(bytes: Bytes) -> impl Stream<Item = Result<Bytes, Dropped>> {
    stream::unfold(Some(bytes), |left| async move {
        if let Some(bytes) = left {
            return Some((Ok(bytes), None));
        }
        tokio::time::sleep(PAUSE).await;
        Some((Err(Dropped), None))
    })
}

fn drops(bytes: Bytes, pause: Duration) -> impl Stream<Item = Result<Bytes, Dropped>> {
    stream::unfold(bytes, move |mut left| async move {
        if left.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = left.split_to(DRIP.min(left.len()));
        Some((Ok(piece), left))
    })
}
