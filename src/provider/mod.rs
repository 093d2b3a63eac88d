//! Wire formats. A provider is sans-IO: it describes a request and reads a reply.
//!
//! A new format is one file with a [`Spec`] and one line in `FORMATS`; a service that speaks OpenAI's format
//! is one line in `presets`. Facts about the APIs come from the official SDKs and servers named in each file.

mod azure;
mod bedrock;
mod cloudflare;
mod cohere;
mod custom;
mod databricks;
mod failure;
mod gemini;
mod huggingface;
mod jina;
mod json;
mod kserve;
mod llamafile;
#[cfg(feature = "local")]
mod local;
mod message;
mod mixedbread;
mod nomic;
mod number;
mod ollama;
mod openai;
pub mod prefixes;
mod presets;
mod reply;
mod request;
#[cfg(feature = "rigged")]
mod rigged;
mod sagemaker;
mod spec;
mod tree;
mod url;
mod vertex;
mod voyage;
mod watsonx;

use serde_json::{Map, Value};

use crate::base::vector::Encoding;

pub use failure::{Failure, HttpReply, Verdict};
pub use json::GoOn;
pub use reply::{NO_INDEX, Reply, read, read_as, read_at};
use request::{accepts, input_type};
use spec::BASE;
pub(crate) use spec::is_jwt;
pub use spec::{Auth, Encodings, Fixed, Input, InputType, Model, Spec, Truncate};
pub use url::{Paths, complete, endpoint, token_url};

/// The formats that have a file of their own.
static FORMATS: &[&dyn Provider] = &[
    &openai::OPENAI,
    &nomic::NOMIC,
    &cohere::COHERE,
    &jina::JINA,
    &mixedbread::MIXEDBREAD,
    &ollama::OLLAMA,
    &llamafile::LLAMAFILE,
    &gemini::GEMINI,
    &azure::AZURE,
    &huggingface::HUGGINGFACE,
    &huggingface::TEI,
    &cloudflare::CLOUDFLARE,
    &vertex::VERTEX,
    &bedrock::BEDROCK,
    &sagemaker::SAGEMAKER,
    &watsonx::WATSONX,
    &databricks::DATABRICKS,
    &databricks::SNOWFLAKE,
    &voyage::VOYAGE_AI,
    &kserve::KServe,
    &custom::Custom,
    #[cfg(feature = "local")]
    &local::Local,
    #[cfg(feature = "rigged")]
    &rigged::Rigged,
];

/// The provider of a format or preset of this name.
pub fn find(name: &str) -> Option<&'static dyn Provider> {
    all().find(|p| p.spec().name == name)
}

/// Every format and preset.
pub fn all() -> impl Iterator<Item = &'static dyn Provider> {
    let presets = presets::PRESETS.iter().map(|p| p as &dyn Provider);
    FORMATS.iter().copied().chain(presets)
}

/// What a request asks for, besides the texts.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Model name, unless the provider needs none and the user gave none.
    pub model: Option<&'a str>,
    /// The width asked for.
    pub dimensions: Option<usize>,
    /// `query`, `document` or the provider's own word.
    pub input_type: Option<&'a str>,
    /// Whether over-long text is to be cut.
    pub truncate: Option<bool>,
    /// How the numbers of a vector are asked for.
    pub encoding: Encoding,
    /// Whether vectors are not asked for as base64, for servers that refuse a request that does.
    pub numbers: bool,
    /// Where the texts go, for a format that leaves it to the user.
    pub input: Option<&'a str>,
    /// Where the vectors stand in a reply, likewise.
    pub output: Option<&'a str>,
    /// Texts in one request at most.
    pub batch_size: usize,
    /// The user's fields, which win over ours.
    pub body: &'a Map<String, Value>,
}

/// A wire format.
pub trait Provider: Send + Sync {
    /// The format as data.
    fn spec(&self) -> &Spec;

    /// The variant of the format that an endpoint's path selects.
    fn at(&'static self, path: &str) -> &'static dyn Provider;

    /// Whether every client of this ask could be served: called once, when a client is registered.
    ///
    /// # Errors
    /// An option that the format has no field for.
    fn accepts(&self, ask: &Ask<'_>) -> Result<(), String> {
        accepts(self.spec(), ask)
    }

    /// The field and word that `asked` becomes.
    ///
    /// # Errors
    /// A word that the format cannot send.
    fn input_type<'a>(&self, asked: Option<&'a str>) -> Result<Option<(&'static str, &'a str)>, String> {
        input_type(self.spec(), asked)
    }

