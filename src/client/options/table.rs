//! Every option there is, one entry each: all that a new option needs, besides the code that uses it.
//!
//! An entry says the option's name and type, how its value is read, and what the README says of it. From the entries
//! come the struct [`Options`] and its reader, the names in errors, and the README's table.

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use super::value::{At, Counted};
use super::{Cache, Key, Scope};
use crate::base::error::Result;
use crate::base::hash::Hasher;
use crate::base::vector::Encoding;
use crate::client::secret::Secret;

/// Where an option takes part in a vector, and so in the key that the caches know the vector by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// In what is sent: the endpoint, the body and the headers go into the key as they are.
    Request,
    /// In what becomes of the reply: the option's value goes into the key.
    Reply,
    /// In none: it says when, how often and with what other texts a text is sent, where its vector is kept, who sees
    /// the client.
    None,
}

/// What an entry says of an option besides its value.
#[cfg(test)]
pub(crate) struct Entry {
    /// Its name, in every form.
    pub name: &'static str,
    /// What it means, as the README says it.
    pub meaning: &'static str,
    /// What holds without it, as the README says it.
    pub default: &'static str,
    /// Where it takes part in a vector.
    pub part: Part,
}

/// The code after `true`, and none after `false`.
macro_rules! only {
    (true, $($code:tt)*) => { $($code)* };
    (false, $($code:tt)*) => {};
}

