//! A server that repeats a key does not make us repeat it, however it spells it and wherever the text is shown.

use rusqlite::Connection;
use serde_json::{Value, json};
use sqlite_host::*;

const KEY: &str = "sk-needle-0123456789";
/// With whatever is escaped somewhere.
const ODD: &str = "sk-A1b2/C3d4+E5f6_G7\"h8&i9<J0=k~L";

/// A client of this key, or with this header, of a server that answers so. Every text of the failure, wherever SQL can
/// read one.
fn told(options: &Value, fault: Value) -> String {
    let world = faulty(fault);
    let db = open_with(&world, &options.to_string());
    let error = db.embed_error("a");
    let rows: String = db.get("SELECT group_concat(error) FROM rembed_batch('c', '[\"a\",\"b\"]')", ());
    [error, rows, rest(&db)].join("\n")
}

fn rest(db: &Connection) -> String {
    let last: String = db.get("SELECT rembed_last_error()", ());
    let stats: String = db.get("SELECT rembed_stats()", ());
    let debug: String = db.get("SELECT rembed_debug()", ());
    [last, stats, debug].join("\n")
}

fn each(spell: impl Fn(u8) -> String) -> String {
    ODD.bytes().map(spell).collect()
}

fn escaped(spell: impl Fn(u8) -> String) -> String {
    each(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { spell(byte) })
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let four = |three: &[u8]| {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | u32::from(*three.get(i).unwrap_or(&0)));
        let digit =
            |i: usize| if i <= three.len() { DIGITS[(bits >> (18 - 6 * i)) as usize & 63] } else { b'=' };
        (0..4).map(|i| char::from(digit(i))).collect::<String>()
    };
    text.as_bytes().chunks(3).map(four).collect()
}

/// The spellings, each with what must not be left of it.
fn spellings() -> Vec<String> {
    let html = ODD.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let mut all = vec![
        ODD.to_owned(),
        ODD.to_uppercase(),
        ODD.to_lowercase(),
        json!(ODD).to_string(),
        ODD.replace('/', "\\/").replace('"', "\\u0022"),
        each(|byte| format!("\\u{byte:04x}")),
        each(|byte| format!("\\u{byte:04X}")),
        html.replace('"', "&#34;"),
        html,
        each(|byte| format!("&#{byte};")),
        each(|byte| format!("&#x{byte:x};")),
        escaped(|byte| format!("%{byte:02X}")),
        escaped(|byte| format!("%{byte:02x}")),
        each(|byte| format!("%{byte:02x}")),
        format!("{}\n{}", &ODD[..14], &ODD[14..]),
    ];
    for before in ["", "a", "ab", "user:"] {
        let text = base64(&format!("{before}{ODD}"));
        all.push(text.replace('+', "-").replace('/', "_"));
        all.push(text.trim_end_matches('=').to_owned());
        all.push(text);
    }
    all
}

#[test]
fn no_spelling_of_a_key_is_repeated() {
    let options = json!({"key": ODD, "retries": 0});
    for spelling in spellings() {
        for (status, body) in [
            (
                401,
                json!({"error": {"message": format!("Incorrect API key provided: {spelling} (see our site)")}}),
            ),
            (500, json!(format!("no such key: Bearer {spelling} (see our site)"))),
            (400, json!({"unknown": {"envelope": spelling}})),
            (200, json!({"data": spelling})),
        ] {
            let text = told(&options, json!({"status": status, "body": body}));
            assert!(text.contains("***"), "{spelling}: {text}");
            let lower = text.to_lowercase();
            for part in spelling.as_bytes().windows(12.min(spelling.len())) {
                let part = String::from_utf8_lossy(part).to_lowercase();
                assert!(!lower.contains(&part), "{spelling}: {part}: {text}");
            }
        }
    }
}

/// The provider's message is cut at 500 characters: of a key that stands there, no part is shown.
#[test]
fn no_part_of_a_key_is_left_where_a_long_message_is_cut() {
    for spelling in [KEY.to_owned(), KEY.bytes().map(|byte| format!("&#{byte};")).collect(), base64(KEY)] {
        for before in (420..505).step_by(7) {
            let message = format!("{} {spelling} and so on {}", "x".repeat(before), "y".repeat(300));
            let text = told(
                &json!({"key": KEY, "retries": 0}),
                json!({"status": 401, "body": {"error": {"message": message}}}),
            );
            assert!(!text.contains(&spelling[..8]), "{before}: {text}");
            let text =
                told(&json!({"key": KEY, "retries": 0}), json!({"status": 200, "body": {"data": message}}));
            assert!(!text.contains(&spelling[..8]), "{before}: {text}");
        }
    }
}

#[test]
fn a_part_of_a_key_is_not_repeated() {
    for part in [&KEY[..19], &KEY[..12], &KEY[8..], &KEY[4..16]] {
        let text = told(
            &json!({"key": KEY, "retries": 0}),
            json!({"status": 403, "body": {"message": format!("a key of {part}… is not ours")}}),
        );
        assert!(text.contains("a key of ***… is not ours") && !text.contains(part), "{text}");
    }
}

#[test]
fn a_key_in_a_redirect_a_header_or_a_page_is_not_repeated() {
    for fault in [
        json!({"redirect": format!("https://elsewhere.example/?key={KEY}")}),
        json!({"status": 302, "body": format!("<a href=\"/login?key={KEY}\">Found</a>"), "headers": {"x-echo": KEY}}),
        json!({"status": 404, "body": format!("<html>no page for {KEY}</html>")}),
        json!({"status": 503, "body": KEY, "headers": {"retry-after": "1000"}}),
        json!({"status": 200, "body": {"data": [{"index": KEY, "embedding": [1]}, {KEY: KEY}]}}),
    ] {
        let text = told(&json!({"key": KEY, "retries": 0}), fault);
        assert!(!text.contains(&KEY[..12]), "{text}");
    }
}

#[test]
fn a_key_in_the_url_is_not_repeated() {
    let world = faulty(json!({"status": 404, "body": format!("no route /v1/embeddings?key={KEY}&alt=1")}));
    let url = format!("{}?key={KEY}&alt=1", world.url());
    let text = open_with(&world, &json!({"url": url}).to_string()).embed_error("a");
    assert!(text.contains("/v1/embeddings?key=***&alt=1") && !text.contains(KEY), "{text}");
}

#[test]
fn a_header_that_authenticates_is_not_repeated() {
    let body = json!({"message": format!("who is {KEY}?")});
    for headers in [
        json!({"x-secret": KEY}),
        json!({"cookie": format!("session={KEY}; theme=dark")}),
        json!({"Authorization": format!("Basic {}", base64(&format!("me:{KEY}")))}),
        json!({"Proxy-Authorization": format!("Bearer {KEY}")}),
    ] {
        let text = told(&json!({"headers": headers}), json!({"status": 403, "body": body}));
        assert!(text.contains("who is ***?") && !text.contains(KEY), "{headers}: {text}");
    }
}

#[test]
fn a_short_key_does_not_spoil_messages() {
    let message = "error: model 'm1' has 404 dimensions";
    for key in ["1", "k", "m", "error", "sk-1", "model", "o"] {
        let text =
            told(&json!({"key": key, "retries": 0}), json!({"status": 403, "body": {"message": message}}));
        assert!(text.contains(message), "{key}: {text}");
    }
}
