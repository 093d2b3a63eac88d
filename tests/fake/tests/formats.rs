//! Each API, as its documentation or its server has it.

mod common;

use base64::Engine as _;
use common::{Fake, floats};
use serde_json::{Value, json};

const TEXTS: [&str; 2] = ["hello world", "naïve café ☕"];

fn from_base64(value: &Value) -> Vec<f32> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap()).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn all_formats_carry_the_same_bits() {
    let fake = Fake::start();
    let get = |path: &str, body: Value, pointer: &str| {
        let reply = fake.post(path, body).json();
        floats(reply.pointer(pointer).unwrap_or_else(|| panic!("{path}: no {pointer}")))
    };
    let plain = get("/v1/embeddings", json!({"input": TEXTS}), "/data/1/embedding");
    assert_eq!(plain.len(), 768);
    assert_eq!(get("/embeddings", json!({"input": TEXTS}), "/data/1/embedding"), plain);
    assert_eq!(get("/v1/embeddings", json!({"input": TEXTS[1]}), "/data/0/embedding"), plain);
    assert_eq!(get("/v1/embeddings", json!({"content": TEXTS}), "/1/embedding/0"), plain);
    assert_eq!(get("/embedding", json!({"content": TEXTS}), "/1/embedding/0"), plain);
    assert_eq!(get("/embedding", json!({"input": TEXTS}), "/1/embedding/0"), plain);
    assert_eq!(get("/embeddings", json!({"content": TEXTS}), "/1/embedding/0"), plain);
    assert_eq!(get("/api/embed", json!({"model": "m", "input": TEXTS}), "/embeddings/1"), plain);
    assert_eq!(get("/v1/embed", json!({"model": "old-v2.0", "texts": TEXTS}), "/embeddings/1"), plain);
    let path = "/openai/deployments/a%2Fb/embeddings?api-version=2024-10-21";
    assert_eq!(get(path, json!({"input": TEXTS}), "/data/1/embedding"), plain);
    let doubled: Vec<f32> = plain.iter().map(|x| x * 2.0).collect();
    assert_eq!(get("/api/embeddings", json!({"model": "m", "prompt": TEXTS[1]}), "/embedding"), doubled);
    let reply = fake.post("/v1/embeddings", json!({"input": TEXTS, "encoding_format": "base64"})).json();
    assert_eq!(from_base64(&reply["data"][1]["embedding"]), plain);
}

#[test]
fn queries_are_the_same_everywhere() {
    let fake = Fake::start();
    let cohere = json!({"model": "m", "texts": TEXTS, "input_type": "search_query", "embedding_types": ["float", "base64"]});
    let cohere = fake.post("/v2/embed", cohere).json();
    let query = floats(&cohere["embeddings"]["float"][0]);
    assert_eq!(from_base64(&cohere["embeddings"]["base64"][0]), query);
    assert_ne!(query, floats(&fake.rows("", &TEXTS)[0]["embedding"]));
    for body in [
        json!({"input": TEXTS, "task": "retrieval.query", "embedding_type": "float"}),
        json!({"input": [{"text": TEXTS[0]}], "task": "retrieval.query"}),
        json!({"input": TEXTS, "input_type": "query", "output_dtype": null, "output_dimension": null}),
        json!({"input": TEXTS, "prompt": "Represent this sentence for searching relevant passages: "}),
    ] {
        assert_eq!(floats(&fake.post("/v1/embeddings", body).json()["data"][0]["embedding"]), query);
    }
    let nomic = json!({"texts": TEXTS, "task_type": "search_query", "dimensionality": null});
    assert_eq!(floats(&fake.post("/v1/embedding/text", nomic).json()["embeddings"][0]), query);
}

#[test]
fn llama_has_had_many_shapes() {
    let fake = Fake::start();
    let get = |shape: &str| {
        let base = fake.scenario(shape, json!({"shape": shape, "width": 2}));
        fake.post(&format!("{base}/embedding"), json!({"content": "one two"})).json()
    };
    let vector = get("flat")["embedding"].clone();
    assert_eq!(floats(&vector).len(), 2);
    assert_eq!(get("flat"), json!({"embedding": vector}));
    assert_eq!(get("nested"), json!({"embedding": [vector]}));
    assert_eq!(get("list_flat"), json!([{"embedding": vector}]));
    assert_eq!(get("list_nested"), json!([{"embedding": [vector]}]));
    assert_eq!(get("native"), json!([{"index": 0, "embedding": [vector]}]));
    assert_eq!(get("openai")["data"][0]["embedding"], vector);
    assert_eq!(get("per_token")[0]["embedding"], json!([vector, vector, vector, vector]));
    let llamafiler = get("llamafiler");
    assert_eq!(llamafiler["embedding"], vector);
    assert_eq!(llamafiler["tokens_used"], 4);

    let refused = fake.post("/s/llamafiler/embedding", json!({"content": ["a"]}));
    assert_eq!((refused.status, &*refused.text), (400, "JSON missing content/prompt/input key"));
    let refused = fake.post("/s/llamafiler/v1/embeddings", json!({"input": ["a"]}));
    assert_eq!(refused.status, 400);
}

