//! Where a key comes from, where it arrives, and where it may not go.

use serde_json::json;
use sqlite_host::*;

/// A provider that wants `sk-right`.
fn guarded() -> World<'static> {
    world(json!({"width": 4, "key": "sk-right"}))
}

fn with_key(world: &World, key: &str) -> rusqlite::Connection {
    open_with(world, &json!({"key": key}).to_string())
}

#[test]
fn every_kind_of_key_arrives_as_a_bearer() {
    let directory = Directory::new("keys");
    let file = format!("file:{}", directory.file("key", "  sk-right\r\n"));
    let world = guarded();
    child().env("REMBED_TEST_KEY", "sk-right").run(|| {
        for key in ["sk-right", "env:REMBED_TEST_KEY", &file] {
            assert_eq!(with_key(&world, key).embed("a").len(), 4, "{key}");
        }
        let sent: Vec<_> =
            world.log().iter().map(|entry| entry["headers"]["authorization"].clone()).collect();
        assert_eq!(sent, ["Bearer sk-right"; 3]);
    });
}

#[test]
fn a_reference_is_read_when_a_request_is_made() {
    let directory = Directory::new("late-key");
    let path = directory.path("key");
    let world = guarded();
    let db = with_key(&world, &format!("file:{}", path.display()));
    let text = db.embed_error("a");
    assert!(text.contains("client 'c' (openai)") && text.contains(path.to_str().unwrap()), "{text}");
    std::fs::write(&path, "sk-wrong").unwrap();
    assert!(db.embed_error("a").contains("HTTP 401"));
    std::fs::write(&path, "sk-right").unwrap();
    assert_eq!(db.embed("a").len(), 4);
}

#[test]
fn a_missing_variable_is_named() {
    let world = guarded();
    child().run(|| {
        let text = with_key(&world, "env:REMBED_NO_SUCH_KEY").embed_error("a");
        assert!(text.contains("client 'c'") && text.contains("REMBED_NO_SUCH_KEY"), "{text}");
        assert_eq!(world.requests(), 0);
    });
}

/// Each format with a key of its own, its variable, and the path at which the fake speaks it.
const FORMATS: &[(&str, &str, &str)] = &[
    ("openai", "OPENAI_API_KEY", "/v1/embeddings"),
    ("nomic", "NOMIC_API_KEY", "/v1/embedding/text"),
    ("cohere", "CO_API_KEY", "/v2/embed"),
    ("jina", "JINA_API_KEY", "/v1/embeddings"),
    ("mixedbread", "MXBAI_API_KEY", "/v1/embeddings"),
    ("voyage", "VOYAGE_API_KEY", "/v1/embeddings"),
    ("mistral", "MISTRAL_API_KEY", "/v1/embeddings"),
    ("together", "TOGETHER_API_KEY", "/v1/embeddings"),
    ("fireworks", "FIREWORKS_API_KEY", "/v1/embeddings"),
    ("deepinfra", "DEEPINFRA_API_TOKEN", "/v1/embeddings"),
    ("nvidia", "NVIDIA_API_KEY", "/v1/embeddings"),
];

/// A process in which every variable is set to `key`.
fn child_with_all(key: &str) -> Child {
    FORMATS
        .iter()
        .fold(child(), |child, (_, variable, _)| child.env(variable, key))
        .env("OLLAMA_API_KEY", key)
}

#[test]
fn a_key_that_is_not_named_stays_away_from_other_servers() {
    let worlds: Vec<_> = FORMATS.iter().map(|format| (*format, guarded())).collect();
    child_with_all("sk-right").run(|| {
        let db = open();
        for ((format, variable, path), world) in &worlds {
            let mut options = json!({"format": format, "model": "m", "url": world.base() + path});
            db.run("SELECT rembed_register(?, ?)", (format, options.to_string()));
            let text = error(db.fails("SELECT rembed(?, 'a')", [format]));
            assert!(
                text.contains("HTTP 401") && text.contains(&format!("`key` = `env:{variable}`")),
                "{text}"
            );
            assert!(world.only()["headers"].get("authorization").is_none(), "{format}");
            options["key"] = format!("env:{variable}").into();
            db.run("SELECT rembed_register(?, ?)", (format, options.to_string()));
            assert_eq!(db.vector("SELECT rembed(?, 'a')", [format]).len(), 4, "{format}");
        }
    });
}

