//! Who embeds a question: vectors of two models cannot be compared.

use std::sync::Arc;

use super::stored::{Stored, setting};
use crate::base::error::{Error, Result};
use crate::base::words::quoted;
use crate::embed::seen::Seen;
use crate::index::fingerprint::Fingerprint;
use crate::index::name::string;
use crate::sql::session::Session;

/// What a question is embedded as.
pub const INPUT_TYPE: &str = "query";

/// The client that embeds questions to an index; `None` where words alone answer: nothing is embedded yet, or another model's
/// vectors are on their way and no client has the model of those that are there.
///
/// # Errors
/// The index's client is not registered, or has another model than the index.
pub fn find(session: &Session, stored: &Stored) -> Result<Option<String>> {
    let (Some(model), Some(_)) = (stored.text(setting::MODEL), stored.dimensions()) else {
        return Ok(None);
    };
    let model = Fingerprint::from_json(model)?;
    let client = &stored.config.client;
    let of_its_client = fingerprint(session, client);
    if of_its_client.as_ref().is_ok_and(|of_its_client| *of_its_client == model) {
        return Ok(Some(client.clone()));
    }
    let is_replaced = stored.next().is_some_and(|(_, next)| next != model.to_json());
    if is_replaced {
        let others = session.client_names()?;
        return Ok(others.into_iter().find(|other| fingerprint(session, other).is_ok_and(|f| f == model)));
    }
    Err(Error::invalid(format!(
        "the vectors of the index {} are of the model {model}, and its client {} has {} now: vectors of two models cannot be \
         compared. Register the client as it was, or embed every chunk anew: SELECT rembed_sync({}, '{{\"reembed\": true}}')",
        quoted(&stored.name),
        quoted(client),
        of_its_client?,
        string(&stored.qualified())
    )))
}

fn fingerprint(session: &Session, client: &str) -> Result<Fingerprint> {
    Fingerprint::of(&session.call(client, Some(INPUT_TYPE))?)
}

/// The vector of a question, of a statement that has asked those of `seen`.
///
/// # Errors
/// As `rembed()`; another width than the index has.
pub fn embed(
    session: &Session,
    stored: &Stored,
    client: &str,
    question: &str,
    seen: &Arc<Seen>,
) -> Result<Vec<f32>> {
    let vector = session.embed_one_of(client, question, Some(INPUT_TYPE), seen)?;
    match stored.dimensions() {
        Some(dimensions) if dimensions != vector.len() => Err(wrong_width(stored, vector.len())),
        _ => Ok(vector.to_vec()),
    }
}

/// The error of a client that gives vectors of `width` dimensions, which the index has not.
pub fn wrong_width(stored: &Stored, width: usize) -> Error {
    let dimensions = stored.int(setting::NEXT_DIMENSIONS).or(stored.int(setting::DIMENSIONS)).unwrap_or(0);
    Error::invalid(format!(
        "the vectors of the index {} have {dimensions} dimensions, and its client {} gives {width}: it has another model behind \
         the same name. SELECT rembed_sync({}, '{{\"reembed\": true}}') embeds every chunk anew",
        quoted(&stored.name),
        quoted(&stored.config.client),
        string(&stored.qualified())
    ))
}
