//! One call: the requests of a statement for one client and input type, and what they share.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use crate::base::error::{Error, RequestError, Result};
use crate::base::hash::Digest;
use crate::base::interrupt::Interrupt;
use crate::base::vector::{Vectors, normalize};
use crate::client::options::Cache;
use crate::client::{CacheKey, Client};
use crate::embed::cache::disk::{self, OpenStore};
use crate::embed::cache::flight::Flight;
use crate::embed::cache::{self, Claim, Kept, Memory, Ticket, Vector};
use crate::embed::check::check;
use crate::embed::retry::{self, GivenUp};
use crate::local::{Loaded, Shape, Trouble};
use crate::provider::Reply;

/// A provider that refuses everything must not be asked text by text. After so many refusals of one request's parts
/// without a success, a few texts are tried alone; if they are refused too, the rest is given up.
const REFUSALS: usize = 64;
const REFUSALS_ALONE: usize = 4;

/// A text that is to be sent, and the duty to answer it.
pub type Task = (Ticket, Arc<str>);

/// What the requests of one statement share.
pub struct Call {
    client: Arc<Client>,
    input_type: Option<String>,
    prefix: String,
    local: Option<Loaded>,
    key: CacheKey,
    memory: Arc<Memory>,
    disk: Option<OpenStore>,
    interrupt: Arc<dyn Interrupt>,
    width: AtomicUsize,
    /// Whether the headers have changed since the cache key was made of them. Vectors of such requests are not kept.
    has_changed: AtomicBool,
}

