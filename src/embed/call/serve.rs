//! Texts are answered: by one request, or by parts of it where the whole fails.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::{Call, Task};
use crate::base::error::Error;
use crate::base::interrupt::Interrupt;
use crate::client::plan::estimate_all;
use crate::embed::cache::Ticket;
use crate::embed::check::Checked;
use crate::embed::given_up::GivenUp;
use crate::embed::retry::Retries;
use crate::embed::tally::Tally;
use crate::embed::together::Places;

/// A text of so many bytes fits every model: one that is too large all the same is refused for something else.
const SHORT: usize = 256;

/// Whose texts a request has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    /// One statement's.
    Statement { isolate: bool },
    /// Single calls', who count their texts and errors themselves; with the end of their time, if that has begun.
    Together(Option<Instant>),
}

impl Manner {
    pub(super) fn is_together(self) -> bool {
        matches!(self, Manner::Together(_))
    }

    pub(super) fn isolates(self) -> bool {
        matches!(self, Manner::Together(_) | Manner::Statement { isolate: true })
    }

    /// What a server says to several callers may be about the text of one, be it that of a gateway which does not like its
    /// look or runs out of time. Only what each of them hears alone is known to be no text's.
    pub(super) fn blames_a_text(self, given_up: GivenUp) -> GivenUp {
        let has_time = self.deadline().is_none_or(|deadline| Instant::now() < deadline);
        let may_be_a_texts = self.is_together() && has_time && !given_up.is_of_no_text();
        match given_up {
            GivenUp::Failed(Error::Request(e)) if may_be_a_texts && e.status.is_some() => {
                GivenUp::Refused(Error::Request(e))
            }
            given_up => given_up,
        }
    }

    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Manner::Together(deadline) => deadline,
            Manner::Statement { .. } => None,
        }
    }

    pub(super) fn tally(self) -> Tally {
        match self {
            Manner::Together(_) => Tally::of_company(),
            Manner::Statement { .. } => Tally::of_request(),
        }
    }
}

impl Call {
    /// Answers `tasks`, in one request if that goes: a request that is too large is halved, and one that is
    /// refused for what it holds is taken apart if `isolate`, so that the other texts get their answers. Waits for a place
    /// among the client's requests in flight.
    pub fn serve(&self, tasks: Vec<Task>, isolate: bool, interrupt: &Arc<dyn Interrupt>) {
        let most = self.client.connections();
        let places = self.local.is_none().then(|| Places::of(&self.client.identity(), most));
        let place = places.map(|places| places.batch(most, interrupt)).transpose();
        match place {
            Ok(_place) => {
                let tasks = without_answered(tasks);
                if !tasks.is_empty() {
                    self.serve_at_once(tasks, Manner::Statement { isolate }, interrupt);
                }
            }
            Err(e) => fail_all(tasks, &e, false),
        }
    }

