//! The settings of a whole process. They are read once, so that each test has a process of its own.

use std::os::unix::ffi::OsStrExt as _;

use serde_json::json;
use sqlite_host::*;

/// A file for REMBED_CONFIG with the clients `a` and `b` at `world`.
fn config(directory: &Directory, world: &World) -> String {
    let clients = json!({"clients": {
        "a": {"format": "openai", "model": "m-a", "url": world.url(), "key": "sk-config"},
        "b": {"format": "openai", "url": world.url(), "dimensions": 6},
    }});
    directory.file("rembed.json", &clients.to_string())
}

#[test]
fn the_clients_of_the_config_are_in_every_connection() {
    let directory = Directory::new("config");
    let world = world(json!({"width": 4}));
    child().env("REMBED_CONFIG", config(&directory, &world)).run_in(&world, |world| {
        for db in [open(), open()] {
            assert_eq!(db.vector("SELECT rembed('a', 'x')", ()).len(), 4);
            assert_eq!(db.vector("SELECT rembed('b', 'x')", ()).len(), 6);
            let rows = "SELECT name || ' ' || model || ' ' || ifnull(key, '-') FROM temp.rembed_clients ORDER BY name";
            assert_eq!(db.all::<String>(rows, ()), ["a m-a ***", "b b -"]);
        }
        assert_eq!(world.log()[0]["headers"]["authorization"], "Bearer sk-config");
        let text = error(open().fails("SELECT rembed('nobody', 'x')", ()));
        assert!(text.contains("a, b"), "{text}");
    });
}

#[test]
fn the_clients_of_the_config_are_read_only_and_can_be_shadowed() {
    let directory = Directory::new("config-shadow");
    let world = world(json!({"width": 4}));
    child().env("REMBED_CONFIG", config(&directory, &world)).run_in(&world, |world| {
        let (db, other) = (open(), open());
        for sql in [
            "UPDATE temp.rembed_clients SET model = 'mine' WHERE name = 'a'",
            "DELETE FROM temp.rembed_clients WHERE name = 'a'",
            "SELECT rembed_unregister('a')",
        ] {
            let text = error(db.fails(sql, ()));
            assert!(text.contains("'a'") && text.contains("REMBED_CONFIG"), "{sql}: {text}");
        }
        let insert =
            "INSERT INTO temp.rembed_clients(name, format, model, url) VALUES ('a', 'openai', 'mine', ?)";
        db.run(insert, [world.url()]);
        db.run("SELECT rembed('a', 'x')", ());
        other.run("SELECT rembed('a', 'x')", ());
        let models: Vec<_> = world.log().iter().map(|entry| entry["body"]["model"].clone()).collect();
        assert_eq!(models, ["mine", "m-a"]);
        db.run("UPDATE temp.rembed_clients SET model = 'again' WHERE name = 'a'", ());
        db.run("DELETE FROM temp.rembed_clients WHERE name = 'a'", ());
        assert_eq!(db.get::<String>("SELECT model FROM temp.rembed_clients WHERE name = 'a'", ()), "m-a");
    });
}

#[test]
fn a_config_that_cannot_be_read_is_named() {
    let directory = Directory::new("config-missing");
    let path = directory.path("nothing.json");
    child().env("REMBED_CONFIG", &path).run(|| {
        let text = open().embed_error("x");
        assert!(text.contains("REMBED_CONFIG") && text.contains("nothing.json"), "{text}");
    });
}

#[test]
fn a_mistake_in_the_config_is_told_where_its_clients_are_asked_for() {
    let directory = Directory::new("config-mistake");
    let clients = json!({"clients": {"c": {"format": "openai", "modle": "m", "key": "sk-config"}}});
    child().env("REMBED_CONFIG", directory.file("rembed.json", &clients.to_string())).run(|| {
        let db = open();
        for sql in ["SELECT rembed('c', 'x')", "SELECT * FROM temp.rembed_clients"] {
            let text = error(db.fails(sql, ()));
            assert!(text.contains("REMBED_CONFIG") && text.contains("'modle'"), "{sql}: {text}");
            assert!(!text.contains("sk-config"), "{text}");
        }
    });
}