impl Call {
    /// A call of `client`; `open` reaches the disk cache where the engine has one. `key` is the client's
    /// [`Client::cache_key`], if it was made before.
    ///
    /// # Errors
    /// An input type that the format does not have; a local model that cannot be loaded, or an interrupt meanwhile.
    pub fn new(
        client: Arc<Client>,
        input_type: Option<&str>,
        open: Option<OpenStore>,
        key: Option<CacheKey>,
        interrupt: &Arc<dyn Interrupt>,
    ) -> Result<Call> {
        let wrong = |text| failed(&client, text);
        let local = match client.local() {
            Some(model) => {
                Some(model.load(client.timeout(), interrupt).map_err(|trouble| match trouble {
                    Trouble::Interrupted => Error::Interrupted,
                    Trouble::Failed(text) | Trouble::TooLong(text) => wrong(text),
                })?)
            }
            None => None,
        };
        let key = match (key, &local) {
            // A model is known by what its files hold, and they may have changed.
            (_, Some(loaded)) => client.cache_key_with(input_type, &loaded.hash()).map_err(wrong)?,
            (Some(key), None) => key,
            (None, None) => client.cache_key(input_type, interrupt).map_err(wrong)?,
        };
        let prefix = client.prefix(input_type).map_err(wrong)?.to_owned();
        let memory = match client.cache() {
            // Nothing is kept; a text that is on its way is still not sent again by the same statement.
            Cache::Off => Memory::new(0),
            Cache::Memory | Cache::Disk => cache::MEMORY.clone(),
        };
        let disk = open.filter(|_| client.cache() == Cache::Disk);
        let input_type = input_type.map(str::to_owned);
        let (width, has_changed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let interrupt = interrupt.clone();
        Ok(Call { client, input_type, prefix, local, key, memory, disk, interrupt, width, has_changed })
    }

    /// What the vectors of the call have in common, hashed.
    pub fn key(&self) -> &CacheKey {
        &self.key
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The error of an input that cannot be embedded.
    pub fn bad_input(&self, why: &str) -> Error {
        self.client.bad_input(why)
    }

    /// Embeds one text, on the caller's thread.
    ///
    /// # Errors
    /// A request that failed, an interrupt.
    pub fn embed_one(&self, text: &str, interrupt: &Arc<dyn Interrupt>) -> Result<Vector> {
        let hit = |vector| {
            self.client.stats().cache_hits.fetch_add(1, Ordering::Relaxed);
            Ok(vector)
        };
        let mut claim = self.claim(text, 0);
        loop {
            match claim {
                Claim::Hit(vector) => return hit(vector),
                Claim::Pending(flight) => {
                    if let Some(Ok(vector)) = flight.wait(interrupt)? {
                        return hit(vector);
                    }
                    // Another statement's request has failed: this statement sends its own.
                    claim = self.claim_again(text, &flight, 0);
                }
                Claim::Mine(ticket) => {
                    ticket.flight().mark_sent();
                    let key = *ticket.key();
                    let outcome = match self.request(&[text], interrupt) {
                        Ok(vectors) => Ok(Vector::from(vectors.into_data())),
                        Err(GivenUp::TooLarge(e) | GivenUp::Refused(e) | GivenUp::Failed(e)) => Err(e),
                    };
                    self.land(ticket, outcome.clone());
                    if let Ok(vector) = &outcome {
                        self.keep(&[(key, vector.clone())]);
                    }
                    return outcome;
                }
            }
        }
    }

    /// Looks for the vector of `text` in the caches, or for somebody of the statement `owner` or another who
    /// has sent it.
    pub fn claim(&self, text: &str, owner: u64) -> Claim {
        self.or_on_disk(self.memory.claim(&self.key_of(text), self.key.client, owner))
    }

    /// As [`Call::claim`], after a wait for `flight` that found it failed or not on its way.
    pub fn claim_again(&self, text: &str, flight: &Arc<Flight>, owner: u64) -> Claim {
        let key = self.key_of(text);
        self.or_on_disk(self.memory.claim_again(&key, self.key.client, flight, owner))
    }

    fn or_on_disk(&self, claim: Claim) -> Claim {
        let Claim::Mine(ticket) = claim else { return claim };
        match self.on_disk(ticket.key()) {
            Some(vector) => {
                ticket.land(Ok(vector.clone()));
                Claim::Hit(vector)
            }
            None => Claim::Mine(ticket),
        }
    }

    fn on_disk(&self, key: &Digest) -> Option<Vector> {
        self.disk.and_then(|open| disk::DISK.get(key, open, &self.interrupt))
    }

    fn key_of(&self, text: &str) -> Digest {
        cache::key(&self.key.vectors, text)
    }

    /// Begins a prefetch. Returns the number to [`Call::hold`] its vectors by.
    ///
    /// # Errors
    /// No cache that would keep them.
    pub fn begin_prefetch(&self) -> Result<u64> {
        let check = |open| disk::DISK.check(open, &self.interrupt);
        match (self.memory.is_on(), self.disk.map(check)) {
            (true, _) | (false, Some(Ok(()))) => Ok(self.memory.begin_prefetch()),
            (false, Some(Err(disk::Trouble::Interrupted))) => Err(Error::Interrupted),
            (false, trouble) => {
                let why = match trouble {
                    Some(Err(disk::Trouble::Failed(why))) => format!(", the disk cache too: {why}"),
                    Some(_) => ", and others hold the disk cache".into(),
                    None => String::new(),
                };
                Err(self.bad_input(&format!(
                    "rembed_prefetch needs the cache, and it is off (option cache, REMBED_CACHE_BYTES){why}"
                )))
            }
        }
    }

    /// Holds the vector of `text` in memory until it was read. Returns whether there was room.
    pub fn hold(&self, text: &str, vector: Vector, prefetch: u64) -> bool {
        let may_be_kept = !self.has_changed.load(Ordering::Relaxed);
        may_be_kept && self.memory.hold(self.key_of(text), Kept { vector, client: self.key.client }, prefetch)
    }

    /// Whether the vector of `text` is on disk.
    pub fn is_on_disk(&self, text: &str) -> bool {
        self.on_disk(&self.key_of(text)).is_some()
    }

    /// Keeps vectors on disk, where the client asks for it.
    pub fn keep(&self, fresh: &[(Digest, Vector)]) {
        if let (Some(open), false) = (self.disk, self.has_changed.load(Ordering::Relaxed)) {
            let kept = |vector: &Vector| Kept { vector: vector.clone(), client: self.key.client };
            let fresh: Vec<_> = fresh.iter().map(|(key, vector)| (*key, kept(vector))).collect();
            disk::DISK.put(&fresh, open, &self.interrupt);
        }
    }

    fn land(&self, ticket: Ticket, outcome: Result<Vector>) {
        match self.has_changed.load(Ordering::Relaxed) {
            true => ticket.land_unkept(outcome),
            false => ticket.land(outcome),
        }
    }

    /// Whether vectors are kept on disk.
    pub fn keeps(&self) -> bool {
        self.disk.is_some()
    }

    /// Answers `tasks`, in one request if that goes: a request that is too large is halved, and one that is
    /// refused for what it holds is taken apart if `isolate`, so that the other texts get their answers.
    pub fn serve(&self, tasks: Vec<Task>, isolate: bool, interrupt: &Arc<dyn Interrupt>) {
        let mut parts = VecDeque::from([tasks]);
        let (mut served, mut refused, mut refused_alone) = (false, 0, 0);
        while let Some(mut tasks) = parts.pop_front() {
            let texts: Vec<&str> = tasks.iter().map(|(_, text)| &**text).collect();
            let last_hope = !served && refused >= REFUSALS;
            let error = match self.request(&texts, interrupt) {
                Ok(vectors) => {
                    served = true;
                    for (i, (ticket, _)) in tasks.into_iter().enumerate() {
                        self.land(ticket, Ok(vectors.row(i).into()));
                    }
                    continue;
                }
                Err(GivenUp::TooLarge(_)) if tasks.len() > 1 => None,
                Err(GivenUp::Refused(e)) if isolate => {
                    refused += 1;
                    refused_alone += usize::from(tasks.len() == 1);
                    if last_hope && refused_alone >= REFUSALS_ALONE {
                        parts.drain(..).flatten().for_each(|(ticket, _)| ticket.land(Err(e.clone())));
                        Some(e)
                    } else {
                        (tasks.len() == 1).then_some(e)
                    }
                }
                Err(GivenUp::TooLarge(e) | GivenUp::Refused(e) | GivenUp::Failed(e)) => Some(e),
            };
            match error {
                Some(error) => tasks.into_iter().for_each(|(ticket, _)| ticket.land(Err(error.clone()))),
                None => {
                    let right = tasks.split_off(tasks.len() / 2);
                    // Breadth first, as good texts are found soonest in large parts; at last down to single texts.
                    if last_hope {
                        parts.push_front(right);
                        parts.push_front(tasks);
                    } else {
                        parts.extend([tasks, right]);
                    }
                }
            }
        }
    }

    /// Embeds `texts` in one request.
    fn request(&self, texts: &[&str], interrupt: &Arc<dyn Interrupt>) -> Result<Vectors, GivenUp> {
        let client = &*self.client;
        let failed = |text| GivenUp::Failed(failed(client, text));
        let texts: Vec<Cow<'_, str>> = texts.iter().map(|text| self.prefixed(text)).collect();
        let reply = match &self.local {
            Some(model) => self.compute(model, &texts, interrupt)?,
            None => self.send(&texts, interrupt)?,
        };
        let mut vectors = check(reply, texts.len(), client.options().dimensions).map_err(failed)?;
        let now = vectors.width();
        if let Err(first) = self.width.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed) {
            if first != now {
                return Err(failed(format!("one reply has {now} dimensions, an earlier one {first}")));
            }
        }
        if client.options().normalize {
            vectors.rows_mut().for_each(normalize);
        }
        Ok(vectors)
    }

    fn prefixed<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.prefix.as_str() {
            "" => Cow::Borrowed(text),
            prefix => Cow::Owned([prefix, text].concat()),
        }
    }

