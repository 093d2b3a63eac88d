//! Services that speak OpenAI's format at an address of their own: one line each.
//!
//! Sources: mistralai 3.7.0, together 3.1.1, huggingface_hub 1.33.0 (DeepInfra's route),
//! litellm 1.106.2 and the providers' reference pages (Fireworks, NVIDIA NIM). The ceilings are the
//! documented ones; where none is, what the widely used integrations send, or a size that all of them take (96; 32 on
//! this machine).

use super::openai::PATHS;
use super::{Auth, BASE, Encodings, Fixed, Input, InputType, Model, Plain, Spec, Truncate};

const LITELLM: &str = "litellm 1.106.2";

const fn preset(
    name: &'static str,
    url: &'static str,
    env: &'static [&'static str],
    batch: usize,
    source: &'static str,
) -> Plain {
    Plain(Spec {
        name,
        url,
        paths: PATHS,
        key_env: env,
        model: Model::SENT,
        batch_size: batch,
        batch_tokens: None,
        input: Input::List("input"),
        dimensions: Some("dimensions"),
        truncate: None,
        input_type: None,
        fixed: &[],
        source,
        ..BASE
    })
}

const NVIDIA_TYPES: InputType =
    InputType { field: "input_type", query: Some("query"), document: Some("passage"), required: true };
const OUTPUT_DTYPE: Encodings =
    Encodings { field: "output_dtype", is_list: false, int8: Some("int8"), bit: Some("ubinary") };
pub(super) static PRESETS: &[Plain] = &[
    preset("mistral", "https://api.mistral.ai/v1/embeddings", &["MISTRAL_API_KEY"], 128, "mistralai 3.7.0")
        .size_field("output_dimension")
        .encodings(OUTPUT_DTYPE)
        .tokens(16_000),
    preset("together", "https://api.together.ai/v1/embeddings", &["TOGETHER_API_KEY"], 96, "together 3.1.1"),
    preset(
        "fireworks",
        "https://api.fireworks.ai/inference/v1/embeddings",
        &["FIREWORKS_API_KEY"],
        8,
        "docs.fireworks.ai, Create embeddings",
    )
    .fixed(&[("normalize", Fixed::Flag(true))]),
    preset(
        "deepinfra",
        "https://api.deepinfra.com/v1/openai/embeddings",
        &["DEEPINFRA_API_TOKEN", "DEEPINFRA_API_KEY"],
        256,
        "huggingface_hub 1.33.0",
    ),
    preset(
        "nvidia",
        "https://integrate.api.nvidia.com/v1/embeddings",
        &["NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"],
        50,
        "langchain-nvidia-ai-endpoints 1.5.0",
    )
    .types(NVIDIA_TYPES)
    .truncate(Truncate::Word("truncate", "END", Some("NONE"))),
    preset(
        "github",
        "https://models.github.ai/inference/embeddings",
        &["GITHUB_TOKEN"],
        16,
        "github.com/github/codespaces-models, pull 28",
    ),
    preset(
        "openrouter",
        "https://openrouter.ai/api/v1/embeddings",
        &["OPENROUTER_API_KEY"],
        96,
        "openrouter.ai/docs/api_reference/embeddings",
    ),
    preset(
        "dashscope",
        "https://dashscope.aliyuncs.com/compatible-mode/v1/embeddings",
        &["DASHSCOPE_API_KEY"],
        10,
        "help.aliyun.com, OpenAI-compatible embeddings",
    ),
    preset("ark", "https://ark.cn-beijing.volces.com/api/v3/embeddings", &["ARK_API_KEY"], 96, LITELLM),
    preset(
        "siliconflow",
        "https://api.siliconflow.cn/v1/embeddings",
        &["SILICONFLOW_API_KEY"],
        32,
        "llama-index-embeddings-siliconflow",
    ),
    preset(
        "upstage",
        "https://api.upstage.ai/v1/solar/embeddings",
        &["UPSTAGE_API_KEY"],
        10,
        "langchain-upstage",
    ),
    preset("nebius", "https://api.studio.nebius.ai/v1/embeddings", &["NEBIUS_API_KEY"], 96, LITELLM),
    preset(
        "scaleway",
        "https://api.scaleway.ai/v1/embeddings",
        &["SCW_SECRET_KEY"],
        96,
        "huggingface_hub 1.33.0, litellm 1.106.2",
    ),
    preset(
        "ovh",
        "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1/embeddings",
        &["OVHCLOUD_API_KEY"],
        96,
        LITELLM,
    ),
    preset(
        "gigachat",
        "https://gigachat.devices.sberbank.ru/api/v1/embeddings",
        &["GIGACHAT_ACCESS_TOKEN"],
        96,
        LITELLM,
    ),
    preset("portkey", "https://api.portkey.ai/v1/embeddings", &["PORTKEY_API_KEY"], 96, "portkey-ai 2.3.4")
        .auth(Auth::Header("x-portkey-api-key")),
    preset("litellm", "http://localhost:4000/v1/embeddings", &["LITELLM_PROXY_API_KEY"], 96, LITELLM),
    preset("lmstudio", "http://localhost:1234/v1/embeddings", &["LM_STUDIO_API_KEY"], 32, LITELLM),
    preset(
        "vllm",
        "http://localhost:8000/v1/embeddings",
        &["VLLM_API_KEY"],
        32,
        "vllm, entrypoints/openai/protocol.py",
    ),
    preset("localai", "http://localhost:8080/v1/embeddings", &[], 32, "localai.io, embeddings"),
    preset(
        "vercel",
        "https://ai-gateway.vercel.sh/v1/embeddings",
        &["AI_GATEWAY_API_KEY", "VERCEL_AI_GATEWAY_API_KEY"],
        96,
        "litellm 1.106.2",
    ),
    preset(
        "novita",
        "https://api.novita.ai/openai/v1/embeddings",
        &["NOVITA_API_KEY"],
        96,
        "novita.ai, Create embeddings",
    ),
    preset("cometapi", "https://api.cometapi.com/v1/embeddings", &["COMETAPI_KEY"], 96, "litellm 1.106.2"),
    preset(
        "sambanova",
        "https://api.sambanova.ai/v1/embeddings",
        &["SAMBANOVA_API_KEY"],
        96,
        "litellm 1.106.2",
    ),
    preset(
        "xinference",
        "http://localhost:9997/v1/embeddings",
        &["XINFERENCE_API_KEY"],
        32,
        "litellm 1.106.2",
    ),
    preset("infinity", "http://localhost:7997/embeddings", &["INFINITY_API_KEY"], 256, "infinity-emb 0.0.78"),
];

impl Plain {
    const fn size_field(mut self, field: &'static str) -> Plain {
        self.0.dimensions = Some(field);
        self
    }

    const fn auth(mut self, auth: Auth) -> Plain {
        self.0.auth = auth;
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

    const fn encodings(mut self, encodings: Encodings) -> Plain {
        self.0.encodings = Some(encodings);
        self
    }

    const fn fixed(mut self, fixed: &'static [(&'static str, Fixed)]) -> Plain {
        self.0.fixed = fixed;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::super::testing::{plain, request};
    use serde_json::json;

    #[test]
    fn a_preset_has_its_own_field_names() {
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
