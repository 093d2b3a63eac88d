//! The APIs: how each reads a request, writes the vectors and words its errors.

pub mod cloud;
mod cohere;
mod llama;
mod nomic;
mod ollama;
mod openai;

use serde_json::{Value, json};

use self::cloud::Cloud;
use crate::answer::Answer;
use crate::ask::{Ask, tokens};
use crate::rows::Row;
use crate::scenario::{Flavor, Settings, Shape};

/// One wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `/v1/embeddings` of one of the many who have it.
    OpenAi(Flavor),
    /// `/embedding` of llama-server or llamafile.
    Llama,
    /// `/api/embed`
    OllamaEmbed,
    /// `/api/embeddings`
    OllamaLegacy,
    /// `/v1/embed`
    CohereV1,
    /// `/v2/embed`
    CohereV2,
    /// `/v1/embedding/text`
    Nomic,
    /// A cloud's own envelope.
    Cloud(Cloud),
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    Embed(Api),
    Health,
    Models,
    User,
    /// Where an API key is exchanged for a token.
    Token,
    Unknown,
}

impl Route {
    /// Segments are told apart before they are decoded, so that `%2F` may stand in a name.
    pub fn find(path: &str, body: &Value, settings: &Settings) -> Self {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match segments[..] {
            ["v1", "embeddings"] | ["embeddings"] if llama::is_native(body) => Self::Embed(Api::Llama),
            ["v1", "embeddings"]
            | ["embeddings"]
            | ["openai", "v1", "embeddings"]
            | ["openai", "deployments", .., "embeddings"] => {
                Self::Embed(Api::OpenAi(openai::flavor(body, settings)))
            }
            ["embedding"] => Self::Embed(Api::Llama),
            ["api", "embed"] => Self::Embed(Api::OllamaEmbed),
            ["api", "embeddings"] => Self::Embed(Api::OllamaLegacy),
            ["v1", "embed"] => Self::Embed(Api::CohereV1),
            ["v2", "embed"] => Self::Embed(Api::CohereV2),
            ["v1", "embedding", "text"] => Self::Embed(Api::Nomic),
            ["health"] | ["v1", "health"] => Self::Health,
            ["v1", "models"] => Self::Models,
            ["v1", "user"] => Self::User,
            ["identity", "token"] => Self::Token,
            ["model", id, "invoke"] if id.contains("cohere") => Self::Embed(Api::CohereV1),
            _ => match (Cloud::find(&segments), &segments[..]) {
                (Some(cloud), _) => Self::Embed(Api::Cloud(cloud)),
                // OpenAI's format at another's path.
                (
                    None,
                    [.., "v1" | "v3" | "openai" | "solar" | "inference" | "serving-endpoints", "embeddings"],
                ) => Self::Embed(Api::OpenAi(openai::flavor(body, settings))),
                _ => Self::Unknown,
            },
        }
    }
}

impl Api {
    /// Understands a request, or refuses it as the provider would.
    pub fn read<'a>(self, body: &'a Value, settings: &'a Settings) -> Result<Ask<'a>, Answer> {
        let ask = match self {
            Self::OpenAi(flavor) => openai::read(flavor, body, settings),
            Self::Llama => llama::read(body, settings),
            Self::OllamaEmbed => ollama::read(body, settings),
            Self::OllamaLegacy => ollama::read_legacy(body, settings),
            Self::CohereV1 | Self::CohereV2 => cohere::read(self, body, settings),
            Self::Nomic => nomic::read(body, settings),
            Self::Cloud(cloud) => cloud.read(body, settings),
        }?;
        self.check_count(&ask, settings)?;
        self.check_lengths(&ask, settings)?;
        Ok(ask)
    }

    /// Writes a good reply.
    pub fn write(self, ask: &Ask, rows: &[Row], settings: &Settings) -> Vec<u8> {
        match self {
            Self::OpenAi(flavor) => openai::write(flavor, ask, rows, settings),
            Self::Llama => llama::write(ask, rows, settings),
            Self::OllamaEmbed => ollama::write(ask, rows, settings),
            Self::OllamaLegacy => ollama::write_legacy(rows),
            Self::CohereV1 | Self::CohereV2 => cohere::write(self, ask, rows, settings),
            Self::Nomic => nomic::write(ask, rows, settings),
            Self::Cloud(cloud) => cloud.write(ask, rows),
        }
    }

