//! Files that a user names: keys, certificates, the configuration. A name may lead to what is no file.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use sqlite_host::*;

/// Long before the timeout of a request, and before a child is taken for hung.
const SOON: Duration = Duration::from_secs(8);

/// What is no file, or too large for one, each with the reason.
fn wrong_files(directory: &Directory, larger_than: usize) -> Vec<(String, &'static str)> {
    let path = |name: &str| directory.path(name).to_str().unwrap().to_owned();
    let fifo = path("fifo");
    if !Path::new(&fifo).exists() {
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    }
    vec![
        (fifo, "no regular file"),
        ("/dev/zero".into(), "no regular file"),
        ("/dev/tty".into(), "no regular file"),
        (path(""), "directory"),
        (directory.file("large", &"k".repeat(larger_than + 1)), "larger than"),
        (path("missing"), "No such file"),
    ]
}

#[test]
fn a_key_is_read_of_a_small_regular_file_alone() {
    let directory = Directory::new("key-files");
    let world = world(json!({"width": 4}));
    let db = open();
    for (path, why) in wrong_files(&directory, 64 << 10) {
        let start = Instant::now();
        register(&db, "c", &world, &json!({"key": format!("file:{path}")}).to_string());
        let text = db.embed_error("a");
        assert!(text.contains(&path) && text.contains("cannot be read") && text.contains(why), "{text}");
        register(&db, "c", &world, &json!({"headers": {"x-tenant": format!("file:{path}")}}).to_string());
        assert!(db.embed_error("a").contains(why));
        assert!(start.elapsed() < SOON, "{path}");
    }
    assert_eq!(world.requests(), 0);
    let padded = directory.file("padded", &(" ".repeat((64 << 10) - 8) + "sk-right"));
    let link = directory.path("link");
    std::os::unix::fs::symlink(padded, &link).unwrap();
    register(&db, "c", &world, &json!({"key": format!("file:{}", link.display())}).to_string());
    db.embed("a");
    assert_eq!(world.only()["headers"]["authorization"], "Bearer sk-right");
}

/// In a process whose variable of this name is such a file, which it reads once.
fn refused(variable: &str, register: &str) {
    let start = Instant::now();
    let db = open();
    db.run(register, ());
    let text = db.embed_error("a");
    let [path, why] = [variable, WHY].map(|name| std::env::var(name).unwrap());
    assert!(text.contains(variable) && text.contains(&path) && text.contains(&why), "{text}");
    assert!(start.elapsed() < SOON, "{path}");
}

const WHY: &str = "REMBED_TEST_WHY";

#[test]
fn the_certificates_are_read_of_a_regular_file_alone() {
    let directory = Directory::new("certificates");
    for (path, why) in wrong_files(&directory, 4 << 20) {
        child().env("SSL_CERT_FILE", &path).env(WHY, why).run(|| {
            let https =
                "SELECT rembed_register('c', 'format', 'openai', 'url', 'https://127.0.0.1:9', 'key', 'k')";
            refused("SSL_CERT_FILE", https);
        });
    }
}

#[test]
fn the_config_is_read_of_a_regular_file_alone() {
    let directory = Directory::new("config-files");
    for (path, why) in wrong_files(&directory, 4 << 20) {
        child().env("REMBED_CONFIG", &path).env(WHY, why).run(|| refused("REMBED_CONFIG", "SELECT 1"));
    }
}
