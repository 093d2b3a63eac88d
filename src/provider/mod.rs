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
#[cfg(feature = "rigged")]
mod rigged;
mod sagemaker;
mod tree;
mod url;
mod vertex;
mod watsonx;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};

pub use failure::{Failure, HttpReply, Verdict};
pub use json::GoOn;
pub use reply::{NO_INDEX, Reply, read, read_at};
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

/// What a format is, as data.
#[derive(Debug)]
pub struct Spec {
    /// The name users write.
    pub name: &'static str,
    /// The endpoint used when no URL is given.
    pub url: &'static str,
    /// How a base URL becomes an endpoint.
    pub paths: Paths,
    /// Environment variables that hold the key, the official SDK's own first.
    pub key_env: &'static [&'static str],
    /// Where the model's name goes.
    pub model: Model,
    /// Texts in one request at most.
    pub batch_size: usize,
    /// Estimated tokens in one request at most.
    pub batch_tokens: Option<usize>,
    /// The field of the texts.
    pub input: Input,
    /// The field that asks for a width.
    pub dimensions: Option<&'static str>,
    /// The field that says whether over-long text is cut.
    pub truncate: Option<Truncate>,
    /// The field that tells queries from documents.
    pub input_type: Option<InputType>,
    /// Fields that every request has.
    pub fixed: &'static [(&'static str, Fixed)],
    /// The header of the key.
    pub auth: Auth,
    /// Who gives a token for a key, where the servers take tokens alone.
    pub token_url: Option<&'static str>,
    /// Where the vectors stand in a reply, as a JSON pointer with `*` for a list; none for the usual places.
    pub output: Option<&'static str>,
    /// The SDK or page that the facts come from.
    pub source: &'static str,
}

/// What most formats have in common.
const BASE: Spec = Spec {
    name: "",
    url: "",
    paths: Paths { bare: "", complete: &[], prefix: &[], other: None },
    key_env: &[],
    model: Model::SENT,
    batch_size: 1,
    batch_tokens: None,
    input: Input::List("input"),
    dimensions: None,
    truncate: None,
    input_type: None,
    fixed: &[],
    auth: Auth::Bearer,
    token_url: None,
    output: None,
    source: "",
};

impl Spec {
    /// Whether the format has no server of its own, so that a client needs a URL. Its `url` shows one.
    pub fn needs_url(&self) -> bool {
        self.url.replace("{model}", "").replace("{id}", "").contains('{')
    }

    /// Whether a request is more than one flat object.
    fn has_paths(&self) -> bool {
        self.input.field().contains('/')
    }
}

/// Where the model's name goes.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// The field; none where the name stands in the URL alone.
    pub field: Option<&'static str>,
    /// What goes before the name in the field.
    pub prefix: &'static str,
    /// Whether it is sent even when the user named none (then it is the client's name).
    pub required: bool,
}

impl Model {
    /// In the field `model`, always.
    pub const SENT: Model = Model { field: Some("model"), prefix: "", required: true };
    /// In the field `model`, if the user named one.
    pub const IF_NAMED: Model = Model { required: false, ..Model::SENT };
    /// In the URL, or nowhere.
    pub const IN_URL: Model = Model { field: None, ..Model::SENT };
}

