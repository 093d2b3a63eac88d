//! What a format is, as data.

use serde::Serialize;
use serde_json::Value;

use super::url::Paths;
use crate::base::vector::Encoding;

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
    /// How vectors of fewer bits are asked for.
    pub encodings: Option<Encodings>,
    /// Who gives a token for a key, where the servers take tokens alone.
    pub token_url: Option<&'static str>,
    /// Where the vectors stand in a reply, as a JSON pointer with `*` for a list; none for the usual places.
    pub output: Option<&'static str>,
    /// The SDK or page that the facts come from.
    pub source: &'static str,
}

/// What most formats have in common.
pub(super) const BASE: Spec = Spec {
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
    encodings: None,
    token_url: None,
    output: None,
    source: "",
};

impl Spec {
    /// Whether the format has no server of its own, so that a client needs a URL. Its `url` shows one.
    pub fn needs_url(&self) -> bool {
        self.url.replace("{model}", "").replace("{id}", "").contains('{')
    }

    /// The field that says whether over-long text is cut, and what it says; none where nothing is asked or it has no word.
    pub(super) fn truncation(&self, asked: Option<bool>) -> Option<(&'static str, Fixed)> {
        match (self.truncate?, asked?) {
            (Truncate::Flag(field), yes) => Some((field, Fixed::Flag(yes))),
            (Truncate::Word(field, word, _), true) => Some((field, Fixed::Text(word))),
            (Truncate::Word(field, _, word), false) => word.map(|word| (field, Fixed::Text(word))),
        }
    }

    /// Whether a request is more than one flat object.
    pub(super) fn has_paths(&self) -> bool {
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

/// How vectors of fewer bits are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Encodings {
    /// The field.
    pub field: &'static str,
    /// Whether it takes a list of them.
    pub is_list: bool,
    /// The word for bytes; none where the provider has none.
    pub int8: Option<&'static str>,
    /// The word for bits, eight to a number from 0 to 255.
    pub bit: Option<&'static str>,
}

impl Encodings {
    pub(super) fn word(&self, encoding: Encoding) -> Option<&'static str> {
        match encoding {
            Encoding::Float32 => None,
            Encoding::Int8 => self.int8,
            Encoding::Bit => self.bit,
        }
    }
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

impl Fixed {
    /// As JSON.
    pub(super) fn json(&self) -> Value {
        match self {
            Fixed::Text(text) => (*text).into(),
            Fixed::Flag(flag) => (*flag).into(),
            Fixed::Number(n) => (*n).into(),
            Fixed::Words(words) => words.to_vec().into(),
        }
    }

    /// Whether it asks for vectors as base64.
    pub(super) fn is_base64(&self) -> bool {
        matches!(self, Fixed::Text("base64"))
    }
}
