//! A stranger's file on SQLite 3.35. Alone in its process, whose auto-extensions it sets.

#[allow(dead_code)]
#[path = "../src/fake.rs"]
mod fake;
#[path = "../src/stranger.rs"]
mod stranger;

use std::path::{Path, PathBuf};

use serde_json::json;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(4).unwrap().to_owned()
}

#[test]
fn no_schema_of_a_stranger_calls_what_is_the_users() {
    let world = fake::world(json!({"width": 4}));
    let folder = stranger::folder("old-stranger");
    let built = || root().join("target/release/libsqlite_rembed.so");
    let library = std::env::var_os("REMBED_LIB").map_or_else(built, PathBuf::from);
    let tried = stranger::attack_all(&folder, &library, &world.url(), || world.requests());
    assert!(tried >= 790, "{tried}");
    std::fs::remove_dir_all(folder).unwrap();
}
