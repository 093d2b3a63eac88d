//! A reply with embeddings, as each format reads it, beside serde_json. The first byte chooses the format.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rembed_fuzz::{json, reply};
use sqlite_rembed::base::words::PROVIDER_MESSAGE_MAX;
use sqlite_rembed::provider;

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    let formats = provider::all().count();
    let Some(format) = provider::all().nth(usize::from(*choice) % formats) else { return };
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let ours = format.reply(body, &|| true);
    let tree = json::read(body).filter(|tree| tree.depth() <= 127);
    let reference = tree.as_ref().and_then(|tree| match format.spec().output {
        Some(place) => reply::read_at(tree, place),
        None if format.spec().name == "kserve" => reply::read_tensor(tree),
        None => reply::read(tree),
    });
    match (&ours, &reference) {
        (Ok(ours), Some(reference)) => {
            let bits = |data: &[f32]| data.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&ours.data), bits(&reference.data));
            assert_eq!(
                (ours.width, ours.rows, &ours.index, &ours.nulls, &ours.others, ours.tokens),
                (
                    reference.width,
                    reference.rows,
                    &reference.index,
                    &reference.nulls,
                    &reference.others,
                    reference.tokens
                )
            );
        }
        (Err(e), None) => {
            // Cut once more, when the keys are out of it.
            assert!(e.message.chars().count() < 4 * PROVIDER_MESSAGE_MAX + 100, "{e:?}");
            // What is JSON is not called broken, except for numbers that no f32 holds.
            let broken = e.message.starts_with("the reply is not valid JSON")
                && !e.message.contains("a number expected");
            assert!(tree.is_none() || !broken, "{e:?}");
        }
        // What Python writes, and JSON does not have.
        (Ok(_), None) if body.windows(3).any(|word| word == b"NaN" || word == b"Inf") => {}
        // A reply without rows may hold an error.
        (Err(_), Some(reference)) if reference.rows == 0 => {}
        _ => panic!("{ours:?}, but {reference:?}"),
    }
});
