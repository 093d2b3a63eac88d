//! A call of one text: by its own request, by that of who sends the same text, or together with others that wait.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::serve::Manner;
use super::{Call, Task, failed};
use crate::base::error::{Error, Result};
use crate::base::interrupt::Interrupt;
use crate::embed::cache::flight::Waited;
use crate::embed::cache::{Claim, Vector};
use crate::embed::together::{Company, Places, Single, Turn};

impl Call {
    /// Embeds one text, on the caller's thread or by the request of another call.
    ///
    /// # Errors
    /// A request that failed, an interrupt.
    pub fn embed_one(&self, text: &str, interrupt: &Arc<dyn Interrupt>) -> Result<Vector> {
        let hit = |vector| {
            self.client.stats().cache_hits.fetch_add(1, Ordering::Relaxed);
            Ok(vector)
        };
        let mut claim = match self.claim(text, 0) {
            // Most calls end here. They need no time, and do not ask for it.
            Claim::Hit(vector) => return hit(vector),
            other => other,
        };
        let deadline = Instant::now() + self.client.timeout();
        let mut arrival = None;
        loop {
            let flight = match claim {
                Claim::Hit(vector) => return hit(vector),
                Claim::Pending(flight) => {
                    match flight.wait(Some(deadline), interrupt)? {
                        Waited::Landed(Ok(vector)) => return hit(vector),
                        Waited::TooLong => return Err(self.waited_too_long()),
                        Waited::Landed(Err(_)) | Waited::NotSent => {}
                    }
                    // Another statement's request has failed: this statement sends its own.
                    flight
                }
                Claim::Mine(ticket) => {
                    let (key, flight) = (*ticket.key(), ticket.flight().clone());
                    let is_own = self.bring((ticket, text.into()), deadline, &mut arrival, interrupt)?;
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
                        Some(Err(e)) => {
                            self.client.stats().errors.fetch_add(1, Ordering::Relaxed);
                            return Err(self.client.as_own(e));
                        }
                    }
                    flight
                }
            };
            claim = self.claim_again(text, &flight, 0);
        }
    }

    /// Sends a text, or waits until another call has sent it. Returns whether this call has. `arrival` is its place in the
    /// order of those who wait, once it has one.
    fn bring(
        &self,
        task: Task,
        deadline: Instant,
        arrival: &mut Option<u64>,
        interrupt: &Arc<dyn Interrupt>,
    ) -> Result<bool> {
        let client = &*self.client;
        task.0.flight().mark_sent();
        if self.local.is_some() {
            self.serve_at_once(vec![task], Manner::Together(None), interrupt);
            return Ok(true);
        }
        let options = client.options();
        let company = Company {
            vectors: self.common.key.vectors,
            times: [client.timeout(), client.connect_timeout()],
            retries: client.retries(),
            batch: [options.batch_size, options.batch_tokens],
        };
        let (ceilings, most) = (client.ceilings(), client.connections());
        let asks = Single { company, ceilings, most, deadline, arrival };
        match Places::of(client.identity()).single(task, asks, interrupt)? {
            Turn::Leads(_place, tasks) => {
                let deadline = arrival.map(|_| deadline);
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
                client.stats().errors.fetch_add(1, Ordering::Relaxed);
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
