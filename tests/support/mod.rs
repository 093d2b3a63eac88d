//! The fake provider of `tests/fake`, one process for the tests of a file.
#![allow(dead_code)] // no file uses all of it

#[path = "../engines/driver/src/fake.rs"]
mod fake;

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock};

use fake::Fake;
use serde_json::Value;
use sqlite_rembed::Session;
use sqlite_rembed::base::interrupt::Uninterrupted;

static FAKE: LazyLock<Fake> = LazyLock::new(start);

/// Builds the fake and starts one more.
pub fn start() -> Fake {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--release", "--locked", "--target-dir", "target"]);
    // What cargo tells a test of its package would make ring's build script, and so all of TLS, run again.
    let ours = |name: &str| {
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "OUT_DIR"
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)) {
        build.env_remove(name);
    }
    let built = build.current_dir(&folder).status().expect("cargo runs");
    assert!(built.success(), "tests/fake does not build");
    Fake::of(&folder.join("target/release/rembed-fake")).expect("the fake starts")
}

/// A scenario of the fake, by which it counts and misbehaves.
pub struct Scenario {
    name: String,
}

impl Scenario {
    /// Makes the scenario `name`, unique in the file.
    pub fn new(name: &str, settings: Value) -> Scenario {
        let reply = ureq::put(format!("{}/_/{name}", FAKE.url)).send(settings.to_string());
        assert!(reply.expect("the fake takes the settings").status().is_success());
        Scenario { name: name.into() }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("{}/s/{}", FAKE.url, self.name)
    }

    /// A session with the client `c` of `format` at `path` of this scenario.
    pub fn session(&self, format: &str, path: &str, mut options: Value) -> Session {
        let session = Session::new("test", Arc::new(Uninterrupted), None);
        options["format"] = format.into();
        options["model"] = "m".into();
        options["url"] = format!("{}{path}", self.url()).into();
        let Value::Object(options) = options else { panic!("options are an object") };
        session.register("c", options).unwrap();
        session
    }

    /// What the fake recorded.
    pub fn report(&self) -> Value {
        let mut reply = ureq::get(format!("{}/_/{}", FAKE.url, self.name)).call().unwrap();
        serde_json::from_slice(&reply.body_mut().read_to_vec().unwrap()).unwrap()
    }

    /// The number of texts of each request, in order of arrival.
    pub fn batches(&self) -> Vec<usize> {
        let report = self.report();
        let log = report["log"].as_array().unwrap();
        log.iter().map(|entry| entry["texts"].as_array().unwrap().len()).collect()
    }
}

/// `n` texts, all different.
pub fn texts(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("text number {i}")).collect()
}
