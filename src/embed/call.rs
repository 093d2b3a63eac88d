//! One call: the requests of a statement for one client and input type, and what they share.

mod request;
mod serve;
mod single;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::base::error::{Error, Result};
use crate::base::hash::Digest;
use crate::base::interrupt::Interrupt;
use crate::client::options::Cache;
use crate::client::plan;
use crate::client::{CacheKey, Client};
use crate::embed::cache::disk::{self, OpenStore};
use crate::embed::cache::flight::Flight;
use crate::embed::cache::{self, Claim, Kept, Memory, Ticket, Vector};
use crate::embed::seen::Seen;
use crate::embed::tally::Tally;
use crate::local::{Loaded, Trouble};

/// A text that is to be sent, and the duty to answer it.
pub type Task = (Ticket, Arc<str>);

/// What the calls of a statement have in common that are for one client and input type.
#[derive(Debug, Clone)]
pub struct Common {
    key: CacheKey,
    /// Kept here since finding the cache of this process is a call of the system.
    memory: Arc<Memory>,
}

impl Common {
    fn of(client: &Client, key: Result<CacheKey, String>) -> Result<Common, String> {
        let memory = match client.cache() {
            // Nothing is kept; a text that is on its way is still not sent again by the same statement.
            Cache::Off => Memory::new(0),
            Cache::Memory | Cache::Disk => cache::MEMORY.clone(),
        };
        Ok(Common { key: key?, memory })
    }
}

/// What the requests of one statement share.
pub struct Call {
    client: Arc<Client>,
    input_type: Option<String>,
    prefix: String,
    local: Option<Loaded>,
    common: Common,
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
    /// A call of `client`; `open` reaches the disk cache where the engine has one. `known` is the
    /// [`Call::common`] of one before it.
    ///
    /// # Errors
    /// An input type that the format does not have; a local model that cannot be loaded, or an interrupt meanwhile.
    pub fn new(
        client: Arc<Client>,
        input_type: Option<&str>,
        open: Option<OpenStore>,
        known: Option<Common>,
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
        let common = match (known, &local) {
            (Some(known), None) => known,
            // A model is known by what its files hold, and they may have changed.
            (_, Some(loaded)) => {
                Common::of(&client, client.cache_key_with(input_type, &loaded.hash())).map_err(wrong)?
            }
            (None, None) => Common::of(&client, client.cache_key(input_type, interrupt)).map_err(wrong)?,
        };
        let prefix = client.prefix(input_type).map_err(wrong)?.to_owned();
        let disk = open.filter(|_| client.cache() == Cache::Disk);
        let input_type = input_type.map(str::to_owned);
        let (width, has_changed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (tally, turn) = (Tally::of_call(), Mutex::new(()));
        Ok(Call {
            client,
            input_type,
            prefix,
            local,
            common,
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
            self.common.memory = seen.memory().clone();
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
        &self.common.key
    }

    /// What the next call of the statement has in common with this one.
    pub fn common(&self) -> &Common {
        &self.common
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
        self.or_on_disk(self.common.memory.claim(&self.key_of(text), self.common.key.client, owner))
    }

    /// As [`Call::claim`], after a wait for `flight` that found it failed or not sent.
    pub fn claim_again(&self, text: &str, flight: &Arc<Flight>, owner: u64) -> Claim {
        let key = self.key_of(text);
        self.or_on_disk(self.common.memory.claim_again(&key, self.common.key.client, flight, owner))
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
        cache::key(&self.common.key.vectors, text)
    }

    /// Begins a prefetch. Returns the number to [`Call::hold`] its vectors by.
    ///
    /// # Errors
    /// No cache that would keep them.
    pub fn begin_prefetch(&self) -> Result<u64> {
        let check = |open| disk::DISK.check(open, &self.interrupt);
        match (self.common.memory.is_on(), self.disk.map(check)) {
            (true, _) | (false, Some(Ok(()))) => Ok(self.common.memory.begin_prefetch()),
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
        may_be_kept
            && self.common.memory.hold(
                self.key_of(text),
                Kept { vector, client: self.common.key.client },
                prefetch,
            )
    }

    /// Whether the vector of `text` is on disk.
    pub fn is_on_disk(&self, text: &str) -> bool {
        self.on_disk(&self.key_of(text)).is_some()
    }

    /// Keeps vectors on disk, where the client asks for it.
    pub fn keep(&self, fresh: &[(Digest, Vector)]) {
        if let (Some(open), false) = (self.disk, self.has_changed.load(Ordering::Relaxed)) {
            let kept = |vector: &Vector| Kept { vector: vector.clone(), client: self.common.key.client };
            let fresh: Vec<_> = fresh.iter().map(|(key, vector)| (*key, kept(vector))).collect();
            disk::DISK.put(&fresh, open, &self.interrupt);
        }
    }

    /// Whether the vector that another statement gets is what this call would get.
    pub fn takes_from(&self, flight: &Flight) -> bool {
        flight.brings_vector_for(&self.client.effort())
    }

    /// The error that another statement gets, if this call would get it too, whose statement has begun then.
    pub fn error_from(&self, flight: &Flight, since: Instant) -> Option<Error> {
        let error = flight.outcome()?.err()?;
        flight.brings_error_for(&self.client.effort(), since).then(|| self.client.as_own(error))
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
}

fn failed(client: &Client, message: String) -> Error {
    client.request_error(None, message, 1)
}
