//! Sends a request again where that may help, within the time of the call.
//!
//! What may be retried is the union of what the official SDKs retry (openai-python, cohere): no reply, 408,
//! 409, 425, 429 and every 5xx but 501 and 505; the wait is the one that the server states, or else full jitter over
//! 0.5 s · 2ⁿ, at most 8 s. The option `timeout` bounds all of it, waits for the client's own pace included.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::base::error::Error;
use crate::base::hash::Digest;
use crate::base::interrupt::{Interrupt, SLICE};
use crate::client::Client;
use crate::client::headers::Headers;
use crate::client::{plan, policy};
use crate::embed::given_up::GivenUp;
use crate::embed::token::{self, Exchanged};
use crate::provider::{self, Failure, HttpReply, Reply, Verdict};
use crate::transport::{self, Exchange, Kind, Sender, Target, Trouble};

const BACKOFF_FIRST: Duration = Duration::from_millis(500);
const BACKOFF_MOST: Duration = Duration::from_secs(8);

/// How often a request is sent again.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// In all.
    pub most: u32,
    /// As long as it fails in a way that one of its texts may be to blame for.
    pub refused: u32,
}

/// A request as it is to be sent.
pub struct Request<'a> {
    /// Its body.
    pub body: &'a [u8],
    /// The texts in it.
    pub texts: &'a [&'a str],
    /// Attempts after the first.
    pub retries: Retries,
    /// Whether its failure is counted as an error of the client.
    pub counts: bool,
    /// When its time is up, if that has begun already.
    pub deadline: Option<Instant>,
    /// Held while a request of the call waits for its turn at the client's pace, so that the time of the others has
    /// not begun yet.
    pub turn: &'a Mutex<()>,
}

/// A failed attempt. Every failure leaves by one of the two functions that make one, so that no message holds a key.
pub(super) struct Failed {
    status: Option<u16>,
    failure: Failure,
    /// Where no reply came, what that means.
    kind: Option<Kind>,
}

impl Failed {
    /// No reply came.
    pub(super) fn no_reply(headers: &Headers, trouble: Trouble) -> Failed {
        let kind = trouble.kind;
        let verdict = match kind {
            Kind::Permanent | Kind::Late | Kind::NobodyThere => Verdict::Permanent,
            Kind::Unreachable => Verdict::Retry(None),
            Kind::Broken => Verdict::RetryThenRefused(None),
        };
        let failure = quoted(headers, Failure { message: trouble.message, verdict });
        Failed { status: None, failure, kind: Some(kind) }
    }

    /// A reply came, and says why.
    pub(super) fn replied(headers: &Headers, status: u16, failure: Failure) -> Failed {
        Failed { status: Some(status), failure: quoted(headers, failure), kind: None }
    }
}

fn quoted(headers: &Headers, failure: Failure) -> Failure {
    let text = Zeroizing::new(failure.message);
    Failure { message: headers.quote(&text), verdict: failure.verdict }
}