    pub(super) fn serve_at_once(&self, tasks: Vec<Task>, manner: Manner, interrupt: &Arc<dyn Interrupt>) {
        let effort = self.client.effort();
        tasks.iter().for_each(|(ticket, _)| ticket.flight().mark_sent(effort.clone()));
        let mut parts = VecDeque::from([(tasks, self.client.retries())]);
        let mut too_many = false;
        let mut size = Size::default();
        let parts_tally = manner.tally();
        let call_tally = if manner.is_together() { &parts_tally } else { &self.tally };
        let tallies = [call_tally, &parts_tally];
        let isolate = manner.isolates();
        while let Some((mut tasks, retries)) = parts.pop_front() {
            if let Some(error) = tallies.iter().find_map(|tally| tally.given_up()) {
                fail_all(tasks, &error, false);
                continue;
            }
            let texts: Vec<&str> = tasks.iter().map(|(_, text)| &**text).collect();
            let is_alone = tasks.len() == 1;
            let refused = match is_alone {
                true => tallies.iter().fold(retries, |most, tally| tally.retries(most)),
                false => retries,
            };
            let attempts = Retries { most: retries, refused };
            let given_up = match self.request(&texts, attempts, manner, interrupt) {
                Ok(checked) => {
                    tallies.iter().for_each(|tally| tally.succeeded());
                    if std::mem::take(&mut too_many) {
                        self.client.learned().takes(tasks.len());
                    }
                    size.went(&texts);
                    self.land_all(tasks, &checked);
                    continue;
                }
                Err(given_up) => given_up,
            };
            if let GivenUp::TooLarge(_) = &given_up {
                size.was_too_large(is_alone);
            }
            let note_refusal = |e| tallies.iter().for_each(|tally| tally.refused(is_alone, e));
            let may_split = match &given_up {
                GivenUp::TooMany(e) => {
                    too_many = true;
                    note_refusal(e);
                    true
                }
                GivenUp::Refused(_) if !isolate => false,
                // Shorter texts may still fit.
                GivenUp::TooLarge(_) if is_alone && texts[0].len() > SHORT => true,
                GivenUp::TooLarge(e) | GivenUp::Refused(e) => {
                    note_refusal(e);
                    true
                }
                GivenUp::Unreachable(e) => {
                    call_tally.unreachable(e);
                    false
                }
                GivenUp::Failed(e) if isolate => {
                    call_tally.failed(e);
                    false
                }
                GivenUp::Failed(_) => false,
            };
            if is_alone || !may_split {
                let is_own = given_up.is_of_no_text() || (is_alone && given_up.is_the_servers());
                fail_all(tasks, &given_up.into_error(), is_own);
                continue;
            }
            // The whole was tried as often as the user wants. A part is tried again only where it is a text's last chance.
            let right = tasks.split_off(tasks.len() / 2);
            let halves = [tasks, right].map(|part| {
                let retries = match &given_up {
                    GivenUp::Refused(_) => retries.min(u32::from(part.len() == 1)),
                    _ => retries,
                };
                (part, retries)
            });
            // Breadth first, as good texts are found soonest in large parts; at last down to single texts.
            if tallies.iter().any(|tally| tally.wants_single_texts()) {
                halves.into_iter().rev().for_each(|part| parts.push_front(part));
            } else {
                parts.extend(halves);
            }
        }
        if let Some(tokens) = size.learned() {
            self.client.learned().takes_tokens(tokens);
        }
    }

    /// Answers each of `tasks` by its row.
    fn land_all(&self, tasks: Vec<Task>, checked: &Checked) {
        let mut bad = checked.bad.iter().peekable();
        for (i, (ticket, _)) in tasks.into_iter().enumerate() {
            match bad.next_if(|(row, _)| *row == i) {
                // What a statement expects is no measure for another.
                Some((_, why)) => fail(ticket, self.bad_row(why), !self.is_expected),
                None => self.land(ticket, Ok(checked.vectors.row(i).into())),
            }
        }
    }
}

/// What the parts of a request that is too large tell of the size that a server takes.
#[derive(Debug, Default)]
struct Size {
    was_too_large: bool,
    /// A text alone was too large: the server may count each text, not all of a request.
    is_a_texts: bool,
    /// The most tokens of a part that went.
    went: usize,
}

impl Size {
    fn was_too_large(&mut self, is_alone: bool) {
        self.was_too_large = true;
        self.is_a_texts |= is_alone;
    }

    fn went(&mut self, texts: &[&str]) {
        if self.was_too_large {
            self.went = self.went.max(estimate_all(texts));
        }
    }

    /// The most tokens of a request, where that is what was too much.
    fn learned(&self) -> Option<usize> {
        Some(self.went).filter(|tokens| *tokens > 0 && !self.is_a_texts)
    }
}

/// Those of `tasks` that no other statement has sent meanwhile, instead of waiting for this one.
fn without_answered(tasks: Vec<Task>) -> Vec<Task> {
    let (answered, open): (Vec<_>, Vec<_>) =
        tasks.into_iter().map(|task| (task.0.answer(), task)).partition(|(answer, _)| answer.is_some());
    for (answer, (ticket, _)) in answered {
        if let Some(vector) = answer {
            ticket.land(Ok(vector));
        }
    }
    open.into_iter().map(|(_, task)| task).collect()
}

/// `is_own` is whether the error comes from no other text that traveled with these.
fn fail_all(tasks: Vec<Task>, error: &Error, is_own: bool) {
    tasks.into_iter().for_each(|(ticket, _)| fail(ticket, error.clone(), is_own));
}

fn fail(ticket: Ticket, error: Error, is_own: bool) {
    if is_own && error != Error::Interrupted {
        ticket.flight().mark_error_own();
    }
    ticket.land(Err(error));
}
