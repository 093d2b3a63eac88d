//! A call of one text: by its own request, by that of who sends the same text, or together with others that wait.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::serve::Manner;
use super::{Call, Task, failed};
use crate::base::error::{Error, Result};
use crate::base::interrupt::Interrupt;
use crate::embed::cache::flight::{Flight, Waited};
use crate::embed::cache::{Claim, Vector};
use crate::embed::together::{Company, Places, Single, Turn};

impl Call {
    /// Embeds one text, on the caller's thread or by the request of another call.
    ///
    /// # Errors
    /// A request that failed, an interrupt.
    pub fn embed_one(&self, text: &str, interrupt: &Arc<dyn Interrupt>) -> Result<Vector> {
        self.find_or_bring(text, interrupt).inspect_err(|e| {
            let is_error = *e != Error::Interrupted;
            self.client.stats().errors.fetch_add(u64::from(is_error), Ordering::Relaxed);
        })
    }

    fn find_or_bring(&self, text: &str, interrupt: &Arc<dyn Interrupt>) -> Result<Vector> {
        let hit = |vector| {
            self.client.stats().cache_hits.fetch_add(1, Ordering::Relaxed);
            Ok(vector)
        };
        let mut claim = match self.claim(text, 0) {
            // Most calls end here. They need no time, and do not ask for it.
            Claim::Hit(vector) => return hit(vector),
            other => other,
        };
        let since = Instant::now();
        let deadline = since + self.client.timeout();
        let (mut arrival, mut has_waited) = (None, false);
        loop {
            let flight = match claim {
                Claim::Hit(vector) => return hit(vector),
                Claim::Pending(flight) => {
                    has_waited = true;
                    match self.wait_for(&flight, deadline, interrupt)? {
                        Waited::Landed(Ok(vector)) if self.takes_from(&flight) => return hit(vector),
                        Waited::TooLong if flight.is_sent() => return Err(self.waited_too_long()),
                        Waited::Landed(_) | Waited::NotSent | Waited::TooLong => {}
                    }
                    if let Some(e) = self.error_from(&flight, since) {
                        return Err(e);
                    }
                    // Another statement's request has failed, or does not leave: this statement sends its own.
                    flight
                }
                Claim::Mine(ticket) => {
                    let (key, flight) = (*ticket.key(), ticket.flight().clone());
                    let task = (ticket, text.into());
                    let is_own = self.bring(task, deadline, has_waited, &mut arrival, interrupt)?;
                    match flight.outcome() {
                        Some(Ok(vector)) => {
                            self.client.stats().texts.fetch_add(1, Ordering::Relaxed);
                            if flight.may_be_kept() {
                                self.keep(&[(key, vector.clone())]);
                            }
                            return Ok(vector);
                        }
                        Some(Err(e)) if is_own => return Err(e),
                        // The call that sent the text was interrupted.
                        None | Some(Err(Error::Interrupted)) => {}
                        Some(Err(e)) => return Err(self.client.as_own(e)),
                    }
                    flight
                }
            };
            claim = self.claim_again(text, &flight, 0);
        }
    }

    /// Waits for a text that another statement has taken on: half of its time until that has sent it, so that the other
    /// half is left to send it.
    fn wait_for(&self, flight: &Flight, deadline: Instant, interrupt: &Arc<dyn Interrupt>) -> Result<Waited> {
        match flight.wait(Some(deadline - self.client.timeout() / 2), interrupt)? {
            Waited::TooLong if flight.is_sent() => flight.wait(Some(deadline), interrupt),
            waited => Ok(waited),
        }
    }

    /// Sends a text, or waits until another call has sent it. Returns whether this call has. `arrival` is its place in the
    /// order of those who wait, once it has one. Who `has_waited` has what is left of its time.
    fn bring(
        &self,
        task: Task,
        deadline: Instant,
        has_waited: bool,
        arrival: &mut Option<u64>,
        interrupt: &Arc<dyn Interrupt>,
    ) -> Result<bool> {
        let client = &*self.client;
        task.0.flight().mark_queued();
        if self.local.is_some() {
            self.serve_at_once(vec![task], Manner::Together(None), interrupt);
            return Ok(true);
        }
        let options = client.options();
        let company = Company {
            vectors: self.common.key.vectors,
            effort: client.effort(),
            batch: [options.batch_size, options.batch_tokens],
        };
        let (ceilings, most) = (client.ceilings(), client.connections());
        let asks = Single { company, ceilings, most, deadline, arrival };
        match Places::of(&client.identity(), most).single(task, asks, interrupt)? {
            Turn::Leads(_place, tasks) => {
                let deadline = (has_waited || arrival.is_some()).then_some(deadline);
                let has_others = tasks.len() > 1;
                self.serve_at_once(tasks, Manner::Together(deadline), interrupt);
                if has_others {
                    // Those that were answered may ask again at once: who does so before the place is free travels in
                    // the next request.
                    std::thread::yield_now();
                }
                Ok(true)
            }
            Turn::Landed => Ok(false),
            Turn::TooLong(was_waiting) => {
                let seconds = client.timeout().as_secs_f64();
                Err(failed(
                    client,
                    match was_waiting {
                        true => format!(
                            "waited {seconds} s (option timeout) for one of {most} requests in flight to end (option connections)"
                        ),
                        false => format!("no reply within {seconds} s (option timeout)"),
                    },
                ))
            }
        }
    }
}
