//! Services that speak OpenAI's format at an address of their own: one line each.
//!
//! Sources: voyageai 0.5.0, mistralai 3.7.0, together 3.1.1, huggingface_hub 1.33.0 (DeepInfra's route),
//! litellm 1.106.2 and the providers' reference pages (Fireworks, NVIDIA NIM). The ceilings are the
//! documented ones or, where none is, what the widely used integrations send.

use super::openai::PATHS;
use super::{Fixed, Input, InputType, Plain, Spec, Truncate};

const fn preset(name: &'static str, url: &'static str, env: &'static [&'static str], batch: usize) -> Plain {
    Plain(Spec {
        name,
        url,
        paths: PATHS,
        key_env: env,
        model_required: true,
        batch_size: batch,
        batch_tokens: None,
        input: Input::List("input"),
        dimensions: Some("dimensions"),
        truncate: None,
        input_type: None,
        fixed: &[],
    })
}

const VOYAGE_TYPES: InputType =
    InputType { field: "input_type", query: Some("query"), document: Some("document"), required: false };
const NVIDIA_TYPES: InputType =
    InputType { field: "input_type", query: Some("query"), document: Some("passage"), required: true };
const BASE64: &[(&str, Fixed)] = &[("encoding_format", Fixed::Text("base64"))];

pub(super) static PRESETS: &[Plain] = &[
    preset("voyage", "https://api.voyageai.com/v1/embeddings", &["VOYAGE_API_KEY"], 128)
        .size_field("output_dimension")
        .types(VOYAGE_TYPES)
        .truncate(Truncate::Flag("truncation"))
        .tokens(120_000)
        .fixed(BASE64),
    preset("mistral", "https://api.mistral.ai/v1/embeddings", &["MISTRAL_API_KEY"], 128)
        .size_field("output_dimension")
        .tokens(16_000),
    preset("together", "https://api.together.ai/v1/embeddings", &["TOGETHER_API_KEY"], 96),
    preset("fireworks", "https://api.fireworks.ai/inference/v1/embeddings", &["FIREWORKS_API_KEY"], 8)
        .fixed(&[("normalize", Fixed::Flag(true))]),
    preset(
        "deepinfra",
        "https://api.deepinfra.com/v1/openai/embeddings",
        &["DEEPINFRA_API_TOKEN", "DEEPINFRA_API_KEY"],
        256,
    ),
    preset(
        "nvidia",
        "https://integrate.api.nvidia.com/v1/embeddings",
        &["NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"],
        50,
    )
    .types(NVIDIA_TYPES)
    .truncate(Truncate::Word("truncate", "END", Some("NONE"))),
];

impl Plain {
    const fn size_field(mut self, field: &'static str) -> Plain {
        self.0.dimensions = Some(field);
        self
    }

    const fn types(mut self, types: InputType) -> Plain {
        self.0.input_type = Some(types);
        self
    }

    const fn truncate(mut self, truncate: Truncate) -> Plain {
        self.0.truncate = Some(truncate);
        self
    }

    const fn tokens(mut self, tokens: usize) -> Plain {
        self.0.batch_tokens = Some(tokens);
        self
    }

    const fn fixed(mut self, fixed: &'static [(&'static str, Fixed)]) -> Plain {
        self.0.fixed = fixed;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{plain, request};
    use super::super::{Ask, find};
    use serde_json::json;

    #[test]
    fn a_preset_has_its_own_field_names() {
        let ask = Ask { dimensions: Some(256), input_type: Some("query"), truncate: Some(true), ..plain() };
        assert_eq!(
            request(find("voyage").unwrap(), ask, &["a"]),
            json!({"model": "m", "encoding_format": "base64", "output_dimension": 256, "truncation": true,
                   "input_type": "query", "input": ["a"]})
        );
        assert_eq!(
            request(find("nvidia").unwrap(), plain(), &["a"]),
            json!({"model": "m", "input_type": "passage", "input": ["a"]})
        );
        assert_eq!(
            request(find("fireworks").unwrap(), plain(), &["a"]),
            json!({"model": "m", "normalize": true, "input": ["a"]})
        );
    }
}
