//! One call: the requests of a statement for one client and input type, and what they share.

mod single;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::base::error::{Error, Result};
use crate::base::hash::Digest;
use crate::base::interrupt::Interrupt;
use crate::base::vector::normalize;
use crate::client::options::Cache;
use crate::client::plan;
use crate::client::{CacheKey, Client};
use crate::embed::cache::disk::{self, OpenStore};
use crate::embed::cache::flight::Flight;
use crate::embed::cache::{self, Claim, Kept, Memory, Ticket, Vector};
use crate::embed::check::{Checked, check};
use crate::embed::retry::{self, GivenUp, Request};
use crate::embed::seen::Seen;
use crate::embed::tally::Tally;
use crate::embed::together::Places;
use crate::local::{Loaded, Shape, Trouble};
use crate::provider::{Ask, Reply};

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
    /// Whether `width` is that of vectors that are kept already.
    is_expected: bool,
    /// The width of a reply that has another than expected.
    other_width: AtomicUsize,
    tally: Tally,
    turn: Mutex<()>,
    seen: Option<Arc<Seen>>,
    /// Whether a request went with other headers than the key was made of: what it brought is kept nowhere.
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
        let (tally, turn) = (Tally::of_call(), Mutex::new(()));
        Ok(Call {
            client,
            input_type,
            prefix,
            local,
            key,
            memory,
            disk,
            interrupt: interrupt.clone(),
            width,
            is_expected: false,
            other_width: AtomicUsize::new(0),
            tally,
            turn,
            seen: None,
            has_changed,
        })
    }

    /// Lets it know how wide the vectors are that are kept already: a text whose vector has another width fails by itself.
    pub fn expect(&mut self, width: usize) {
        self.width = AtomicUsize::new(width);
        self.is_expected = true;
    }

    /// Another width than the one that was expected, if a reply has had it since this was last asked.
    pub fn take_other_width(&self) -> Option<usize> {
        Some(self.other_width.swap(0, Ordering::Relaxed)).filter(|width| *width > 0)
    }

    /// Lets it know what its statement has asked for already.
    pub fn remember(&mut self, seen: &Arc<Seen>) {
        if self.client.cache() == Cache::Off {
            self.memory = seen.memory().clone();
        }
        self.seen = Some(seen.clone());
    }

    /// The failure of a text that the statement has asked for already.
    pub fn failed_before(&self, text: &str) -> Option<Error> {
        self.seen.as_ref()?.failure(|| self.key_of(text))
    }

    /// Remembers the failure of a text.
    pub fn note_failure(&self, text: &str, error: &Error) {
        if let Some(seen) = &self.seen {
            seen.failed(self.key_of(text), error);
        }
    }

    /// What the vectors of the call have in common, hashed.
    pub fn key(&self) -> &CacheKey {
        &self.key
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The hash of the model inside the process, where it is one.
    pub fn model_hash(&self) -> Option<Digest> {
        self.local.as_ref().map(Loaded::hash)
    }

    /// The error of an input that cannot be embedded.
    pub fn bad_input(&self, why: &str) -> Error {
        self.client.bad_input(why)
    }

    /// Looks for the vector of `text` in the caches, and for a request that asks for it already, be it of the statement
    /// `owner` or of another.
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
    /// refused for what it holds is taken apart if `isolate`, so that the other texts get their answers. Waits for a place
    /// among the client's requests in flight.
    pub fn serve(&self, tasks: Vec<Task>, isolate: bool, interrupt: &Arc<dyn Interrupt>) {
        let places = self.local.is_none().then(|| Places::of(self.client.identity()));
        let place = places.map(|places| places.batch(self.client.connections(), interrupt)).transpose();
        match place {
            Ok(_place) => self.serve_at_once(tasks, Manner::Statement { isolate }, interrupt),
            Err(e) => fail_all(tasks, &e),
        }
    }

    fn serve_at_once(&self, tasks: Vec<Task>, manner: Manner, interrupt: &Arc<dyn Interrupt>) {
        let mut parts = VecDeque::from([(tasks, self.client.retries())]);
        let mut too_many = false;
        let parts_tally = manner.tally();
        let call_tally = if manner.is_together() { &parts_tally } else { &self.tally };
        let tallies = [call_tally, &parts_tally];
        let isolate = manner.isolates();
        while let Some((mut tasks, retries)) = parts.pop_front() {
            if let Some(error) = tallies.iter().find_map(|tally| tally.given_up()) {
                fail_all(tasks, &error);
                continue;
            }
            let texts: Vec<&str> = tasks.iter().map(|(_, text)| &**text).collect();
            let is_alone = tasks.len() == 1;
            let given_up = match self.request(&texts, retries, manner, interrupt) {
                Ok(checked) => {
                    tallies.iter().for_each(|tally| tally.succeeded());
                    if std::mem::take(&mut too_many) {
                        self.client.learned().takes(tasks.len());
                    }
                    self.land_all(tasks, &checked);
                    continue;
                }
                Err(given_up) => given_up,
            };
            let may_split = match &given_up {
                GivenUp::TooMany(_) => {
                    too_many = true;
                    true
                }
                GivenUp::TooLarge(_) => true,
                GivenUp::Refused(e) if isolate => {
                    tallies.iter().for_each(|tally| tally.refused(is_alone, e));
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
                GivenUp::Refused(_) | GivenUp::Failed(_) => false,
            };
            if is_alone || !may_split {
                fail_all(tasks, &given_up.into_error());
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
    }

    /// Answers each of `tasks` by its row.
    fn land_all(&self, tasks: Vec<Task>, checked: &Checked) {
        let mut bad = checked.bad.iter().peekable();
        for (i, (ticket, _)) in tasks.into_iter().enumerate() {
            match bad.next_if(|(row, _)| *row == i) {
                Some((_, why)) => ticket.land(Err(self.bad_row(why))),
                None => self.land(ticket, Ok(checked.vectors.row(i).into())),
            }
        }
    }

    fn bad_row(&self, why: &str) -> Error {
        failed(&self.client, why.into())
    }

    /// The error of who has waited for the request of another statement.
    pub fn waited_too_long(&self) -> Error {
        let seconds = self.client.timeout().as_secs_f64();
        failed(
            &self.client,
            format!(
                "another statement has sent the same text, and had no reply within {seconds} s (option timeout)"
            ),
        )
    }

    /// Embeds `texts` in one request.
    fn request(
        &self,
        texts: &[&str],
        retries: u32,
        manner: Manner,
        interrupt: &Arc<dyn Interrupt>,
    ) -> Result<Checked, GivenUp> {
        let client = &*self.client;
        let failed = |text| GivenUp::Failed(failed(client, text));
        let texts: Vec<Cow<'_, str>> = texts.iter().map(|text| self.prefixed(text)).collect();
        let reply = match &self.local {
            Some(model) => self.compute(model, &texts, interrupt)?,
            None => self.send(&texts, retries, manner.deadline(), interrupt)?,
        };
        if !manner.is_together() {
            client.stats().texts.fetch_add(texts.len() as u64, Ordering::Relaxed);
        }
        let mut checked =
            check(reply, texts.len(), client.options().dimensions, client.encoding()).map_err(failed)?;
        let now = checked.vectors.width();
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

    /// How many tokens `text` has with its prefix: an estimate, since the tokenizer is the provider's. Of a model inside
    /// the process they are counted, with those that the model adds.
    ///
    /// # Errors
    /// A text that the tokenizer cannot read.
    pub fn count_tokens(&self, text: &str) -> Result<usize> {
        let text = self.prefixed(text);
        match &self.local {
            Some(local) => local.count_tokens(&text).map_err(|trouble| match trouble {
                Trouble::Interrupted => Error::Interrupted,
                Trouble::TooLong(why) | Trouble::Failed(why) => self.bad_input(&why),
            }),
            None => Ok(plan::estimate(&text)),
        }
    }

    fn prefixed<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.prefix.as_str() {
            "" => Cow::Borrowed(text),
            prefix => Cow::Owned([prefix, text].concat()),
        }
    }

    /// Asks the provider.
    fn send(
        &self,
        texts: &[Cow<'_, str>],
        retries: u32,
        deadline: Option<Instant>,
        interrupt: &Arc<dyn Interrupt>,
    ) -> Result<Reply, GivenUp> {
        let client = &*self.client;
        let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
        let numbers = client.learned().wants_numbers();
        match self.send_as(numbers, &texts, retries, deadline, interrupt) {
            Err(given_up) if !numbers && refuses_base64(&given_up) => {
                let reply = self.send_as(true, &texts, retries, deadline, interrupt)?;
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
        retries: u32,
        deadline: Option<Instant>,
        interrupt: &Arc<dyn Interrupt>,
    ) -> Result<Reply, GivenUp> {
        let client = &*self.client;
        let input_type = self.input_type.as_deref();
        let ask = Ask { numbers, ..client.ask(input_type) };
        let body = client.provider().request(&ask, texts);
        let body = body.map_err(|text| GivenUp::Failed(failed(client, text)))?;
        let request = Request { body: &body, texts, retries, deadline, turn: &self.turn };
        let (reply, headers) = retry::send(client, &request, interrupt)?;
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
                stats.tokens.fetch_add(reply.tokens.unwrap_or(0), Ordering::Relaxed);
                Ok(reply)
            }
            Err(Trouble::TooLong(text)) => Err(GivenUp::TooLarge(give_up(text))),
            Err(Trouble::Failed(text)) => Err(GivenUp::Failed(give_up(text))),
            Err(Trouble::Interrupted) => Err(GivenUp::Failed(Error::Interrupted)),
        }
    }
}

/// Whose texts a request has.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// One statement's.
    Statement { isolate: bool },
    /// Single calls', who count their texts themselves; with the end of their time, if that has begun.
    Together(Option<Instant>),
}

impl Manner {
    fn is_together(self) -> bool {
        matches!(self, Manner::Together(_))
    }

    fn isolates(self) -> bool {
        matches!(self, Manner::Together(_) | Manner::Statement { isolate: true })
    }

    fn deadline(self) -> Option<Instant> {
        match self {
            Manner::Together(deadline) => deadline,
            Manner::Statement { .. } => None,
        }
    }

    fn tally(self) -> Tally {
        match self {
            Manner::Together(_) => Tally::of_company(),
            Manner::Statement { .. } => Tally::of_request(),
        }
    }
}

fn fail_all(tasks: Vec<Task>, error: &Error) {
    tasks.into_iter().for_each(|(ticket, _)| ticket.land(Err(error.clone())));
}

/// Whether a server refuses a request since it asks for base64, which every SDK of OpenAI does.
fn refuses_base64(given_up: &GivenUp) -> bool {
    let (GivenUp::Refused(Error::Request(e)) | GivenUp::Failed(Error::Request(e))) = given_up else {
        return false;
    };
    let message = e.message.to_ascii_lowercase();
    let names = ["encoding_format", "embedding_type", "base64"];
    matches!(e.status, Some(400 | 422)) && names.iter().any(|name| message.contains(name))
}

fn failed(client: &Client, message: String) -> Error {
    client.request_error(None, message, 1)
}
