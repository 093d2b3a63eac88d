//! The text of `REMBED_CONFIG`, beside serde_json's `Value`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rembed_fuzz::json::{self, Json};
use sqlite_rembed::client::options::Options;
use sqlite_rembed::fuzzing;

fuzz_target!(|data: &str| {
    let ours = fuzzing::config(data);
    let tree = json::read(data.as_bytes());
    let Some(Json::Object(fields)) = tree else {
        assert!(ours.is_err(), "{ours:?}");
        return;
    };
    let clients = match &fields[..] {
        [(key, Json::Object(clients))] if key == "clients" => clients,
        _ => {
            assert!(ours.is_err(), "{ours:?}");
            return;
        }
    };
    let Ok(ours) = ours else { return };
    let mut names: Vec<_> = clients.iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    names.dedup();
    assert_eq!(ours, names);
    // Of a name that comes twice, the last counts; each is one that could be registered.
    for (_, options) in clients.iter().filter(|_| names.len() == clients.len()) {
        match options {
            Json::Object(_) => {}
            Json::String(format) => assert!(Options::parse(format).is_ok()),
            other => panic!("{other:?}"),
        }
    }
});