#[test]
fn llama_server_as_captured() {
    let fake = Fake::start();
    let base = fake.scenario("llama", json!({"flavor": "llama", "max_tokens_per_text": 2048, "width": 3}));
    let post = |body| fake.post(&format!("{base}/v1/embeddings"), body);
    let error = |body| {
        let reply = post(body);
        (reply.status, reply.json()["error"]["message"].as_str().unwrap().to_owned())
    };
    let long = "word ".repeat(3000);
    let too_large = "input (3002 tokens) is too large to process. increase the physical batch size (current batch size: 2048)";
    assert_eq!(error(json!({"input": long})), (500, too_large.into()));
    assert_eq!(error(json!({"input": []})), (500, r#""prompt" must not be empty"#.into()));
    assert_eq!(error(json!({"model": "x"})), (400, r#""input" or "content" must be provided"#.into()));
    assert_eq!(error(json!({"input": {"a": 1}})).0, 500);
    let base64 = post(json!({"input": "a", "dimensions": 2, "encoding_format": "base64"})).json();
    assert_eq!(base64["data"][0]["encoding_format"], "base64");
    assert_eq!(from_base64(&base64["data"][0]["embedding"]).len(), 3);
    assert_eq!(post(json!({"input": ""})).status, 200);
    assert_eq!(fake.send("GET", "/health", "").json(), json!({"status": "ok"}));
}

#[test]
fn empty_texts() {
    let fake = Fake::start();
    let openai = fake.post("/v1/embeddings", json!({"input": ["a", ""]}));
    assert_eq!(openai.status, 400);
    assert!(openai.json()["error"]["message"].as_str().unwrap().starts_with("'$.input' is invalid"));
    for body in
        [json!({"model": "m"}), json!({"model": "m", "input": ""}), json!({"model": "m", "input": []})]
    {
        let ollama = fake.post("/api/embed", body);
        assert_eq!((ollama.status, &ollama.json()["embeddings"]), (200, &json!([])));
    }
    let legacy = fake.post("/api/embeddings", json!({"model": "m", "prompt": ""}));
    assert_eq!(legacy.json(), json!({"embedding": []}));
}

#[test]
fn errors_are_worded_as_the_providers_do() {
    let fake = Fake::start();
    let texts = vec!["a"; 2049];
    let all = |path: &str, body: Value| {
        let reply = fake.post(path, body);
        (reply.status, reply.json())
    };
    assert_eq!(all("/v1/embeddings", json!({"input": texts})).0, 400);
    assert_eq!(
        all("/v2/embed", json!({"model": "m", "texts": ["a"]})),
        (400, json!({"message": "valid input_type must be provided with the provided model"}))
    );
    assert_eq!(
        all("/v2/embed", json!({"model": "m", "texts": texts[..97], "input_type": "clustering"})).0,
        400
    );
    assert_eq!(
        all("/api/embed", json!({"model": "missing", "input": "a"})),
        (404, json!({"error": "model 'missing' not found"}))
    );
    assert!(all("/v1/embedding/text", json!({"texts": ["a"], "task_type": "query"})).1["detail"].is_string());
    assert_eq!(all("/nowhere", json!({})).0, 404);
    assert_eq!(fake.send("GET", "/v1/embeddings", "").status, 405);
    assert_eq!(fake.send("POST", "/v1/embeddings", "{").status, 400);
}

#[test]
fn sizes() {
    let fake = Fake::start();
    let width = |path: &str, body: Value, pointer: &str| {
        floats(fake.post(path, body).json().pointer(pointer).unwrap()).len()
    };
    assert_eq!(width("/v1/embeddings", json!({"input": "a", "dimensions": 5}), "/data/0/embedding"), 5);
    assert_eq!(width("/v1/embeddings", json!({"input": "a", "output_dimension": 5}), "/data/0/embedding"), 5);
    assert_eq!(width("/api/embed", json!({"input": "a", "dimensions": 5}), "/embeddings/0"), 5);
    assert_eq!(width("/api/embed", json!({"input": "a", "dimensions": 1000}), "/embeddings/0"), 768);
    assert_eq!(
        width("/v1/embedding/text", json!({"texts": ["a"], "dimensionality": 64}), "/embeddings/0"),
        64
    );
    let cohere = json!({"model": "m", "texts": ["a"], "input_type": "clustering", "output_dimension": 5});
    assert_eq!(width("/v2/embed", cohere, "/embeddings/float/0"), 5);
    assert_eq!(fake.post("/v1/embeddings", json!({"input": "a", "dimensions": 0})).status, 400);
}

#[test]
fn followers_of_openai() {
    let fake = Fake::start();
    let mixedbread =
        json!({"input": "a", "normalized": true, "encoding_format": ["float", "base64"], "dimensions": 4});
    let mixedbread = fake.post("/v1/embeddings", mixedbread).json();
    assert_eq!(mixedbread["data"][0]["object"], "embedding_dict");
    let both = &mixedbread["data"][0]["embedding"];
    assert_eq!(from_base64(&both["base64"]), floats(&both["float"]));
    assert_eq!((&mixedbread["normalized"], &mixedbread["dimensions"]), (&json!(true), &json!(4)));
    let voyage = fake.post("/v1/embeddings", json!({"input": "a", "truncation": true})).json();
    assert_eq!(voyage["usage"], json!({"total_tokens": 3}));
    let base = fake.scenario("together", json!({"flavor": "together"}));
    assert_eq!(fake.post(&format!("{base}/v1/embeddings"), json!({"input": "a"})).json().get("usage"), None);
    let longer = fake.post("/v1/embeddings", json!({"input": "a", "normalized": false})).json();
    let length: f32 = floats(&longer["data"][0]["embedding"]).iter().map(|x| x * x).sum();
    assert!((length - 4.0).abs() < 1e-3);
}