/// Sends a request until it succeeds, may not be retried, or time is up. Each time the keys are read anew: one may be
/// replaced meanwhile. Comes with the [`Headers::digest`] of those that brought the reply.
///
/// # Errors
/// [`Error::Request`] with the last failure or of a key that cannot be read, [`Error::Interrupted`].
pub fn send(
    client: &Client,
    request: &Request<'_>,
    interrupt: &Arc<dyn Interrupt>,
) -> Result<(Reply, Digest), GivenUp> {
    let stats = client.stats();
    let has_pace = !client.pacing().are_none();
    let mut waiting = has_pace.then(|| request.turn.lock().unwrap_or_else(PoisonError::into_inner));
    let deadline = request.deadline.unwrap_or_else(|| Instant::now() + client.timeout());
    let mut attempts = 0;
    let mut last: Option<Failed> = None;
    let give_up = |status, message, attempts| {
        stats.errors.fetch_add(u64::from(request.counts), Relaxed);
        client.request_error(status, message, attempts)
    };
    loop {
        let read_keys = || {
            let mut headers = client.headers(interrupt).map_err(|message| {
                GivenUp::Failed(match interrupt.is_interrupted() {
                    true => Error::Interrupted,
                    false => client.request_error(None, message, attempts.max(1)),
                })
            })?;
            // A proxy may repeat who asks it.
            for url in [Some(client.endpoint()), client.token_url()].into_iter().flatten() {
                transport::proxy_secrets(url).into_iter().for_each(|secret| headers.hide(&secret));
            }
            Ok(headers)
        };
        // The keys are read before the wait: without a key there is nothing to wait for.
        let mut headers = read_keys()?;
        match wait_turn(client, request.texts, last.is_none(), deadline, interrupt) {
            Ok(false) => {}
            Ok(true) => headers = read_keys()?,
            Err(Ended::Interrupted) => return Err(GivenUp::Failed(Error::Interrupted)),
            Err(Ended::TooLate(why)) => {
                let (status, message) = match last {
                    Some(last) => (last.status, format!("{} (gave up: {why})", last.failure.message)),
                    None => (None, why),
                };
                return Err(GivenUp::Failed(give_up(status, message, attempts.max(1))));
            }
        }
        drop(waiting.take());
        attempts += 1;
        let failed = match attempt(client, &mut headers, request.body, deadline, interrupt) {
            Ok(reply) => {
                stats.tokens.fetch_add(reply.tokens.unwrap_or(0), Relaxed);
                return Ok((reply, *headers.digest()));
            }
            Err(failed) => failed,
        };
        if interrupt.is_interrupted() {
            return Err(GivenUp::Failed(Error::Interrupted));
        }
        if let (Some(Kind::Late), Some(last)) = (failed.kind, &last) {
            // What the server said is worth more than that it then said nothing.
            let message = format!("{} (then {})", last.failure.message, failed.failure.message);
            return Err(GivenUp::Failed(give_up(last.status, message, attempts)));
        }
        let give_up = |message| give_up(failed.status, message, attempts);
        let message = failed.failure.message.clone();
        let asked = match failed.failure.verdict {
            Verdict::Permanent if failed.kind == Some(Kind::NobodyThere) => {
                return Err(GivenUp::Unreachable(give_up(message)));
            }
            Verdict::Permanent => return Err(GivenUp::Failed(give_up(message))),
            Verdict::TooLarge => return Err(GivenUp::TooLarge(give_up(message))),
            Verdict::TooMany => return Err(GivenUp::TooMany(give_up(message))),
            Verdict::Refused => return Err(GivenUp::Refused(give_up(message))),
            Verdict::RetryThenRefused(_) if attempts > request.retries.refused => {
                return Err(GivenUp::Refused(give_up(message)));
            }
            Verdict::Retry(_) if attempts > request.retries.most => {
                return Err(match failed.kind {
                    Some(Kind::Unreachable) => GivenUp::Unreachable(give_up(message)),
                    _ => GivenUp::Failed(give_up(message)),
                });
            }
            Verdict::Retry(asked) | Verdict::RetryThenRefused(asked) => asked,
        };
        let wait = asked.unwrap_or_else(|| backoff(attempts));
        if wait >= deadline.saturating_duration_since(Instant::now()) {
            let why = match asked {
                Some(wait) => format!(" (the server asks to wait {} s,", wait.as_secs_f64().ceil()),
                None => " (gave up:".into(),
            };
            let timeout = client.timeout().as_secs_f64();
            let message = format!("{message}{why} the option timeout allows {timeout} s in all)");
            return Err(match failed.kind {
                Some(Kind::Unreachable) => GivenUp::Unreachable(give_up(message)),
                _ => GivenUp::Failed(give_up(message)),
            });
        }
        if asked.is_some() {
            // The server has said so to this request, and means every one.
            client.pace().pause(wait);
        }
        stats.retries.fetch_add(1, Relaxed);
        last = Some(failed);
        if !sleep(wait, interrupt) {
            return Err(GivenUp::Failed(Error::Interrupted));
        }
    }
}

/// Why a wait for a turn has ended before it came.
enum Ended {
    Interrupted,
    /// The turn comes after the time of the call; in words for the user.
    TooLate(String),
}