    /// Words an error.
    pub fn error(self, status: u16, message: &str, settings: &Settings) -> Answer {
        match self {
            Self::OpenAi(flavor) => openai::error(flavor, status, message),
            Self::Llama if settings.shape == Shape::Llamafiler => Answer::plain(status, message),
            Self::Llama => llama::error(status, message),
            Self::OllamaEmbed | Self::OllamaLegacy => Answer::json(status, &json!({"error": message})),
            Self::CohereV1 | Self::CohereV2 => Answer::json(status, &json!({"message": message})),
            Self::Nomic => Answer::json(status, &json!({"detail": message})),
            Self::Cloud(cloud) => cloud.error(status, message),
        }
    }

    /// The provider's own words for a status.
    pub fn failure(self, status: u16, settings: &Settings) -> Answer {
        let message = match (status, self) {
            (401, Self::OpenAi(Flavor::Openai)) => "Incorrect API key provided.",
            (401, Self::OpenAi(Flavor::Llama) | Self::Llama) => "Invalid API Key",
            (401, Self::OpenAi(Flavor::Voyage)) => "Provided API key is invalid.",
            (401, Self::CohereV1 | Self::CohereV2) => "invalid api token",
            (401, Self::OllamaEmbed | Self::OllamaLegacy) => "unauthorized",
            (401, _) => "Unauthorized",
            (429, Self::OpenAi(Flavor::Mistral)) => "Requests rate limit exceeded",
            (429, _) => "Rate limit reached for requests",
            (503, Self::OpenAi(Flavor::Llama) | Self::Llama) => "Loading model",
            (503, Self::OllamaEmbed | Self::OllamaLegacy) => {
                "server busy, please try again.  maximum pending requests exceeded"
            }
            (500.., _) => "The server had an error while processing your request",
            _ => "The request was refused",
        };
        self.error(status, message, settings)
    }

    fn check_count(self, ask: &Ask, settings: &Settings) -> Result<(), Answer> {
        let count = ask.texts.len();
        if let Some(limit) = settings.max_batch.filter(|&limit| count > limit) {
            let message = format!("batch size {count} > maximum allowed batch size {limit}");
            return Err(self.error(400, &message, settings));
        }
        if settings.max_texts_too_large.is_some_and(|limit| count > limit) {
            return Err(if self == Self::OpenAi(Flavor::Mistral) {
                self.error(400, "Too many tokens in batch. Max is 16384 got 20000", settings)
            } else {
                self.error(413, "Request too large", settings)
            });
        }
        Ok(())
    }

    fn check_lengths(self, ask: &Ask, settings: &Settings) -> Result<(), Answer> {
        let Some(limit) = settings.max_tokens_per_text else {
            return Ok(());
        };
        let Some(got) = ask.texts.iter().map(|text| tokens(text)).find(|&got| got > limit) else {
            return Ok(());
        };
        let truncate = &ask.body["truncate"];
        match self {
            Self::Llama if settings.shape == Shape::Llamafiler => Ok(()),
            Self::OllamaEmbed if *truncate == false => {
                Err(self.error(400, "the input length exceeds the context length", settings))
            }
            Self::CohereV1 | Self::CohereV2 if truncate == "NONE" => {
                Err(self.error(400, &format!("invalid request: text is too long: {got} tokens"), settings))
            }
            Self::OllamaEmbed
            | Self::OllamaLegacy
            | Self::CohereV1
            | Self::CohereV2
            | Self::Nomic
            | Self::Cloud(_) => Ok(()),
            Self::OpenAi(_) if settings.flavor.is_some_and(|flavor| flavor != Flavor::Llama) => {
                let message = format!(
                    "This model's maximum context length is {limit} tokens, however you requested {got} tokens \
                     ({got} in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
                );
                Err(self.error(400, &message, settings))
            }
            Self::OpenAi(_) | Self::Llama => Err(llama::too_large(got, limit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_apis() {
        let find = |path, body| Route::find(path, &body, &Settings::default());
        let input = || json!({"input": "a"});
        let openai = Route::Embed(Api::OpenAi(Flavor::Openai));
        assert_eq!(find("/v1/embeddings", input()), openai);
        assert_eq!(find("/v1/embeddings/", input()), openai);
        assert_eq!(find("/embeddings", input()), openai);
        assert_eq!(find("/openai/deployments/my%2Fmodel/embeddings", input()), openai);
        assert_eq!(find("/embeddings", json!({"content": "a"})), Route::Embed(Api::Llama));
        assert_eq!(find("/v1/embeddings", json!({"content": "a"})), Route::Embed(Api::Llama));
        assert_eq!(find("/v1%2Fembeddings", input()), Route::Unknown);
        assert_eq!(find("/", input()), Route::Unknown);
    }
}
