//! Every wire format against a provider that speaks it: the same text has the same vector by all of them.

use rusqlite::Connection;
use serde_json::{Value, json};
use sqlite_host::*;

const TEXT: &str = "The quick brown fox ☕";

/// Formats, the paths that their clients are given, and what the reply may look like.
const WAYS: [(&str, &str, &str); 24] = [
    ("openai", "/v1/embeddings", "{}"),
    ("openai", "/v1/", "{}"),
    ("openai", "/openai/deployments/d/embeddings?api-version=2024-10-21", "{}"),
    ("openai", "/v1", "{\"no_index\":true,\"no_usage\":true}"),
    ("openai", "/v1", "{\"float_only\":true}"),
    ("openai", "/v1", "{\"gzip\":true}"),
    ("openai", "/v1", "{\"flavor\":\"llama\"}"),
    ("jina", "/v1", "{\"flavor\":\"jina\"}"),
    ("mixedbread", "/v1", "{\"flavor\":\"mixedbread\"}"),
    ("voyage", "/v1", "{\"flavor\":\"voyage\"}"),
    ("mistral", "/v1", "{\"flavor\":\"mistral\"}"),
    ("together", "/v1", "{\"flavor\":\"together\"}"),
    ("fireworks", "/v1", "{}"),
    ("deepinfra", "/v1", "{}"),
    ("ollama", "", "{}"),
    ("ollama", "/api", "{}"),
    ("ollama", "/v1", "{\"flavor\":\"ollama\"}"),
    ("llamafile", "/v1", "{\"flavor\":\"llama\"}"),
    ("llamafile", "/embedding", "{\"shape\":\"native\"}"),
    ("llamafile", "/embedding", "{\"shape\":\"flat\"}"),
    ("llamafile", "/embedding", "{\"shape\":\"nested\"}"),
    ("llamafile", "/embedding", "{\"shape\":\"list_flat\"}"),
    ("llamafile", "/embedding", "{\"shape\":\"openai\"}"),
    ("llamafile", "/embedding", "{\"shape\":\"llamafiler\"}"),
];

/// Formats that tell queries from documents, their paths, and their words for the two.
const TYPED: [(&str, &str, &str, &str, &str); 6] = [
    ("cohere", "/v2", "input_type", "search_query", "search_document"),
    ("cohere", "/v1", "input_type", "search_query", "search_document"),
    ("nomic", "/v1", "task_type", "search_query", "search_document"),
    ("jina", "/v1", "task", "retrieval.query", "retrieval.passage"),
    ("voyage", "/v1", "input_type", "query", "document"),
    ("nvidia", "/v1", "input_type", "query", "passage"),
];

fn client(format: &str, world: &World, path: &str, more: &str) -> Connection {
    let db = open();
    let mut options: Value = serde_json::from_str(more).unwrap();
    options["format"] = json!(format);
    options["url"] = json!(world.base() + path);
    register(&db, "c", world, &options.to_string());
    db
}

fn expected(input_type: Option<&str>) -> Vec<f32> {
    // Cohere has the types and is where the reference comes from; OpenAI has none.
    let world = world(json!({}));
    match input_type {
        None => client("openai", &world, "/v1", "{}").embed(TEXT),
        Some(word) => client("cohere", &world, "/v2", "{}").vector("SELECT rembed('c', ?, ?)", (TEXT, word)),
    }
}

#[test]
fn one_text_has_one_vector_by_every_way() {
    let expected = expected(None);
    assert_eq!(expected.len(), 768);
    for (format, path, settings) in WAYS {
        let world = world(serde_json::from_str(settings).unwrap());
        let vector = client(format, &world, path, "{}").embed(TEXT);
        assert!(vector == expected, "{format} {path} {settings}");
        assert_eq!(world.texts(), [TEXT], "{format} {path}");
    }
}

#[test]
fn queries_and_documents_have_the_words_of_the_provider() {
    let (query, document) = (expected(Some("query")), expected(Some("document")));
    assert_ne!(query, document);
    for (format, path, field, query_word, document_word) in TYPED {
        let world = world(json!({}));
        let db = client(format, &world, path, "{}");
        let of = |kind: &str| db.vector("SELECT rembed('c', ?, ?)", (TEXT, kind));
        assert!(of("query") == query && of("document") == document, "{format} {path}");
        let words: Vec<_> = world.log().iter().map(|entry| entry["body"][field].clone()).collect();
        assert_eq!(words, [query_word, document_word], "{format} {path}");
    }
}

#[test]
fn mixedbread_tells_a_query_by_its_prompt() {
    let world = world(json!({}));
    let db = client("mixedbread", &world, "/v1", "{}");
    assert!(db.vector("SELECT rembed('c', ?, 'query')", [TEXT]) == expected(Some("query")));
    assert!(db.vector("SELECT rembed('c', ?, 'document')", [TEXT]) == expected(None));
}

#[test]
fn a_type_that_must_be_sent_is_document_by_default() {
    let document = expected(Some("document"));
    for (format, path) in [("cohere", "/v2"), ("cohere", "/v1"), ("nomic", "/v1"), ("nvidia", "/v1")] {
        let world = world(json!({}));
        assert!(client(format, &world, path, "{}").embed(TEXT) == document, "{format}");
    }
}