/// Waits until the client's limits per minute, and a pause that a reply has asked for, let a request go. Returns
/// whether there was any wait.
fn wait_turn(
    client: &Client,
    texts: &[&str],
    is_first: bool,
    deadline: Instant,
    interrupt: &Arc<dyn Interrupt>,
) -> Result<bool, Ended> {
    let pace = client.pace();
    let limits = client.pacing();
    let tokens = limits.tokens.map_or(0, |_| plan::estimate_all(texts));
    let timeout = client.timeout().as_secs_f64();
    let left = || deadline.saturating_duration_since(Instant::now());
    let turn = pace.book(limits, tokens);
    let mut waited = !turn.wait().is_zero();
    if waited {
        if turn.wait() >= left() {
            return Err(Ended::TooLate(format!(
                "the options requests_per_minute and tokens_per_minute let the request leave in {} s, the option \
                 timeout allows {timeout} s in all",
                turn.wait().as_secs_f64().ceil()
            )));
        }
        if !sleep(turn.wait(), interrupt) {
            return Err(Ended::Interrupted);
        }
    }
    loop {
        let pause = pace.paused();
        if pause.is_zero() {
            break;
        }
        if pause >= left() {
            match is_first {
                // The pause is another call's. This one has its time for itself, and hears the server's own answer.
                true => break,
                false => {
                    return Err(Ended::TooLate(format!(
                        "the server asks to wait {} s more, the option timeout allows {timeout} s in all",
                        pause.as_secs_f64().ceil()
                    )));
                }
            }
        }
        waited = true;
        if !sleep(pause, interrupt) {
            return Err(Ended::Interrupted);
        }
    }
    turn.take();
    Ok(waited)
}

fn attempt(
    client: &Client,
    headers: &mut Headers,
    body: &[u8],
    deadline: Instant,
    interrupt: &Arc<dyn Interrupt>,
) -> Result<Reply, Failed> {
    let (provider, target) = (client.provider(), target(client));
    let token = token::put(client, headers, None, deadline, interrupt)?;
    let mut exchange = exchange(client, headers, body, deadline, interrupt)?;
    // A token may end before its time.
    if let (401, Some(Exchanged { text, is_fresh: false })) = (exchange.status, token) {
        token::put(client, headers, Some(&text), deadline, interrupt)?;
        exchange = self::exchange(client, headers, body, deadline, interrupt)?;
    }
    let headers = &*headers;
    let replied = |status, failure| Failed::replied(headers, status, failure);
    let status = exchange.status;
    if exchange.is_success() {
        headers.mask(&mut exchange.body);
        let go_on = || !interrupt.is_interrupted() && Instant::now() < deadline;
        let reply = match client.options().output.as_deref() {
            Some(place) => provider::read_at(&exchange.body, place, &go_on),
            None => provider.reply_as(client.encoding(), &exchange.body, &go_on),
        };
        return reply.map_err(|wrong| match go_on() {
            true => replied(status, wrong),
            false => Failed::no_reply(headers, transport::too_late(&target)),
        });
    }
    // The keys are hidden before the text is read, since a reader leaves copies behind.
    let text = headers.scrub(exchange.text());
    let (retry_after, should_retry) = (exchange.retry_after, exchange.should_retry);
    let location = exchange.location.as_deref();
    let reply = HttpReply { status, body: text.as_bytes(), retry_after, should_retry, location };
    let failure = provider.failure(&reply);
    let mut failed = replied(status, failure);
    if matches!(status, 401 | 403) && !headers.has_key() {
        failed.failure.message = format!("{} ({})", failed.failure.message, client.key_hint());
    }
    if matches!(status, 404 | 405) {
        let url = policy::shown_url(&client.endpoint().to_string());
        let asked = headers.quote(&url);
        failed.failure.message = format!("{} (the url was {asked})", failed.failure.message);
    }
    Err(failed)
}

/// Sends the request once.
fn exchange(
    client: &Client,
    headers: &Headers,
    body: &[u8],
    deadline: Instant,
    interrupt: &Arc<dyn Interrupt>,
) -> Result<Exchange, Failed> {
    let start = Instant::now();
    let signed = headers.map(client.endpoint(), body);
    let sender = Sender { headers: &signed, identity: headers.identity() };
    let exchange = transport::exchange(&target(client), sender, body, deadline, interrupt);
    let size = exchange.as_ref().map_or(0, |exchange| exchange.body.len());
    client.stats().exchanged(body.len(), size, start.elapsed());
    exchange.map_err(|trouble| Failed::no_reply(headers, trouble))
}

fn target(client: &Client) -> Target<'_> {
    Target {
        endpoint: client.endpoint(),
        timeout: client.timeout(),
        connect_timeout: client.connect_timeout(),
    }
}

fn backoff(attempts: u32) -> Duration {
    let most = BACKOFF_FIRST.saturating_mul(1 << (attempts - 1).min(16)).min(BACKOFF_MOST);
    most.mul_f64(fastrand::f64())
}

/// Sleeps, unless it is interrupted. Returns whether it slept to the end.
fn sleep(wait: Duration, interrupt: &Arc<dyn Interrupt>) -> bool {
    let end = Instant::now() + wait;
    loop {
        if interrupt.is_interrupted() {
            return false;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
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
