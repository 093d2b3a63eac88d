//! The numbers of a vector, beside serde_json's grammar and the standard library's nearest f32.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rembed_fuzz::json::{self, Json};
use rembed_fuzz::reply::numbers;
use sqlite_rembed::provider;

fuzz_target!(|data: &[u8]| {
    let list = [b"[", data, b"]"].concat();
    // Numbers have a way of their own where some text is before and behind them.
    let around = [b' '; 80];
    let body = [&around, &b"["[..], &list, b"]", &around].concat();
    let ours = provider::read(&body, &|| true).ok();
    let reference = match json::read(&list) {
        Some(Json::Array(items)) => numbers(&items),
        _ => None,
    };
    // More than one row is another target's, and so is what Python writes and JSON does not have.
    if data.windows(3).any(|word| word == b"NaN" || word == b"Inf")
        || ours.as_ref().is_some_and(|ours| ours.rows != 1)
        || data.contains(&b'[')
    {
        return;
    }
    let ours = ours.filter(|ours| ours.nulls.is_empty());
    let bits = |data: Vec<f32>| data.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(ours.map(|ours| bits(ours.data)), reference.map(bits));
});
