//! Sends a request again where that may help, within the time of the call.
//!
//! What may be retried is the union of what the official SDKs retry (openai-python, cohere): no reply, 408,
//! 409, 425, 429, 500, 502, 503, 504, 529; the wait is `retry-after-ms`, then `Retry-After`, then full jitter over 0.5 s · 2ⁿ, at
//! most 8 s.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::base::error::{Error, RequestError};
use crate::base::hash::Digest;
use crate::base::interrupt::{Interrupt, SLICE};
use crate::client::Client;
use crate::client::headers::Headers;
use crate::client::plan;
use crate::provider::{Failure, HttpReply, Reply, Verdict};
use crate::transport::{self, Target, Trouble};

const BACKOFF_FIRST: Duration = Duration::from_millis(500);
const BACKOFF_MOST: Duration = Duration::from_secs(8);

/// Why a request was given up.
pub enum GivenUp {
    /// Smaller parts of it may succeed; the error is that of a lone text.
    TooLarge(Error),
    /// It was refused for what it holds; without one of its texts it may succeed.
    Refused(Error),
    /// It failed for good.
    Failed(Error),
}

/// Sends the request `body` for `texts` until it succeeds, may not be retried, or time is up. Each time the keys are
/// read anew: one may be replaced meanwhile. Comes with the [`Headers::digest`] of those that brought the reply.
///
/// # Errors
/// [`Error::Request`] with the last failure or of a key that cannot be read, [`Error::Interrupted`].
pub fn send(
    client: &Client,
    body: &[u8],
    texts: &[&str],
    interrupt: &Arc<dyn Interrupt>,
) -> Result<(Reply, Digest), GivenUp> {
    let shared = client.stats();
    let mut deadline = None;
    let mut attempts = 0;
    loop {
        let read_keys = || {
            client.headers(interrupt).map_err(|message| {
                let (client, format) = (client.name().into(), client.format());
                let e = RequestError { client, format, status: None, message, attempts: attempts.max(1) };
                GivenUp::Failed(match interrupt.is_interrupted() {
                    true => Error::Interrupted,
                    false => Error::Request(Box::new(e)),
                })
            })
        };
        // The keys are read before the wait: without a key there is nothing to wait for.
        let mut headers = read_keys()?;
        if wait_turn(client, texts, interrupt)? {
            headers = read_keys()?;
        }
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + client.timeout());
        attempts += 1;
        let outcome = attempt(client, &headers, body, deadline, interrupt);
        let (status, failure) = match outcome {
            Ok(reply) => {
                shared.texts.fetch_add(texts.len() as u64, Relaxed);
                shared.tokens.fetch_add(reply.tokens.unwrap_or(0), Relaxed);
                return Ok((reply, *headers.digest()));
            }
            Err(failed) => failed,
        };
        if interrupt.is_interrupted() {
            return Err(GivenUp::Failed(Error::Interrupted));
        }
        let give_up = |message: String| {
            shared.errors.fetch_add(1, Relaxed);
            Error::Request(Box::new(RequestError {
                client: client.name().into(),
                format: client.format(),
                status,
                message,
                attempts,
            }))
        };
        let asked = match failure.verdict {
            Verdict::Permanent => return Err(GivenUp::Failed(give_up(failure.message))),
            Verdict::TooLarge => return Err(GivenUp::TooLarge(give_up(failure.message))),
            Verdict::Refused => return Err(GivenUp::Refused(give_up(failure.message))),
            Verdict::Retry(_) if attempts > client.retries() => {
                return Err(GivenUp::Failed(give_up(failure.message)));
            }
            Verdict::Retry(asked) => asked,
        };
        let wait = asked.unwrap_or_else(|| backoff(attempts));
        if wait >= deadline.saturating_duration_since(Instant::now()) {
            let why = match asked {
                Some(wait) => format!(" (the server asks to wait {} s,", wait.as_secs_f64().ceil()),
                None => " (gave up:".into(),
            };
            let timeout = client.timeout().as_secs_f64();
            return Err(GivenUp::Failed(give_up(format!(
                "{}{why} the option timeout allows {timeout} s in all)",
                failure.message
            ))));
        }
        if asked.is_some() {
            // The server asked this request to wait; the pause holds for all requests of the client.
            client.pace().pause(wait);
        }
        shared.retries.fetch_add(1, Relaxed);
        sleep(wait, interrupt).map_err(GivenUp::Failed)?;
    }
}