#[test]
fn a_client_has_a_type_and_a_call_overrides_it() {
    let world = world(json!({}));
    let db = client("cohere", &world, "/v2", "{\"input_type\":\"query\"}");
    db.embed(TEXT);
    db.run("SELECT rembed('c', 'a', 'document'), rembed('c', 'a', NULL), rembed('c', 'a', 'clustering')", ());
    let words: Vec<_> = world.log().iter().map(|entry| entry["body"]["input_type"].clone()).collect();
    assert_eq!(words, ["search_query", "search_document", "search_query", "clustering"]);
}

#[test]
fn a_format_without_types_takes_query_and_document_alone() {
    for (format, path) in [("openai", "/v1"), ("ollama", ""), ("llamafile", "/embedding"), ("mistral", "/v1")]
    {
        let world = world(json!({}));
        let db = client(format, &world, path, "{}");
        db.run("SELECT rembed('c', 'a', 'query'), rembed('c', 'b', 'document')", ());
        let text = error(db.fails("SELECT rembed('c', 'a', 'clustering')", ()));
        assert!(text.contains("client 'c'") && text.contains("clustering"), "{format}: {text}");
        assert_eq!(world.requests(), 2, "{format}");
    }
}

#[test]
fn a_width_is_asked_for_in_the_words_of_the_provider() {
    for (format, path, field) in [
        ("openai", "/v1", "dimensions"),
        ("jina", "/v1", "dimensions"),
        ("mixedbread", "/v1", "dimensions"),
        ("ollama", "", "dimensions"),
        ("cohere", "/v2", "output_dimension"),
        ("nomic", "/v1", "dimensionality"),
        ("voyage", "/v1", "output_dimension"),
        ("mistral", "/v1", "output_dimension"),
        ("together", "/v1", "dimensions"),
        ("nvidia", "/v1", "dimensions"),
    ] {
        let world = world(json!({}));
        let vector = client(format, &world, path, "{\"dimensions\":64}").embed(TEXT);
        assert_eq!(vector.len(), 64, "{format}");
        assert_eq!(world.only()["body"][field], 64, "{format}");
    }
}

#[test]
fn truncation_is_asked_for_in_the_words_of_the_provider() {
    for (format, path, field, yes, no) in [
        ("ollama", "", "truncate", json!(true), Some(json!(false))),
        ("jina", "/v1", "truncate", json!(true), Some(json!(false))),
        ("cohere", "/v2", "truncate", json!("END"), Some(json!("NONE"))),
        ("nvidia", "/v1", "truncate", json!("END"), Some(json!("NONE"))),
        ("voyage", "/v1", "truncation", json!(true), Some(json!(false))),
        ("nomic", "/v1", "long_text_mode", json!("truncate"), None),
    ] {
        let world = world(json!({}));
        client(format, &world, path, "{}").embed("a");
        client(format, &world, path, "{\"truncate\":true}").embed("a");
        let mut sent = vec![Value::Null, yes];
        if let Some(no) = no {
            client(format, &world, path, "{\"truncate\":false}").embed("a");
            sent.push(no);
        }
        let fields: Vec<_> = world.log().iter().map(|entry| entry["body"][field].clone()).collect();
        assert_eq!(fields, sent, "{format}");
    }
}

#[test]
fn an_option_that_a_format_cannot_carry_out_is_refused_when_registered() {
    let db = open();
    for (format, option, value) in [
        ("openai", "truncate", "1"),
        ("llamafile", "truncate", "0"),
        ("nomic", "truncate", "0"),
        ("openai", "input_type", "'clustering'"),
    ] {
        let sql = format!("SELECT rembed_register('c', 'format', '{format}', '{option}', {value})");
        let text = error(db.fails(&sql, ()));
        assert!(text.contains("client 'c'") && text.contains(format), "{text}");
    }
}

#[test]
fn the_model_is_the_clients_name_where_one_must_be_sent() {
    for (format, path) in [("openai", "/v1"), ("ollama", ""), ("cohere", "/v2"), ("nomic", "/v1")] {
        let world = world(json!({"width": 4}));
        let db = open();
        let options = json!({"format": format, "url": world.base() + path}).to_string();
        db.run("SELECT rembed_register('my-model', ?)", [options]);
        db.run("SELECT rembed('my-model', 'a')", ());
        assert_eq!(world.only()["body"]["model"], "my-model", "{format}");
    }
}

#[test]
fn ollama_says_that_a_model_is_missing() {
    for path in ["", "/api/embeddings", "/v1"] {
        let world = world(json!({"flavor": "ollama"}));
        let db = client("ollama", &world, path, "{\"model\":\"missing-model\"}");
        let text = db.embed_error("a");
        for part in ["HTTP 404", "missing-model", "not found", "ollama pull"] {
            assert!(text.contains(part), "{path}: {text}");
        }
    }
}

#[test]
fn one_vector_per_token_is_refused() {
    let world = world(json!({"shape": "per_token", "width": 4}));
    let text = client("llamafile", &world, "/embedding", "{}").embed_error("three short words");
    assert!(text.contains("per token") && text.contains("pooling"), "{text}");
}
