//! Many texts in one call of the core, against a server that behaves and one that does not.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlite_rembed::Session;
use sqlite_rembed::base::error::{Error, Result};
use sqlite_rembed::base::interrupt::Interrupt;
use sqlite_rembed::embed::cache::Vector;
use sqlite_rembed::provider;
use support::{Scenario, texts};

/// The client `c` at `server`, without the cache: what is asked for is sent.
fn uncached(server: &Scenario, format: &str, path: &str, mut options: Value) -> Session {
    options["cache"] = "off".into();
    server.session(format, path, options)
}

/// The sizes of the requests: they leave at once, and arrive in any order.
fn sizes(server: &Scenario) -> Vec<usize> {
    let mut sizes = server.batches();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

fn embed(session: &Session, texts: &[String]) -> Result<Vec<Vector>> {
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    session.embed("c", &texts, None)
}

fn message(result: Result<Vec<Vector>>) -> String {
    result.unwrap_err().to_string()
}

/// Each text embedded by itself gives the vector it got in the batch.
fn assert_in_order(session: &Session, texts: &[String], vectors: &[Vector]) {
    for i in [0, texts.len() / 2, texts.len() - 1] {
        let alone = session.embed("c", &[&texts[i]], None).unwrap();
        assert_eq!(alone[0], vectors[i], "text {i}");
    }
}

#[test]
fn a_call_is_cut_by_the_batch_size_and_keeps_the_order() {
    let server = Scenario::new("cut", json!({}));
    let session = uncached(&server, "openai", "/v1", json!({"batch_size": 100}));
    let texts = texts(250);
    let vectors = embed(&session, &texts).unwrap();
    assert_eq!(vectors.len(), 250);
    assert_eq!(sizes(&server), [100, 100, 50]);
    assert_in_order(&session, &texts, &vectors);
}

#[test]
fn wide_vectors_travel_in_smaller_requests_once_the_width_is_known() {
    let server = Scenario::new("wide", json!({"width": 65_536}));
    let session = uncached(&server, "openai", "/v1", json!({"batch_size": 100}));
    let texts = texts(70);
    let vectors = embed(&session, &texts).unwrap();
    assert_eq!(sizes(&server), [70]);
    assert_eq!(embed(&session, &texts).unwrap(), vectors);
    assert_eq!(sizes(&server), [70, 32, 32, 6]);
}

/// A path of a format's, with a name for each that stands in braces.
fn named(path: &str) -> String {
    path.split('{')
        .map(|part| part.split_once('}').map_or(part.into(), |(_, rest)| format!("m{rest}")))
        .collect()
}

/// Who asks, and where: each format's and preset's key goes by its own header, to its own path.
#[test]
fn every_format_sends_its_key_by_its_own_header() {
    for spec in
        provider::all().map(|p| p.spec()).filter(|spec| !["local", "panic", "custom"].contains(&spec.name))
    {
        let own = spec.url.split_once("://").unwrap().1;
        let path = named(&own[own.find('/').unwrap()..]);
        if matches!(spec.auth, provider::Auth::Signed(_)) {
            continue;
        }
        // A token is exchanged for no other.
        let key = if spec.token_url.is_some() { "eyJ0.e30.secret-of-mine" } else { "secret-of-mine" };
        let server = Scenario::new(&format!("key-{}", spec.name), json!({"key": key}));
        let session = uncached(&server, spec.name, &path, json!({"key": key}));
        embed(&session, &texts(1)).unwrap_or_else(|e| panic!("{}: {e}", spec.name));
        let request = &server.report()["log"][0];
        assert_eq!(request["path"], path, "{}", spec.name);
        let (name, before) = spec.auth.header(key);
        let carrying: Vec<_> = request["headers"].as_object().unwrap().iter().collect();
        let carrying: Vec<_> =
            carrying.into_iter().filter(|(_, v)| v.as_str().unwrap().contains("secret-of-mine")).collect();
        assert_eq!(carrying.len(), 1, "{}", spec.name);
        assert_eq!((carrying[0].0.as_str(), carrying[0].1), (name, &json!(format!("{before}{key}"))));
    }
}

/// Cloudflare's API, said by the user.
#[test]
fn a_custom_format_sends_and_reads_where_it_is_told() {
    let server = Scenario::new("custom", json!({"key": "k1234567"}));
    let path = "/client/v4/accounts/a/ai/run/m";
    let options = json!({"body": {"pooling": "cls"}, "input": "/text", "output": "/result/data/*", "batch_size": 4,
                         "key": "k1234567"});
    let session = uncached(&server, "custom", path, options);
    let texts = texts(10);
    let vectors = embed(&session, &texts).unwrap();
    assert_eq!(sizes(&server), [4, 4, 2]);
    assert_in_order(&session, &texts, &vectors);
    let request = &server.report()["log"][0];
    assert_eq!((&request["path"], &request["body"]["pooling"]), (&json!(path), &json!("cls")));
    let wrong =
        uncached(&server, "custom", path, json!({"input": "/text", "output": "/data", "key": "k1234567"}));
    assert!(message(embed(&wrong, &texts[..1])).contains("nothing is there at /data"));
}

/// What the sizes should be is asked of each format; that it is what docs/providers.md says, a test of src/provider/mod.rs.
#[test]
fn every_format_batches_within_its_own_ceiling() {
    let specs =
        provider::all().map(|p| p.spec()).filter(|spec| !["local", "panic", "custom"].contains(&spec.name));
    let all = specs.map(|spec| (spec.name, named(spec.paths.bare), spec.batch_size));
    // Variants that a URL selects.
    let variants = [
        ("ollama", "/api/embeddings", 1),
        ("llamafile", "/embedding", 1),
        ("azure", "/openai/deployments/d?api-version=1", 256),
        ("bedrock", "/model/amazon.titan-embed-text-v2%3A0/invoke", 1),
        ("bedrock", "/model/amazon.nova-2-multimodal-embeddings-v1%3A0/invoke", 1),
        ("bedrock", "/model/cohere.embed-english-v3/invoke", 96),
    ];
    let variants = variants.map(|(format, path, ceiling)| (format, path.to_owned(), ceiling));
    for (format, path, ceiling) in all.chain(variants) {
        let flavors = ["jina", "mixedbread", "mistral", "together", "voyage"];
        let settings = if flavors.contains(&format) { json!({"flavor": format}) } else { json!({}) };
        let server = Scenario::new(&format!("ceiling-{format}{}", path.len()), settings);
        let session = uncached(&server, format, &path, json!({}));
        let texts = texts(100);
        let vectors = embed(&session, &texts).unwrap_or_else(|e| panic!("{format}: {e}"));
        let expected: Vec<_> = texts.chunks(ceiling).map(<[String]>::len).collect();
        assert_eq!(sizes(&server), expected, "{format}");
        assert_in_order(&session, &texts, &vectors);
    }
}

#[test]
fn the_same_text_is_sent_once() {
    let server = Scenario::new("dedupe", json!({}));
    let session = uncached(&server, "openai", "/v1", json!({}));
    let texts: Vec<_> = (0..90).map(|i| format!("text {}", i % 9)).collect();
    let vectors = embed(&session, &texts).unwrap();
    assert_eq!(server.batches(), [9]);
    assert_eq!(vectors.len(), 90);
    assert_eq!(vectors[0], vectors[81]);
    assert_in_order(&session, &texts, &vectors);
}

#[test]
fn an_empty_text_travels_alone_and_its_error_is_the_providers() {
    let server = Scenario::new("empty-text", json!({}));
    let session = uncached(&server, "openai", "/v1", json!({"batch_size": 10}));
    let texts = ["a", "", "b"].map(String::from);
    let e = message(embed(&session, &texts));
    assert!(e.contains("client 'c' (openai): HTTP 400") && e.contains("$.input"), "{e}");
    assert!(server.batches().iter().all(|n| *n == 1));
}

#[test]
fn rows_out_of_order_are_placed_by_index() {
    for (i, order) in ["reversed", "shuffled"].into_iter().enumerate() {
        let server = Scenario::new(&format!("order{i}"), json!({"faults": [{"first": 1, "order": order}]}));
        let session = uncached(&server, "openai", "/v1", json!({}));
        let texts = texts(50);
        let vectors = embed(&session, &texts).unwrap();
        assert_in_order(&session, &texts, &vectors);
    }
}

#[test]
fn a_reply_that_cannot_be_believed_is_an_error() {
    for (i, (fault, why)) in [
        (json!({"count": -1}), "9 embeddings for 10"),
        (json!({"count": 1}), "11 embeddings for 10"),
        (json!({"duplicate_index": true}), "comes twice"),
        (json!({"row_width": 5}), "embedding 1 of the reply has 5 numbers, and the others have"),
        (json!({"nan": true}), "not finite"),
        (json!({"zero": true}), "all zeros"),
        (json!({"null": true}), "null"),
        (json!({"empty": true}), "0 embeddings for 10"),
        (json!({"html": true}), "not valid JSON"),
    ]
    .into_iter()
    .enumerate()
    {
        let server = Scenario::new(&format!("wrong{i}"), json!({"faults": [fault]}));
        let session = uncached(&server, "openai", "/v1", json!({}));
        let e = message(embed(&session, &texts(10)));
        assert!(e.contains(why), "{why}: {e}");
        assert_eq!(server.batches().len(), 1, "{why}: sent again");
    }
}

#[test]
fn a_request_too_large_is_halved_until_it_fits() {
    let server = Scenario::new("halve", json!({"max_texts_too_large": 10}));
    let session = uncached(&server, "openai", "/v1", json!({}));
    let texts = texts(64);
    let vectors = embed(&session, &texts).unwrap();
    assert_in_order(&session, &texts, &vectors);
    let first = server.batches();
    let served: Vec<_> = first.iter().filter(|n| **n <= 10 && **n > 1).collect();
    assert_eq!(served, [&8; 8]);
    // The size that went is remembered.
    embed(&session, &texts).unwrap();
    assert_eq!(server.batches()[first.len()..], [8; 8]);
}

/// A text that never fits is no measure for the others.
#[test]
fn one_text_too_large_makes_no_request_smaller() {
    let server = Scenario::new("one-large", json!({"max_tokens_per_text": 50}));
    let session = uncached(&server, "llamafile", "/embedding", json!({"batch_size": 16}));
    let good = texts(16);
    let mut one_bad = good.clone();
    one_bad[5] = "word ".repeat(200);
    embed(&session, &one_bad).unwrap_err();
    let before = server.batches().len();
    embed(&session, &good).unwrap();
    assert_eq!(server.batches()[before..], [16]);
}

#[test]
fn the_one_text_that_never_fits_gives_its_own_error() {
    let server = Scenario::new("too-long", json!({"max_tokens_per_text": 50}));
    let session = uncached(&server, "llamafile", "/embedding", json!({"batch_size": 16}));
    let mut texts = texts(16);
    texts[5] = "word ".repeat(200);
    let e = message(embed(&session, &texts));
    assert!(e.contains("HTTP 500") && e.contains("too large to process"), "{e}");
    assert!(server.batches().contains(&1));
}

#[test]
fn a_different_width_in_a_later_reply_is_an_error() {
    let server = Scenario::new("width", json!({"faults": [{"requests": [1], "width": 8}]}));
    let session = uncached(&server, "openai", "/v1", json!({"batch_size": 5}));
    let e = message(embed(&session, &texts(10)));
    assert!(e.contains("dimensions, an earlier one"), "{e}");
}

#[test]
fn what_may_be_retried_is_and_nothing_is_lost() {
    for (i, fault) in [
        json!({"first": 2, "status": 429, "headers": {"retry-after-ms": "10"}}),
        json!({"first": 2, "status": 503, "headers": {"retry-after": "0.01"}}),
        json!({"first": 1, "reset": "before"}),
        json!({"first": 1, "reset": "mid"}),
        json!({"first": 1, "truncate": 100}),
        json!({"first": 1, "bad_json": true}),
        json!({"first": 1, "close": "silent"}),
    ]
    .into_iter()
    .enumerate()
    {
        let server = Scenario::new(&format!("retry{i}"), json!({"faults": [fault]}));
        let session = uncached(&server, "openai", "/v1", json!({"batch_size": 10}));
        let texts = texts(30);
        let vectors = embed(&session, &texts).unwrap_or_else(|e| panic!("{fault}: {e}"));
        assert_eq!(vectors.len(), 30);
        assert_in_order(&session, &texts, &vectors);
    }
}

#[test]
fn what_may_not_be_retried_is_sent_once() {
    for (i, (fault, why)) in [
        (json!({"status": 400}), "HTTP 400"),
        (json!({"status": 401}), "HTTP 401"),
        (json!({"status": 404}), "HTTP 404"),
        (
            json!({"status": 429, "body": {"error": {"message": "spent", "code": "insufficient_quota"}}}),
            "spent",
        ),
        (json!({"status": 500, "headers": {"x-should-retry": "false"}}), "HTTP 500"),
        (json!({"redirect": "http://127.0.0.1:1/"}), "HTTP 307"),
    ]
    .into_iter()
    .enumerate()
    {
        let server = Scenario::new(&format!("once{i}"), json!({"faults": [fault]}));
        let session = uncached(&server, "openai", "/v1", json!({}));
        let e = message(embed(&session, &texts(2)));
        assert!(e.contains(why), "{e}");
        assert_eq!(server.batches(), [2], "{why}");
    }
}

#[test]
fn retries_end_with_their_number_and_with_the_time() {
    let fault = json!({"faults": [{"status": 503, "headers": {"retry-after-ms": "1"}}]});
    let server = Scenario::new("retries", fault);
    let e = message(embed(&uncached(&server, "openai", "/v1", json!({"retries": 3})), &texts(1)));
    assert!(e.contains("HTTP 503") && e.contains("after 4 attempts"), "{e}");
    assert_eq!(server.batches().len(), 4);

    let server =
        Scenario::new("patience", json!({"faults": [{"status": 429, "headers": {"retry-after": "60"}}]}));
    let e = message(embed(&uncached(&server, "openai", "/v1", json!({"timeout": 2})), &texts(1)));
    assert!(e.contains("asks to wait 60 s") && e.contains("allows 2 s"), "{e}");
    assert_eq!(server.batches().len(), 1);

    // More than a clock can hold.
    let headers = json!({"retry-after": "10000000000000000000"});
    let server = Scenario::new("for-ever", json!({"faults": [{"status": 503, "headers": headers}]}));
    let e = message(embed(&uncached(&server, "openai", "/v1", json!({})), &texts(1)));
    assert!(e.contains("HTTP 503"), "{e}");
}

#[test]
fn no_reply_ends_with_the_timeout() {
    // The last two never leave a wait of 50 ms without a byte.
    for (i, fault) in [
        json!({"hang": true}),
        json!({"drip_ms": 200}),
        json!({"drip_ms": 2}),
        json!({"endless": true, "drip_ms": 2}),
    ]
    .into_iter()
    .enumerate()
    {
        let server = Scenario::new(&format!("slow{i}"), json!({"faults": [fault]}));
        let session = uncached(&server, "openai", "/v1", json!({"timeout": 0.4}));
        let e = message(embed(&session, &texts(1)));
        assert!(e.contains("within 0.4 s (option timeout)"), "{fault}: {e}");
    }
}

#[test]
fn a_compressed_reply_is_read() {
    let server = Scenario::new("gzip", json!({"gzip": true}));
    let vectors = embed(&uncached(&server, "openai", "/v1", json!({})), &texts(20)).unwrap();
    assert_eq!(vectors.len(), 20);
}

#[test]
fn an_interrupt_ends_the_wait() {
    struct Flag(AtomicBool);
    impl Interrupt for Flag {
        fn is_interrupted(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }
    let server = Scenario::new("interrupt", json!({"faults": [{"hang": true}]}));
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let session = Session::new("test", flag.clone(), None);
    let options = json!({"format": "openai", "url": format!("{}/v1", server.url())});
    session.register("c", options.as_object().unwrap().clone()).unwrap();
    let waiting = std::thread::spawn(move || session.embed("c", &["a"], None));
    while server.batches().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let start = Instant::now();
    flag.0.store(true, Ordering::Relaxed);
    assert_eq!(waiting.join().unwrap(), Err(Error::Interrupted));
    // The contract says 200 ms; a loaded machine gets some slack, and a wait to the timeout of 60 s still fails.
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn a_prefix_is_part_of_the_text_that_is_sent() {
    let server = Scenario::new("prefix", json!({}));
    let prefixes = json!({"query_prefix": "query: ", "document_prefix": "passage: "});
    let session = uncached(&server, "openai", "/v1", prefixes);
    let plain = uncached(&server, "openai", "/v1", json!({}));
    for (input_type, sent) in
        [(Some("query"), "query: cats"), (Some("document"), "passage: cats"), (None, "passage: cats")]
    {
        let vectors = session.embed("c", &["cats", "dogs"], input_type).unwrap();
        assert_eq!(vectors[0], plain.embed("c", &[sent], None).unwrap()[0], "{input_type:?}");
        assert_eq!(vectors[0], session.embed_one("c", "cats", input_type).unwrap(), "{input_type:?}");
    }
}