#[test]
fn a_server_that_forbids_makes_us_name_the_variable_too() {
    let world = faulty(json!({"status": 403}));
    child_with_all("sk-right").run(|| {
        let text = open_with_client(&world).embed_error("a");
        assert!(text.contains("HTTP 403") && text.contains("`key` = `env:OPENAI_API_KEY`"), "{text}");
        let text = with_key(&world, "env:OPENAI_API_KEY").embed_error("a");
        assert!(text.contains("HTTP 403") && !text.contains("env:"), "a key was sent: {text}");
    });
}

/// No request is needed to tell: a key that no header can carry is an error of whoever reads it.
#[test]
fn a_key_that_is_not_named_is_read_for_the_formats_own_server() {
    child_with_all("sk-\u{e9}").run(|| {
        let db = open();
        for (format, variable, _) in FORMATS {
            db.run("SELECT rembed_register('c', ?)", [format]);
            let text = db.embed_error("a");
            assert!(text.contains(&format!("the key (env:{variable})")), "{text}");
        }
    });
}

/// Ollama's own server is one on this machine.
#[test]
fn a_format_of_this_machine_has_its_key_sent_there() {
    let world = guarded();
    child_with_all("sk-right").run(|| {
        let url = world.base() + "/api/embed";
        let db = open();
        db.run("SELECT rembed_register('c', 'format', 'ollama', 'model', 'm', 'url', ?)", [url]);
        assert_eq!(db.embed("a").len(), 4);
        assert_eq!(world.only()["headers"]["authorization"], "Bearer sk-right");
    });
}

#[test]
fn a_new_key_file_takes_effect_in_the_middle_of_a_batch() {
    let directory = Directory::new("rotated-key");
    let path = directory.path("key");
    std::fs::write(&path, "sk-first").unwrap();
    let world = world(json!({"width": 4}));
    let key = format!("file:{}", path.display());
    let options = json!({"key": key, "batch_size": 1, "concurrency": 1}).to_string();
    let db = open_with(&world, &options);
    let mut rows = db.prepare("SELECT key FROM rembed_batch('c', ?)").unwrap();
    let texts: Vec<_> = (0..40).map(|n| format!("text {n}")).collect();
    let mut rows = rows.query([json!(texts).to_string()]).unwrap();
    rows.next().unwrap().unwrap();
    std::fs::write(&path, "sk-second").unwrap();
    while rows.next().unwrap().is_some() {}
    let sent: Vec<_> = world.log().iter().map(|entry| entry["headers"]["authorization"].clone()).collect();
    assert_eq!((&sent[0], &sent[39]), (&json!("Bearer sk-first"), &json!("Bearer sk-second")), "{sent:?}");
}

#[test]
fn a_new_key_file_takes_effect_when_a_request_is_sent_again() {
    let directory = Directory::new("rotated-again");
    let path = directory.path("key");
    std::fs::write(&path, "sk-first").unwrap();
    let world = faulty(json!({"first": 1, "status": 503, "headers": {"retry-after-ms": "1500"}}));
    let db = with_key(&world, &format!("file:{}", path.display()));
    let embedding = std::thread::spawn(move || db.embed("a").len());
    world.wait_for(1);
    std::fs::write(&path, "sk-second").unwrap();
    assert_eq!(embedding.join().unwrap(), 4);
    let sent: Vec<_> = world.log().iter().map(|entry| entry["headers"]["authorization"].clone()).collect();
    assert_eq!(sent, ["Bearer sk-first", "Bearer sk-second"]);
}

