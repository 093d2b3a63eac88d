//! The pipeline: dedupe → plan → send → check.

use std::collections::HashMap;
use std::sync::Arc;

use crate::check::check;
use crate::client::Client;
use crate::error::{Error, RequestError, Result};
use crate::plan;
use crate::transport::retry::{self, GivenUp};
use crate::transport::{Headers, Interrupt};
use crate::vector::{Vectors, normalize};

/// Embeds `texts` by `client`: one embedding a text, in their order.
///
/// # Errors
/// The first request that fails for good; what a request that was too large says of the one text that is.
pub fn embed(
    client: &Client,
    texts: &[&str],
    input_type: Option<&str>,
    interrupt: &Arc<dyn Interrupt>,
) -> Result<Vectors> {
    if texts.is_empty() {
        return Ok(Vectors::default());
    }
    let headers = Headers::of(client).map_err(|text| failed(client, text))?;
    let call = Call { client, input_type, headers, interrupt };
    if let [_] = texts {
        return call.request(texts).map_err(|e| match e {
            GivenUp::TooLarge(e) | GivenUp::Failed(e) => e,
        });
    }
    let mut places = HashMap::with_capacity(texts.len());
    let mut distinct = Vec::new();
    let place: Vec<usize> = texts
        .iter()
        .map(|text| {
            *places.entry(*text).or_insert_with(|| {
                distinct.push(*text);
                distinct.len() - 1
            })
        })
        .collect();
    let vectors = call.requests(&distinct)?;
    if distinct.len() == texts.len() {
        return Ok(vectors);
    }
    let data = place.iter().flat_map(|at| vectors.row(*at)).copied().collect();
    Ok(Vectors::new(data, vectors.width()))
}

/// What the requests of one call share.
struct Call<'a> {
    client: &'a Client,
    input_type: Option<&'a str>,
    headers: Headers,
    interrupt: &'a Arc<dyn Interrupt>,
}

impl Call<'_> {
    /// Sends `texts` in as many requests as the client's limits ask for.
    fn requests(&self, texts: &[&str]) -> Result<Vectors> {
        let mut todo = plan::plan(texts, self.client.limits());
        todo.reverse();
        let (mut data, mut width) = (Vec::new(), None);
        while let Some(range) = todo.pop() {
            match self.request(&texts[range.clone()]) {
                Ok(vectors) => {
                    let (first, now) = (*width.get_or_insert(vectors.width()), vectors.width());
                    if first != now {
                        let text = format!("one reply has {now} dimensions, an earlier one {first}");
                        return Err(failed(self.client, text));
                    }
                    data.append(&mut vectors.into_data());
                }
                Err(GivenUp::TooLarge(e)) => match plan::halve(&range) {
                    Some([left, right]) => todo.extend([right, left]),
                    None => return Err(e),
                },
                Err(GivenUp::Failed(e)) => return Err(e),
            }
        }
        Ok(Vectors::new(data, width.unwrap_or(0)))
    }

    /// Sends `texts` in one request.
    fn request(&self, texts: &[&str]) -> Result<Vectors, GivenUp> {
        let client = self.client;
        let failed = |text| GivenUp::Failed(failed(client, text));
        let ask = client.ask(self.input_type);
        let body = client.provider().request(&ask, texts).map_err(failed)?;
        let reply = retry::send(client, &self.headers, &body, texts.len(), self.interrupt)?;
        let mut vectors = check(reply, texts.len(), client.options().dimensions).map_err(failed)?;
        if client.options().normalize {
            vectors.rows_mut().for_each(normalize);
        }
        Ok(vectors)
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
