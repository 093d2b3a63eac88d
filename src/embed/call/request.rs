//! One request: its texts with their prefixes, sent to the provider or computed here, and what is believed of the reply.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::serve::Manner;
use super::{Call, failed};
use crate::base::error::Error;
use crate::base::interrupt::Interrupt;
use crate::base::vector::normalize;
use crate::embed::check::{Checked, check};
use crate::embed::given_up::GivenUp;
use crate::embed::retry::{self, Request, Retries};
use crate::local::{Loaded, Shape, Trouble};
use crate::provider::{Ask, Reply};

impl Call {
    /// Embeds `texts` in one request.
    pub(super) fn request(
        &self,
        texts: &[&str],
        retries: Retries,
        manner: Manner,
        interrupt: &Arc<dyn Interrupt>,
    ) -> Result<Checked, GivenUp> {
        let client = &*self.client;
        let failed = |text| GivenUp::Failed(failed(client, text));
        let texts: Vec<Cow<'_, str>> = texts.iter().map(|text| self.prefixed(text)).collect();
        let reply = match &self.local {
            Some(model) => self.compute(model, &texts, manner, interrupt)?,
            None => self
                .send(&texts, retries, manner, interrupt)
                .map_err(|given_up| manner.blames_a_text(given_up))?,
        };
        if !manner.is_together() {
            client.stats().texts.fetch_add(texts.len() as u64, Ordering::Relaxed);
        }
        let unbelieved = |text| match manner.isolates() {
            true => GivenUp::Refused(self::failed(client, text)),
            false => failed(text),
        };
        let mut checked =
            check(reply, texts.len(), client.options().dimensions, client.encoding()).map_err(unbelieved)?;
        let now = checked.vectors.width();
        client.learned().width(now);
        if let Err(first) = self.width.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed) {
            if first != now && self.is_expected {
                self.other_width.store(now, Ordering::Relaxed);
                let why = format!("the embedding has {now} numbers, and the vectors before it have {first}");
                checked.bad = (0..texts.len()).map(|text| (text, why.clone())).collect();
            } else if first != now {
                return Err(failed(format!("one reply has {now} dimensions, an earlier one {first}")));
            }
        }
        if client.options().normalize {
            checked.vectors.rows_mut().for_each(normalize);
        }
        Ok(checked)
    }

    /// Asks the provider.
    fn send(
        &self,
        texts: &[Cow<'_, str>],
        retries: Retries,
        manner: Manner,
        interrupt: &Arc<dyn Interrupt>,
    ) -> Result<Reply, GivenUp> {
        let client = &*self.client;
        let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
        let numbers = client.learned().wants_numbers();
        match self.send_as(numbers, &texts, retries, manner, interrupt) {
            Err(given_up) if !numbers && refuses_base64(&given_up) => {
                let reply = self.send_as(true, &texts, retries, manner, interrupt)?;
                client.learned().refuses_base64();
                Ok(reply)
            }
            done => done,
        }
    }

    fn send_as(
        &self,
        numbers: bool,
        texts: &[&str],
        retries: Retries,
        manner: Manner,
        interrupt: &Arc<dyn Interrupt>,
    ) -> Result<Reply, GivenUp> {
        let client = &*self.client;
        let input_type = self.input_type.as_deref();
        let ask = Ask { numbers, ..client.ask(input_type) };
        let body = client.provider().request(&ask, texts);
        let body = body.map_err(|text| GivenUp::Failed(failed(client, text)))?;
        let (counts, deadline) = (!manner.is_together(), manner.deadline());
        let request = Request { body: &body, texts, retries, counts, deadline, turn: &self.turn };
        let (reply, headers) = retry::send(client, &request, interrupt)?;
        if headers != self.common.key.headers {
            self.has_changed.store(true, Ordering::Relaxed);
        }
        Ok(reply)
    }

    /// Asks the model inside the process.
    fn compute(
        &self,
        model: &Loaded,
        texts: &[Cow<'_, str>],
        manner: Manner,
        interrupt: &Arc<dyn Interrupt>,
    ) -> Result<Reply, GivenUp> {
        let (client, stats) = (&*self.client, self.client.stats());
        let (start, owned) = (Instant::now(), texts.iter().map(|text| text.clone().into_owned()).collect());
        let options = client.options();
        let shape = Shape { dimensions: options.dimensions, truncate: options.truncate == Some(true) };
        let done = model.embed(owned, shape, client.timeout(), interrupt);
        stats.exchanged(0, 0, start.elapsed());
        let give_up = |text| {
            stats.errors.fetch_add(u64::from(!manner.is_together()), Ordering::Relaxed);
            failed(client, text)
        };
        match done {
            Ok(reply) => {
                stats.tokens.fetch_add(reply.tokens.unwrap_or(0), Ordering::Relaxed);
                Ok(reply)
            }
            Err(Trouble::TooLong(text)) => Err(GivenUp::TooLarge(give_up(text))),
            Err(Trouble::Failed(text)) => Err(GivenUp::Failed(give_up(text))),
            Err(Trouble::Interrupted) => Err(GivenUp::Failed(Error::Interrupted)),
        }
    }
}

/// Whether a server refuses a request since it asks for base64, which every SDK of OpenAI does. The status is 200 where a
/// gateway passes an error on; what we say of a reply of that status is no refusal.
fn refuses_base64(given_up: &GivenUp) -> bool {
    let (GivenUp::Refused(Error::Request(e)) | GivenUp::Failed(Error::Request(e))) = given_up else {
        return false;
    };
    let message = e.message.to_ascii_lowercase();
    let names = ["encoding_format", "embedding_type", "base64"];
    let may_refuse = match e.status {
        Some(200) => !message.starts_with("the reply "),
        status => matches!(status, Some(400 | 422)),
    };
    may_refuse && names.iter().any(|name| message.contains(name))
}