/// How a request says who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer …`
    Bearer,
    /// The key in this header.
    Header(&'static str),
    /// The same, but a token of an identity provider (a JWT) as a bearer's.
    HeaderOrBearer(&'static str),
    /// The signature of an access key of AWS, for this service.
    Signed(&'static str),
    /// The same, or a bearer's token.
    BearerOrSigned(&'static str),
}

impl Auth {
    /// The header of `key`, and what stands before the key in it.
    pub fn header(self, key: &str) -> (&'static str, &'static str) {
        match self {
            Auth::Header(name) => (name, ""),
            Auth::HeaderOrBearer(name) if !is_jwt(key) => (name, ""),
            _ => ("authorization", "Bearer "),
        }
    }

    /// The service that a signature is for, where requests may be signed.
    pub fn signs_for(self) -> Option<&'static str> {
        match self {
            Auth::Signed(service) | Auth::BearerOrSigned(service) => Some(service),
            Auth::Bearer | Auth::Header(_) | Auth::HeaderOrBearer(_) => None,
        }
    }
}

/// Whether a key is a JSON Web Token: three parts of base64, of which the first is a JSON object.
pub(crate) fn is_jwt(key: &str) -> bool {
    key.starts_with("eyJ") && key.split('.').count() == 3
}

/// How texts are sent.
#[derive(Debug, Clone, Copy)]
pub enum Input {
    /// As an array in this field.
    List(&'static str),
    /// As an array in this field, a lone text as a string.
    TextOrList(&'static str),
    /// As a string in this field, one a request.
    Text(&'static str),
    /// In an object each, in an array. A field is a path; `*` is the array that has an object for each text.
    Items(&'static str),
}

impl Input {
    /// The field's name.
    pub fn field(&self) -> &'static str {
        match self {
            Input::List(field) | Input::TextOrList(field) | Input::Text(field) | Input::Items(field) => field,
        }
    }
}

/// How truncation is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Truncate {
    /// A boolean field.
    Flag(&'static str),
    /// A field with a word for yes and, where there is one, a word for no.
    Word(&'static str, &'static str, Option<&'static str>),
}

/// How queries and documents are told apart.
#[derive(Debug, Clone, Copy)]
pub struct InputType {
    /// The field.
    pub field: &'static str,
    /// The provider's word for `query`; `None` leaves the field out.
    pub query: Option<&'static str>,
    /// The provider's word for `document`; `None` leaves the field out.
    pub document: Option<&'static str>,
    /// Whether a request without one is an error of the provider, so that `document` is sent.
    pub required: bool,
}

/// A constant field's value.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub enum Fixed {
    /// A string.
    Text(&'static str),
    /// A boolean.
    Flag(bool),
    /// A number.
    Number(usize),
    /// An array of one string.
    Words([&'static str; 1]),
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
            false => write(self.spec(), ask, typed, texts).map_err(|e| e.to_string()),
        }
    }

    /// Reads the body of a reply with status 200, as long as `go_on` says so.
    ///
    /// # Errors
    /// A body that holds no embeddings, in words for the user; a stop.
    fn reply(&self, body: &[u8], go_on: GoOn<'_>) -> Result<Reply, Failure> {
        read_at(body, self.spec().output.unwrap_or_default(), go_on)
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

/// Writes the body of a request; the user's fields win over ours.
fn write(
    spec: &Spec,
    ask: &Ask<'_>,
    input_type: Option<(&str, &str)>,
    texts: &[&str],
) -> serde_json::Result<Vec<u8>> {
    let room: usize = texts.iter().map(|t| t.len() + t.len() / 8 + 4).sum();
    let mut json = serde_json::Serializer::new(Vec::with_capacity(room + 256));
    let mut body = json.serialize_map(None)?;
    let ours = |name: &str| !ask.body.contains_key(name);
    if let (Some(name), Some(model)) = (spec.model.field.filter(|name| ours(name)), ask.model) {
        body.serialize_entry(name, model)?;
    }
    let wanted = |value: &Fixed| !(ask.numbers && matches!(value, Fixed::Text("base64")));
    for (name, value) in spec.fixed.iter().filter(|(name, value)| ours(name) && wanted(value)) {
        body.serialize_entry(name, value)?;
    }
    if let (Some(name), Some(n)) = (spec.dimensions.filter(|name| ours(name)), ask.dimensions) {
        body.serialize_entry(name, &n)?;
    }
    match (spec.truncate, ask.truncate) {
        (Some(Truncate::Flag(name)), Some(yes)) if ours(name) => body.serialize_entry(name, &yes)?,
        (Some(Truncate::Word(name, word, _)), Some(true)) if ours(name) => {
            body.serialize_entry(name, word)?
        }
        (Some(Truncate::Word(name, _, Some(word))), Some(false)) if ours(name) => {
            body.serialize_entry(name, word)?;
        }
        _ => {}
    }
    if let Some((name, word)) = input_type.filter(|(name, _)| ours(name)) {
        body.serialize_entry(name, word)?;
    }
    // null takes a field out, for servers that refuse what they do not know.
    for (name, value) in ask.body.iter().filter(|(_, value)| !value.is_null()) {
        body.serialize_entry(name, value)?;
    }
    match (spec.input, texts) {
        (Input::Text(name) | Input::TextOrList(name), [one]) => body.serialize_entry(name, one)?,
        (input, many) => body.serialize_entry(input.field(), many)?,
    }
    body.end()?;
    Ok(json.into_inner())
}

/// Whether the fields of a format can carry out an ask.
fn accepts(spec: &Spec, ask: &Ask<'_>) -> Result<(), String> {
    let name = spec.name;
    for (option, given) in [("input", ask.input), ("output", ask.output)] {
        if given.is_some() {
            return Err(format!("the option '{option}' is for format 'custom' alone: leave it out"));
        }
    }
    if ask.truncate.is_some() && spec.truncate.is_none() {
        return Err(format!(
            "format '{name}' has no option 'truncate': leave it out, or set the server's own field by 'body'"
        ));
    }
    if let (Some(false), Some(Truncate::Word(_, _, None))) = (ask.truncate, spec.truncate) {
        return Err(format!("format '{name}' cannot be asked not to truncate"));
    }
    let field = spec.input.field().split('/').next().unwrap_or_default();
    if !matches!(spec.input, Input::Text(path) if path.contains('/')) && ask.body.contains_key(field) {
        return Err(format!("option 'body' may not set '{field}', which holds the texts"));
    }
    input_type(spec, ask.input_type).map(drop)
}

/// The field and word that `asked` becomes for a format.
///
/// `query` and `document` are accepted everywhere, so that one SQL text serves symmetric models too.
fn input_type<'a>(spec: &Spec, asked: Option<&'a str>) -> Result<Option<(&'static str, &'a str)>, String> {
    let Some(types) = &spec.input_type else {
        return match asked {
            None | Some("query" | "document") => Ok(None),
            Some(word) => Err(format!(
                "format '{}' has no input types, so {} cannot be sent: put the model's prefix into the text, \
                 or set the server's own field by the option 'body'",
                spec.name,
                crate::base::words::quoted(word)
            )),
        };
    };
    let word = match asked {
        Some("query") => types.query,
        Some("document") => types.document,
        None if types.required => types.document,
        own => own,
    };
    Ok(word.map(|word| (types.field, word)))
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
    fn documentation() -> String {
        let mut table = String::from(
            "| format | endpoint | key | a request holds | source |\n| --- | --- | --- | --- | --- |\n",
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
            table += &format!("| `{name}` | `{url}` | {keys} | {size}{tokens} | {source} |\n");
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