macro_rules! options {
    ($(
        $(#[doc = $meaning:literal])+
        $name:ident: $type:ty {
            default: $default:literal,
            read: $read:expr,
            vector: $part:ident,
            sender: $sender:ident,
            local: $local:literal,
        }
    )+) => {
        /// What a user said of a client; `None` is the default.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Options {
            $(
                $(#[doc = $meaning])+
                pub(crate) $name: $type,
            )+
            /// What the column `options` shows: the document as given, without the options that have a column of their
            /// own, and with secret headers hidden.
            pub(crate) shown: Map<String, Value>,
        }

        /// The names of all options, in the order of the documentation.
        pub const OPTIONS: &[&str] = &[$(stringify!($name)),+];

        /// The entries, in the order of [`OPTIONS`].
        #[cfg(test)]
        pub(crate) const TABLE: &[Entry] = &[$(Entry {
            name: stringify!($name),
            meaning: concat!($($meaning),+),
            default: $default,
            part: Part::$part,
        }),+];

        /// The names of the options that mean something for a model inside the process.
        pub(crate) fn local_options() -> Vec<&'static str> {
            let all = [$((stringify!($name), $local)),+];
            all.into_iter().filter(|(_, local)| *local).map(|(name, _)| name).collect()
        }

        impl Options {
            /// Reads the value of an option into its field. Returns whether there is such an option.
            pub(super) fn set(&mut self, at: &At<'_>) -> Result<bool> {
                match at.name {
                    $(stringify!($name) => {
                        let read: fn(&At<'_>) -> Result<$type> = $read;
                        self.$name = read(at)?;
                    })+
                    _ => return Ok(false),
                }
                Ok(true)
            }

            /// The options that say what becomes of a reply, for the key of the caches. It must stay as it is: the keys
            /// of disk caches are made of it.
            pub(crate) fn of_reply(&self) -> String {
                let all: [(Part, &dyn Debug); OPTIONS.len()] = [$((Part::$part, &self.$name)),+];
                let of_reply = all.iter().filter(|(part, _)| *part == Part::Reply);
                of_reply.map(|(_, value)| format!("{value:?}")).collect::<Vec<_>>().join(" ")
            }

            /// Adds what a provider may count requests by, and a client's own limits.
            pub(crate) fn count(&self, mut hasher: Hasher) -> Hasher {
                $(only!($sender, hasher = self.$name.count(hasher););)+
                hasher
            }
        }
    };
}

// Of an entry, `vector` is a Part, `sender` says whether clients that differ in it are told apart by limits and
// counters, and `local` whether it means something for a model inside the process.
options! {
    /// the wire format
    format: Option<String> {
        default: "required",
        read: |at| Ok(Some(at.text()?.to_ascii_lowercase())),
        vector: Request,
        sender: false,
        local: true,
    }
    /// model name as the provider spells it
    model: Option<String> {
        default: "the client's name",
        read: |at| Ok(Some(at.text()?.into())),
        vector: Request,
        sender: false,
        local: true,
    }
    /// endpoint or base URL
    url: Option<String> {
        default: "the format's",
        read: |at| Ok(Some(at.text()?.into())),
        vector: Request,
        sender: false,
        local: false,
    }
    /// the key itself, `env:NAME`, `file:PATH`, or `''` for none
    key: Option<Key> {
        default: "at the format's own URL its environment variable, else none. Read for each request",
        read: |at| at.key().map(Some),
        vector: Request,
        sender: true,
        local: false,
    }
    /// where the key is exchanged for a token, for formats whose servers take tokens alone
    token_url: Option<String> {
        default: "the format's",
        read: |at| Ok(Some(at.text()?.into())),
        vector: Request,
        sender: false,
        local: false,
    }
    /// asked of the provider, and checked in the answer
    dimensions: Option<usize> {
        default: "the model's",
        read: |at| at.whole(1, 1 << 20).map(Some),
        vector: Reply,
        sender: true,
        local: true,
    }
    /// `query`, `document`, or the provider's own word
    input_type: Option<String> {
        default: "`document` for formats that need one",
        read: |at| Ok(Some(at.text()?.into())),
        vector: Request,
        sender: false,
        local: true,
    }
    /// scale every vector to length 1 here
    normalize: bool {
        default: "false",
        read: |at| at.truth(),
        vector: Reply,
        sender: true,
        local: true,
    }
    /// ask the provider to cut over-long text
    truncate: Option<bool> {
        default: "the provider's",
        read: |at| at.truth().map(Some),
        vector: Request,
        sender: true,
        local: true,
    }
    /// `float32`, `int8` or `bit`, where the provider offers it: the vectors are what `vec_int8()` and `vec_bit()` of
    /// sqlite-vec take
    encoding: Encoding {
        default: "`float32`",
        read: |at| at.word(&[Encoding::Float32, Encoding::Int8, Encoding::Bit].map(|e| (e.name(), e))),
        vector: Request,
        sender: false,
        local: false,
    }
    /// text put before each query, for models that want one
    query_prefix: Option<String> {
        default: "the model's, if known",
        read: |at| at.prefix().map(Some),
        vector: Request,
        sender: false,
        local: true,
    }
    /// text put before each document, for models that want one
    document_prefix: Option<String> {
        default: "the model's, if known",
        read: |at| at.prefix().map(Some),
        vector: Request,
        sender: false,
        local: true,
    }
    /// JSON object: extra request headers (values as for `key`; those whose names hold `auth`, `key`, `token`,
    /// `secret`, … are kept as keys are)
    headers: Vec<(String, Secret)> {
        default: "none",
        read: |at| at.headers(),
        vector: Request,
        sender: true,
        local: false,
    }
    /// PEM file of the certificate that the client shows by TLS
    client_cert: Option<PathBuf> {
        default: "none",
        read: |at| Ok(Some(at.text()?.into())),
        vector: Request,
        sender: true,
        local: false,
    }
    /// PEM file of its private key, without a passphrase. Both are read for each request
    client_key: Option<PathBuf> {
        default: "the file `client_cert`",
        read: |at| Ok(Some(at.text()?.into())),
        vector: Request,
        sender: true,
        local: false,
    }
    /// JSON object: fields merged into the request body
    body: Map<String, Value> {
        default: "none",
        read: |at| at.object().cloned(),
        vector: Request,
        sender: true,
        local: false,
    }
    /// for format `custom`, JSON pointer: where in `body` the text goes, or with `batch_size` over 1 the list of them;
    /// `*` is each item of a list (`/texts/*/content`)
    input: Option<String> {
        default: "none",
        read: |at| Ok(Some(at.text()?.into())),
        vector: Request,
        sender: false,
        local: false,
    }
    /// for format `custom`, JSON pointer: where the vector stands in the reply; `*` is each item of a list
    /// (`/results/*/embedding`)
    output: Option<String> {
        default: "none",
        read: |at| Ok(Some(at.text()?.into())),
        vector: Request,
        sender: false,
        local: false,
    }
    /// seconds of one whole call with its retries
    timeout: Option<Duration> {
        default: "60",
        read: |at| at.seconds().map(Some),
        vector: None,
        sender: false,
        local: true,
    }
    /// seconds of connecting
    connect_timeout: Option<Duration> {
        default: "10",
        read: |at| at.seconds().map(Some),
        vector: None,
        sender: false,
        local: false,
    }
    /// attempts after the first
    retries: Option<u32> {
        default: "4",
        read: |at| Ok(Some(at.whole(0, 100)? as u32)),
        vector: None,
        sender: false,
        local: false,
    }
    /// most texts in one request
    batch_size: Option<usize> {
        default: "the format's",
        read: |at| at.whole(1, 1 << 20).map(Some),
        vector: None,
        sender: false,
        local: true,
    }
    /// most tokens in one request
    batch_tokens: Option<usize> {
        default: "the format's",
        read: |at| at.whole(1, 1 << 30).map(Some),
        vector: None,
        sender: false,
        local: true,
    }
    /// requests in flight for one statement
    concurrency: Option<usize> {
        default: "8; 1 for formats that take one text, on this machine",
        read: |at| at.whole(1, 256).map(Some),
        vector: None,
        sender: false,
        local: true,
    }
    /// requests in flight in the whole process; while there are so many, further single calls wait and travel together
    connections: Option<usize> {
        default: "32; one more than `concurrency` on this machine",
        read: |at| at.whole(1, 1024).map(Some),
        vector: None,
        sender: false,
        local: false,
    }
    /// most requests a minute, of all connections of the process together
    requests_per_minute: Option<u32> {
        default: "none",
        read: |at| Ok(Some(at.whole(1, u32::MAX as usize)? as u32)),
        vector: None,
        sender: true,
        local: false,
    }
    /// most tokens a minute, of all connections of the process together
    tokens_per_minute: Option<u32> {
        default: "none",
        read: |at| Ok(Some(at.whole(1, u32::MAX as usize)? as u32)),
        vector: None,
        sender: true,
        local: false,
    }
    /// `memory`, `disk` (and memory), `off`
    cache: Cache {
        default: "`memory`",
        read: |at| at.word(&[("memory", Cache::Memory), ("disk", Cache::Disk), ("off", Cache::Off)]),
        vector: None,
        sender: false,
        local: true,
    }
    /// `connection`, or `process`: seen by every connection of the process
    scope: Option<Scope> {
        default: "`connection`",
        read: |at| at.word(&[("connection", Scope::Connection), ("process", Scope::Process)]).map(Some),
        vector: None,
        sender: false,
        local: true,
    }
    /// permit sending a key over plain http to a host that is not this machine
    allow_http: bool {
        default: "false",
        read: |at| at.truth(),
        vector: None,
        sender: false,
        local: false,
    }
}