#[test]
fn without_a_key_the_providers_own_service_is_not_asked_and_the_variable_is_named() {
    child().run(|| {
        let db = open();
        for (format, variable, _) in FORMATS {
            db.run("SELECT rembed_register('c', ?)", [format]);
            let text = db.embed_error("a");
            assert!(text.contains(&format!("client 'c' ({format})")) && text.contains(variable), "{text}");
            assert!(!text.contains("HTTP"), "{text}");
        }
    });
}

#[test]
fn a_server_that_wants_a_key_makes_us_name_the_variable() {
    let world = guarded();
    child().run(|| {
        let text = open_with_client(&world).embed_error("a");
        for part in ["HTTP 401", "Incorrect API key provided", "`key` = `env:OPENAI_API_KEY`"] {
            assert!(text.contains(part), "{text}");
        }
    });
}

#[test]
fn an_empty_key_sends_none() {
    let world = world(json!({"width": 4}));
    child().env("OPENAI_API_KEY", "sk-right").run(|| {
        assert_eq!(with_key(&world, "").embed("a").len(), 4);
        assert!(world.only()["headers"].get("authorization").is_none());
    });
}

#[test]
fn a_key_that_no_header_can_carry_is_refused_without_being_shown() {
    let world = guarded();
    for key in ["sk-a\nX-Evil: 1", "sk-a\0b", "sk-ключ"] {
        let db = open();
        let made = db.try_run(
            "SELECT rembed_register('c', 'format', 'openai', 'url', ?, 'key', ?)",
            (world.url(), key),
        );
        let text = made.map_or_else(error, |()| db.embed_error("a"));
        assert!(text.contains("key") && !text.contains("sk-a") && !text.contains("sk-к"), "{text}");
    }
    assert_eq!(world.requests(), 0);
}

#[test]
fn a_key_is_not_sent_over_plain_http_to_another_machine_unless_allowed() {
    let db = open();
    let register = |options: serde_json::Value| {
        let options = options.to_string();
        db.try_run("SELECT rembed_register('c', ?)", [options]).map_err(error)
    };
    for key in ["sk-1234", "env:SOME_KEY", "file:/run/key"] {
        let refused =
            register(json!({"format": "openai", "url": "http://192.0.2.1", "key": key})).unwrap_err();
        assert!(refused.contains("allow_http") && !refused.contains("sk-1234"), "{refused}");
        register(json!({"format": "openai", "url": "http://192.0.2.1", "key": key, "allow_http": true}))
            .unwrap();
        register(json!({"format": "openai", "url": "https://192.0.2.1", "key": key})).unwrap();
    }
    let header = json!({"format": "openai", "url": "http://192.0.2.1", "headers": {"api-key": "sk-1234"}});
    assert!(register(header).unwrap_err().contains("allow_http"));
    for url in ["http://localhost:1", "http://127.0.0.1:1", "http://127.1.2.3:1", "http://[::1]:1"] {
        register(json!({"format": "openai", "url": url, "key": "sk-1234"})).unwrap();
    }
    for url in ["http://localhost.example", "http://127.0.0.1.example", "http://10.0.0.1", "http://[fe80::1]"]
    {
        assert!(register(json!({"format": "openai", "url": url, "key": "sk-1234"})).is_err(), "{url}");
    }
    register(json!({"format": "ollama", "url": "http://192.0.2.1"})).unwrap();
}

#[test]
fn an_update_cannot_lead_a_key_to_another_machine_over_plain_http() {
    let world = guarded();
    let db = with_key(&world, "env:REMBED_TEST_KEY");
    let text =
        error(db.fails("UPDATE temp.rembed_clients SET url = 'http://192.0.2.1' WHERE name = 'c'", ()));
    assert!(text.contains("allow_http"), "{text}");
}