    /// The body of a request for `texts`.
    ///
    /// # Errors
    /// An input type that the format does not have.
    fn request(&self, ask: &Ask<'_>, texts: &[&str]) -> Result<Vec<u8>, String> {
        let typed = self.input_type(ask.input_type)?;
        match self.spec().has_paths() {
            true => tree::write(self.spec(), ask, typed, texts).map_err(|e| e.to_string()),
            false => request::write(self.spec(), ask, typed, texts).map_err(|e| e.to_string()),
        }
    }

    /// Reads the body of a reply with status 200, as long as `go_on` says so.
    ///
    /// # Errors
    /// A body that holds no embeddings, in words for the user; a stop.
    fn reply(&self, body: &[u8], go_on: GoOn<'_>) -> Result<Reply, Failure> {
        self.reply_as(Encoding::Float32, body, go_on)
    }

    /// The same, of vectors that were asked for in this encoding.
    ///
    /// # Errors
    /// As there.
    fn reply_as(&self, encoding: Encoding, body: &[u8], go_on: GoOn<'_>) -> Result<Reply, Failure> {
        read_as(body, self.spec().output.unwrap_or_default(), encoding, go_on)
    }

    /// Reads any other reply: what it says, and what may be done about it.
    fn failure(&self, reply: &HttpReply<'_>) -> Failure {
        failure::classify(reply)
    }
}

/// A format of which a part of the endpoint's path selects a variant: all of it is data.
#[derive(Debug)]
pub struct Varied {
    spec: Spec,
    /// What a path holds, and the variant that it selects.
    variants: &'static [(&'static str, Plain)],
}

impl Provider for Varied {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn at(&'static self, path: &str) -> &'static dyn Provider {
        let variant = self.variants.iter().find(|(part, _)| path.contains(part));
        variant.map_or(self, |(_, plain)| plain as &dyn Provider)
    }
}

/// A format without variants: all of it is data.
#[derive(Debug)]
pub struct Plain(Spec);

impl Provider for Plain {
    fn spec(&self) -> &Spec {
        &self.0
    }

    fn at(&'static self, _: &str) -> &'static dyn Provider {
        self
    }
}

impl std::fmt::Debug for dyn Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.spec().name)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// The body of a request, as JSON.
    pub fn request(provider: &dyn Provider, ask: Ask<'_>, texts: &[&str]) -> Value {
        serde_json::from_slice(&provider.request(&ask, texts).unwrap()).unwrap()
    }

