//! What a user said of a client becomes one, or an error that says what to change.

use std::sync::Arc;

use ureq::http::Uri;

use super::options::{self, Options};
use super::pace::Pace;
use super::token::Tokens;
use super::{Client, identity, policy};
use crate::base::error::{Error, Result};
use crate::base::vector::Encoding;
use crate::base::words::{did_you_mean, quoted};
use crate::local;
use crate::provider::{self, prefixes};

impl Client {
    /// Makes the client `name` of what a user said of it.
    ///
    /// # Errors
    /// A format that does not exist or none at all, a URL that cannot work or may not be reached, an option
    /// that the format cannot carry out.
    pub fn new(name: &str, options: Options) -> Result<Arc<Client>> {
        if name.is_empty() {
            return Err(Error::invalid("a client needs a name"));
        }
        let Some(format) = options.format.clone() else {
            return Err(Error::invalid(format!("client '{name}' needs a format: one of {}", formats())));
        };
        let Some(provider) = provider::find(&format) else {
            if format == "local" {
                return Err(Error::invalid(format!(
                    "client '{name}': this library was built without format 'local' (Cargo feature local)"
                )));
            }
            return Err(Error::invalid(format!(
                "client '{name}': unknown format {}.{} The formats are: {}",
                quoted(&format),
                did_you_mean(&format, provider::all().map(|p| p.spec().name)),
                formats()
            )));
        };
        let invalid = |text: String| Error::invalid(format!("client '{name}' ({format}): {text}"));
        let spec = provider.spec();
        let local = match spec.name {
            "local" => Some(open_local(&options).map_err(invalid)?),
            _ => None,
        };
        let (endpoint, model) = match &local {
            Some(local) => (Uri::default(), local.path()),
            None => {
                let model = options.model.clone().unwrap_or_else(|| name.into());
                let endpoint = provider::endpoint(options.url.as_deref(), spec, &model).map_err(invalid)?;
                policy::check_host(&endpoint).map_err(invalid)?;
                (endpoint, model)
            }
        };
        let token_url = provider::token_url(options.token_url.as_deref(), spec).map_err(invalid)?;
        if let (Some(url), true) = (&token_url, options.token_url.is_some()) {
            policy::check_host(url).map_err(invalid)?;
            if let Some(options::Key::Secret(key)) = &options.key {
                policy::check_key(url, options.allow_http)
                    .map_err(|e| invalid(format!("{e} (key: {key}, which goes to token_url)")))?;
            }
        }
        let identity = identity::identity(spec.name, &endpoint, &model, &options);
        let mut client = Client {
            name: name.into(),
            provider: provider.at(endpoint.path()),
            endpoint,
            local,
            model,
            options,
            prefixes: None,
            identity,
            default_request: Err(String::new()),
            untyped_request: [0; 32],
            stats: Arc::default(),
            pace: Pace::of(identity),
            learned: Arc::default(),
            token_url,
            at_origin: false,
            tokens: Tokens::of(identity),
        };
        client.at_origin = client.is_at_its_origin();
        // Of format 'custom' the user writes the request, and with it what a text needs.
        let is_plain = spec.input_type.is_none() && spec.name != "custom";
        client.prefixes = client.ask(None).model.filter(|_| is_plain).and_then(prefixes::of_model);
        client.check_certificate().map_err(invalid)?;
        client.check_kind_of_key().map_err(invalid)?;
        client.provider.accepts(&client.ask(None)).map_err(invalid)?;
        if client.options.normalize && client.encoding() != Encoding::Float32 {
            let encoding = client.encoding().name();
            return Err(invalid(format!(
                "vectors of encoding '{encoding}' cannot be scaled: leave out normalize"
            )));
        }
        client.default_request = client.request_id(None);
        // A format may need a type for each request: then its vectors are told apart by it.
        let untyped = client.untyped_request_id().or_else(|_| client.default_request.clone());
        client.untyped_request = untyped.unwrap_or_default();
        if let Some(options::Key::Secret(key)) = &client.options.key {
            policy::check_key(&client.endpoint, client.options.allow_http)
                .map_err(|e| invalid(format!("{e} (key: {key})")))?;
        }
        if policy::keys_of_query(&client.endpoint).next().is_some() {
            policy::check_key(&client.endpoint, client.options.allow_http)
                .map_err(|e| invalid(format!("{e} (the url holds it)")))?;
        }
        if let Some((header, _)) = client.options.headers.iter().find(|(n, v)| policy::is_secret(n, v)) {
            policy::check_key(&client.endpoint, client.options.allow_http)
                .map_err(|e| invalid(format!("{e} (header: {header})")))?;
        }
        Ok(Arc::new(client))
    }

    /// What cannot be meant by the options of a certificate.
    fn check_certificate(&self) -> Result<(), String> {
        match (&self.options.client_cert, &self.options.client_key) {
            (None, Some(_)) => {
                Err("client_key needs client_cert, the certificate that it is the key of".into())
            }
            (Some(_), _) if self.endpoint.scheme_str() != Some("https") => {
                Err("client_cert is shown by TLS alone: the url must start with https://".into())
            }
            _ => Ok(()),
        }
    }
}

/// The model inside the process that `options` ask for.
fn open_local(options: &Options) -> Result<local::Model, String> {
    let given = [("url", options.url.is_some()), ("key", options.key.is_some())];
    let given = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
    let shown = options.shown.keys().map(String::as_str);
    let known = options::local_options();
    if let Some(name) = given.chain(shown).find(|name| !known.contains(name)) {
        return Err(format!(
            "the model runs in this process, so the option '{name}' means nothing: leave it out. The options are: {}",
            known.join(", ")
        ));
    }
    let model = local::Model::open(options.model.as_deref())?;
    model.prefix(options.input_type.as_deref())?;
    Ok(model)
}

fn formats() -> String {
    provider::all().map(|p| p.spec().name).collect::<Vec<_>>().join(", ")
}