/// Waits until the client's limits per minute, and a pause that a reply has asked for, let a request go. This
/// time does not count against the request's own. Returns whether there was any.
fn wait_turn(client: &Client, texts: &[&str], interrupt: &Arc<dyn Interrupt>) -> Result<bool, GivenUp> {
    let pace = client.pace();
    let limits = client.pacing();
    let tokens = limits.tokens.map_or(0, |_| texts.iter().map(|text| plan::estimate(text)).sum());
    let turn = pace.book(limits, tokens);
    let mut waited = !turn.is_zero();
    if waited {
        sleep(turn, interrupt).map_err(GivenUp::Failed)?;
    }
    loop {
        let pause = pace.paused();
        if pause.is_zero() {
            return Ok(waited);
        }
        waited = true;
        sleep(pause, interrupt).map_err(GivenUp::Failed)?;
    }
}

fn attempt(
    client: &Client,
    headers: &Headers,
    body: &[u8],
    deadline: Instant,
    interrupt: &Arc<dyn Interrupt>,
) -> Result<Reply, (Option<u16>, Failure)> {
    let (provider, target) = (client.provider(), target(client));
    let start = Instant::now();
    let exchange = transport::exchange(&target, headers.map(), body, deadline, interrupt);
    let size = exchange.as_ref().map_or(0, |exchange| exchange.body.len());
    client.stats().exchanged(body.len(), size, start.elapsed());
    // Every failure leaves by this, so that no message holds a key.
    let quoted = |status, failure: Failure| {
        let text = Zeroizing::new(failure.message);
        (status, Failure { message: headers.quote(&text), verdict: failure.verdict })
    };
    let mut exchange = exchange.map_err(|trouble| quoted(None, failure(trouble)))?;
    let status = exchange.status;
    if exchange.is_success() {
        headers.mask(&mut exchange.body);
        let go_on = || !interrupt.is_interrupted() && Instant::now() < deadline;
        return provider.reply(&exchange.body, &go_on).map_err(|wrong| match go_on() {
            true => quoted(Some(status), wrong),
            false => (None, failure(transport::too_late(&target))),
        });
    }
    // Before it is read: a reader leaves copies behind.
    let text = headers.scrub(exchange.text());
    let (retry_after, should_retry) = (exchange.retry_after, exchange.should_retry);
    let failure = provider.failure(&HttpReply { status, body: text.as_bytes(), retry_after, should_retry });
    let (status, mut failure) = quoted(Some(status), failure);
    if matches!(status, Some(401 | 403)) && !headers.has_key() {
        failure.message = format!("{} ({})", failure.message, client.key_hint());
    }
    Err((status, failure))
}

fn target(client: &Client) -> Target<'_> {
    Target {
        endpoint: client.endpoint(),
        timeout: client.timeout(),
        connect_timeout: client.connect_timeout(),
    }
}

/// No reply is a failure too.
fn failure(trouble: Trouble) -> Failure {
    let verdict = if trouble.may_retry { Verdict::Retry(None) } else { Verdict::Permanent };
    Failure { message: trouble.message, verdict }
}

fn backoff(attempts: u32) -> Duration {
    let most = BACKOFF_FIRST.saturating_mul(1 << (attempts - 1).min(16)).min(BACKOFF_MOST);
    most.mul_f64(fastrand::f64())
}

fn sleep(wait: Duration, interrupt: &Arc<dyn Interrupt>) -> Result<(), Error> {
    let end = Instant::now() + wait;
    loop {
        if interrupt.is_interrupted() {
            return Err(Error::Interrupted);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(SLICE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_a_ceiling() {
        for attempts in 1..40 {
            let most = BACKOFF_FIRST.as_secs_f64() * f64::from(1u32 << (attempts - 1).min(16));
            assert!(backoff(attempts).as_secs_f64() <= most.min(8.0));
        }
    }
}