    /// An ask for model `m` alone.
    pub fn plain() -> Ask<'static> {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        Ask {
            model: Some("m"),
            dimensions: None,
            input_type: None,
            truncate: None,
            encoding: Encoding::Float32,
            numbers: false,
            input: None,
            output: None,
            batch_size: 1,
            body: &NONE,
        }
    }

    /// The endpoint that a URL becomes.
    pub fn completed(format: &str, url: &str) -> String {
        endpoint(Some(url), find(format).unwrap().spec(), "m").unwrap().to_string()
    }

    /// A recorded reply of tests/fixtures.
    pub fn fixture(path: &str) -> Vec<u8> {
        let path = format!("{}/tests/fixtures/{path}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{plain, request};
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_unique_and_lower_case() {
        let mut names: Vec<_> = all().map(|p| p.spec().name).collect();
        assert!(names.iter().all(|n| find(n).is_some() && n.to_ascii_lowercase() == **n));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().count());
    }

    /// The rows of docs/providers.md.
    /// The SDK whose requests ours are compared with, by tests/sdk.
    fn compared_with(format: &str) -> String {
        let read = |file: &str| {
            std::fs::read_to_string(format!("{}/tests/sdk/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
        };
        let of_file = read("both.py");
        let packages = of_file.split_once("PACKAGES = {").unwrap().1.split_once('}').unwrap().0;
        let line = packages.lines().find_map(|line| line.trim().strip_prefix(&format!("\"{format}\": ")));
        let Some(package) = line.map(|package| package.trim_matches([' ', '"', ','])) else {
            return "read only".into();
        };
        let pinned = read("requirements.txt") + &read("run.sh");
        let version = pinned.split_whitespace().find_map(|word| {
            let (name, version) = word.split_once("==")?;
            (name.split('[').next() == Some(package)).then_some(version)
        });
        format!("{package} {}", version.unwrap_or_else(|| panic!("{package} is not pinned")))
    }

    fn documentation() -> String {
        let mut table = String::from(
            "| format | endpoint | key | a request holds | options | facts from | compared with |\n| --- | --- | --- | --- | --- | --- | --- |\n",
        );
        for provider in all().filter(|p| !["panic", "local", "custom"].contains(&p.spec().name)) {
            let spec = provider.spec();
            let keys: Vec<_> = spec.key_env.iter().map(|key| format!("`{key}`")).collect();
            let keys = if keys.is_empty() { "`key`".into() } else { keys.join(", ") };
            let keys = match spec.auth {
                Auth::Bearer => keys,
                Auth::Header(name) => format!("{keys} by `{name}`"),
                Auth::HeaderOrBearer(name) => format!("{keys} by `{name}`, or a token as a bearer's"),
                Auth::Signed(_) | Auth::BearerOrSigned(_) => format!("{keys} (SigV4)"),
            };
            let keys = match spec.token_url {
                Some(_) => format!("{keys} for a token"),
                None => keys,
            };
            let tokens = spec.batch_tokens.map(|n| format!(", {n} tokens")).unwrap_or_default();
            let (name, url, size, source) = (spec.name, spec.url, spec.batch_size, spec.source);
            assert!(!source.is_empty(), "{name}");
            let encodings = spec.encodings.map_or(String::new(), |all| match all.int8 {
                Some(_) => "`encoding`".into(),
                None => "`encoding` (bit)".into(),
            });
            let takes = [
                (spec.dimensions.is_some(), "`dimensions`".to_owned()),
                (spec.input_type.is_some(), "`input_type`".to_owned()),
                (spec.truncate.is_some(), "`truncate`".to_owned()),
                (spec.encodings.is_some(), encodings),
            ];
            let takes: Vec<_> = takes.into_iter().filter_map(|(has, option)| has.then_some(option)).collect();
            let takes = takes.join(", ");
            table += &format!(
                "| `{name}` | `{url}` | {keys} | {size}{tokens} | {takes} | {source} | {} |\n",
                compared_with(name)
            );
        }
        table
    }

    /// `UPDATE_README=1 cargo test --lib the_table_of_providers` writes it.
    #[test]
    fn the_table_of_providers_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/providers.md");
        let page = std::fs::read_to_string(path).unwrap();
        let from = page.find("| format | endpoint |").unwrap();
        let to = from + page[from..].find("\n\n").unwrap() + 1;
        if std::env::var_os("UPDATE_README").is_some() {
            return std::fs::write(path, page[..from].to_owned() + &documentation() + &page[to..]).unwrap();
        }
        assert_eq!(&page[from..to], documentation());
    }

    /// One that the README does not name fails.
    #[test]
    fn the_readme_names_every_format() {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
        let from = readme.find("## Providers").unwrap();
        let section = &readme[from..from + readme[from..].find("## Options").unwrap()];
        for name in all().map(|p| p.spec().name).filter(|name| *name != "panic") {
            assert!(section.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn the_users_fields_win_and_the_texts_are_safe() {
        let body = json!({"encoding_format": "float", "user": "u"});
        let ask = Ask { body: body.as_object().unwrap(), ..plain() };
        assert_eq!(
            request(find("openai").unwrap(), ask, &["a"]),
            json!({"model": "m", "encoding_format": "float", "user": "u", "input": ["a"]})
        );
        let body = json!({"encoding_format": null});
        let ask = Ask { body: body.as_object().unwrap(), ..plain() };
        assert_eq!(request(find("openai").unwrap(), ask, &["a"]), json!({"model": "m", "input": ["a"]}));
        let body = json!({"input": "x"});
        let ask = Ask { body: body.as_object().unwrap(), ..plain() };
        assert!(find("openai").unwrap().accepts(&ask).unwrap_err().contains("'input'"));
    }

    #[test]
    fn every_format_takes_query_and_document() {
        for provider in all().filter(|p| p.spec().name != "panic") {
            for word in ["query", "document"] {
                let ask = Ask { input_type: Some(word), input: Some("/t"), ..plain() };
                assert!(provider.request(&ask, &["a"]).is_ok(), "{}", provider.spec().name);
            }
        }
    }

    #[test]
    fn a_word_that_cannot_be_sent_is_an_error() {
        let ask = Ask { input_type: Some("clustering"), ..plain() };
        let e = find("ollama").unwrap().request(&ask, &["a"]).unwrap_err();
        assert!(e.contains("no input types"), "{e}");
    }
}
