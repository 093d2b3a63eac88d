//! Models that were trained with a text before each query or document, and give worse vectors without it.
//!
//! The texts come from mteb 2.26.24 (PyPI), which runs each model as its authors say; those of EmbeddingGemma stand there
//! in saga_models.py. A fine-tuned model whose name begins as that of one of these is taken for it.

/// The texts that go before a model's inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefixes {
    /// Before a query.
    pub query: &'static str,
    /// Before a document.
    pub document: &'static str,
}

const ENGLISH_PASSAGES: Prefixes =
    Prefixes { query: "Represent this sentence for searching relevant passages: ", document: "" };
const CHINESE_PASSAGES: Prefixes =
    Prefixes { query: "为这个句子生成表示以用于检索相关文章：", document: "" };
const E5: Prefixes = Prefixes { query: "query: ", document: "passage: " };
const E5_INSTRUCT: Prefixes = Prefixes {
    query: "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ",
    document: "",
};
const QWEN3: Prefixes = Prefixes {
    query: "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
    document: "",
};
const NOMIC: Prefixes = Prefixes { query: "search_query: ", document: "search_document: " };
const GEMMA: Prefixes = Prefixes { query: "task: search result | query: ", document: "title: none | text: " };

/// Models by how their names begin, the longer beginning first.
const KNOWN: &[(&str, Prefixes)] = &[
    ("nomic-embed-text", NOMIC),
    ("multilingual-e5-large-instruct", E5_INSTRUCT),
    ("multilingual-e5-", E5),
    ("e5-mistral-7b-instruct", E5_INSTRUCT),
    ("e5-small", E5),
    ("e5-base", E5),
    ("e5-large", E5),
    ("bge-small-zh", CHINESE_PASSAGES),
    ("bge-base-zh", CHINESE_PASSAGES),
    ("bge-large-zh", CHINESE_PASSAGES),
    ("bge-small", ENGLISH_PASSAGES),
    ("bge-base", ENGLISH_PASSAGES),
    ("bge-large", ENGLISH_PASSAGES),
    ("mxbai-embed-large", ENGLISH_PASSAGES),
    ("qwen3-embedding", QWEN3),
    ("embeddinggemma", GEMMA),
];

/// What a model is known to want. Its name may have an owner before it (`BAAI/bge-small-en-v1.5`) and a tag or a
/// quantisation behind it (`nomic-embed-text:v1.5`, `qwen3-embedding-0.6b-q8_0.gguf`).
pub fn of_model(model: &str) -> Option<Prefixes> {
    let name = model.rsplit(['/', '\\']).next().unwrap_or(model).to_ascii_lowercase();
    let known = KNOWN.iter().find(|(start, _)| name.starts_with(start));
    known.filter(|_| !name.contains("noinstruct")).map(|(_, prefixes)| *prefixes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_by_the_names_that_servers_give_it() {
        for (model, wanted) in [
            ("nomic-embed-text", NOMIC),
            ("nomic-embed-text:v1.5", NOMIC),
            ("/models/nomic-embed-text-v2-moe.Q8_0.gguf", NOMIC),
            ("intfloat/multilingual-e5-small", E5),
            ("intfloat/e5-base-v2", E5),
            ("intfloat/multilingual-e5-large-instruct", E5_INSTRUCT),
            ("BAAI/bge-large-zh-v1.5", CHINESE_PASSAGES),
            ("@cf/baai/bge-base-en-v1.5", ENGLISH_PASSAGES),
            ("bge-large", ENGLISH_PASSAGES),
            ("mxbai-embed-large", ENGLISH_PASSAGES),
            ("Qwen/Qwen3-Embedding-0.6B", QWEN3),
            ("hf.co/Qwen/Qwen3-Embedding-0.6B-GGUF:Q8_0", QWEN3),
            ("embeddinggemma:300m", GEMMA),
        ] {
            assert_eq!(of_model(model), Some(wanted), "{model}");
        }
    }

    #[test]
    fn other_models_want_nothing() {
        for model in [
            "",
            "text-embedding-3-small",
            "bge-m3",
            "BAAI/bge-multilingual-gemma2",
            "my-bge-small",
            "bge-large-zh-noinstruct",
        ] {
            assert_eq!(of_model(model), None, "{model}");
        }
    }

    #[test]
    fn a_longer_beginning_stands_before_a_shorter_one() {
        for (at, (start, _)) in KNOWN.iter().enumerate() {
            assert!(!KNOWN[..at].iter().any(|(before, _)| start.starts_with(before)), "{start}");
        }
    }
}