#[test]
fn a_mistake_in_the_config_does_not_stop_clients_of_the_connection() {
    let directory = Directory::new("config-broken");
    let world = world(json!({"width": 4}));
    child().env("REMBED_CONFIG", directory.file("rembed.json", "{")).run(|| {
        assert_eq!(open_with_client(&world).embed("a").len(), 4);
    });
}

#[test]
fn hosts_that_are_not_allowed_are_refused_when_registered() {
    let world = world(json!({"width": 4}));
    child().env("REMBED_ALLOW_HOSTS", "127.0.0.1, *.example.org,API.openai.com").run(|| {
        let db = open_with_client(&world);
        assert_eq!(db.embed("a").len(), 4);
        let register = "SELECT rembed_register('d', 'format', 'openai', 'url', ?)";
        for url in ["https://api.openai.com", "https://a.example.org", "https://a.b.EXAMPLE.org:8443/v1"] {
            db.run(register, [url]);
        }
        for (url, host) in [
            ("https://example.org", "example.org"),
            ("https://evil-example.org", "evil-example.org"),
            ("https://api.openai.com.evil", "api.openai.com.evil"),
            ("http://localhost:1", "localhost"),
            ("http://127.0.0.2", "127.0.0.2"),
            ("http://[::1]:1", "::1"),
        ] {
            let text = error(db.fails(register, [url]));
            assert!(text.contains("REMBED_ALLOW_HOSTS") && text.contains(host), "{url}: {text}");
        }
        let text = error(db.fails("SELECT rembed_register('d', 'cohere')", ()));
        assert!(text.contains("api.cohere.com"), "the format's own host is checked too: {text}");
        let update = "UPDATE temp.rembed_clients SET url = 'http://192.0.2.1' WHERE name = 'c'";
        assert!(error(db.fails(update, ())).contains("REMBED_ALLOW_HOSTS"));
        assert_eq!(db.embed("b").len(), 4);
    });
}

#[test]
fn an_empty_list_allows_no_host() {
    child().env("REMBED_ALLOW_HOSTS", "").run(|| {
        let text = error(open().fails("SELECT rembed_register('c', 'openai')", ()));
        assert!(text.contains("REMBED_ALLOW_HOSTS"), "{text}");
    });
}

/// A list that is set but cannot be understood must not be taken for none.
#[test]
fn a_list_that_is_no_text_allows_no_other_host() {
    let list = std::ffi::OsStr::from_bytes(b"api.openai.com,caf\xe9.example");
    child().env("REMBED_ALLOW_HOSTS", list).run(|| {
        let refused = open().try_run("SELECT rembed_register('c', 'cohere')", ());
        assert!(refused.is_err(), "api.cohere.com is not in the list");
    });
}

#[test]
fn a_redirect_does_not_lead_around_the_list() {
    let elsewhere = world(json!({"width": 4}));
    let target = elsewhere.url().replace("127.0.0.1", "localhost");
    let world = faulty(json!({"redirect": target}));
    child().env("REMBED_ALLOW_HOSTS", "127.0.0.1").run(|| {
        assert!(open_with_client(&world).embed_error("a").contains("HTTP 307"));
        assert_eq!(elsewhere.requests(), 0);
    });
}

#[test]
fn the_config_may_name_no_other_host_either() {
    let directory = Directory::new("config-hosts");
    let clients = json!({"clients": {"c": {"format": "openai", "url": "https://evil.example"}}});
    let config = directory.file("rembed.json", &clients.to_string());
    child().env("REMBED_CONFIG", config).env("REMBED_ALLOW_HOSTS", "127.0.0.1").run(|| {
        let text = open().embed_error("x");
        assert!(text.contains("REMBED_ALLOW_HOSTS") && text.contains("evil.example"), "{text}");
    });
}