    /// Asks the provider.
    fn send(&self, texts: &[Cow<'_, str>], interrupt: &Arc<dyn Interrupt>) -> Result<Reply, GivenUp> {
        let client = &*self.client;
        let failed = |text| GivenUp::Failed(failed(client, text));
        let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
        let input_type = self.input_type.as_deref();
        let ask = client.ask(input_type);
        let body = client.provider().request(&ask, &texts).map_err(failed)?;
        let (reply, headers) = retry::send(client, &body, &texts, interrupt)?;
        if client.cache_key_with(input_type, &headers).as_ref() != Ok(&self.key) {
            self.has_changed.store(true, Ordering::Relaxed);
        }
        Ok(reply)
    }

    /// Asks the model inside the process.
    fn compute(
        &self,
        model: &Loaded,
        texts: &[Cow<'_, str>],
        interrupt: &Arc<dyn Interrupt>,
    ) -> Result<Reply, GivenUp> {
        let (client, stats) = (&*self.client, self.client.stats());
        let (start, owned) = (Instant::now(), texts.iter().map(|text| text.clone().into_owned()).collect());
        let options = client.options();
        let shape = Shape { dimensions: options.dimensions, truncate: options.truncate == Some(true) };
        let done = model.embed(owned, shape, client.timeout(), interrupt);
        stats.exchanged(0, 0, start.elapsed());
        let give_up = |text| {
            stats.errors.fetch_add(1, Ordering::Relaxed);
            failed(client, text)
        };
        match done {
            Ok(reply) => {
                stats.texts.fetch_add(texts.len() as u64, Ordering::Relaxed);
                stats.tokens.fetch_add(reply.tokens.unwrap_or(0), Ordering::Relaxed);
                Ok(reply)
            }
            Err(Trouble::TooLong(text)) => Err(GivenUp::TooLarge(give_up(text))),
            Err(Trouble::Failed(text)) => Err(GivenUp::Failed(give_up(text))),
            Err(Trouble::Interrupted) => Err(GivenUp::Failed(Error::Interrupted)),
        }
    }
}

fn failed(client: &Client, message: String) -> Error {
    Error::Request(Box::new(RequestError {
        client: client.name().into(),
        format: client.format(),
        status: None,
        message,
        attempts: 1,
    }))
}
