use super::*;

const KEY: &str = "sk-proj-A1b2/C3d4+E5f6_G7\"h8&i9<J0=k";

fn scrubber(keys: &[&str]) -> Scrubber {
    let mut scrubber = Scrubber::default();
    keys.iter().for_each(|key| scrubber.add(key));
    scrubber
}

fn each(key: &str, spell: impl Fn(u8) -> String) -> String {
    key.bytes().map(spell).collect()
}

fn punctuation(key: &str, spell: impl Fn(u8) -> String) -> String {
    each(key, |b| if b.is_ascii_alphanumeric() { char::from(b).into() } else { spell(b) })
}

fn base64(text: &str) -> String {
    base64_simd::STANDARD.encode_to_string(text)
}

/// The spellings of `key` by which servers repeat what they were sent.
fn spellings(key: &str) -> Vec<String> {
    let html = key.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let percent = punctuation(key, |b| format!("%{b:02X}"));
    let mut all = vec![
        key.to_owned(),
        key.to_uppercase(),
        key.to_lowercase(),
        serde_json::to_string(key).unwrap(),
        serde_json::to_string(&serde_json::to_string(key).unwrap()).unwrap(),
        each(key, |b| format!("\\u{b:04x}")),
        each(key, |b| format!("\\u{b:04X}")),
        each(key, |b| format!("\\x{b:02x}")),
        punctuation(key, |b| format!("\\u{b:04x}")),
        key.replace('/', "\\/").replace('"', "\\\""),
        html.replace('"', "&#34;").replace('/', "&#x2F;"),
        html.replace('/', "&sol;").replace('+', "&plus;").replace('_', "&lowbar;").replace('=', "&equals;"),
        html.replace('&', "&amp;"),
        each(key, |b| format!("&#{b};")),
        each(key, |b| format!("&#{b}")),
        each(key, |b| format!("&#x{b:x};")),
        each(key, |b| format!("&#X{b:X};")),
        each(key, |b| format!("%{b:02x}")),
        percent.to_lowercase(),
        percent.replace('%', "%25"),
        percent.clone(),
        html,
        key.split_at(17).0.to_owned() + "\n  " + key.split_at(17).1,
        each(key, |b| format!("{}\0", char::from(b))),
    ];
    for before in ["", "u", "us", "user:"] {
        let text = base64(&format!("{before}{key}, and so on"));
        all.push(text.replace('+', "-").replace('/', "_"));
        all.push(text.trim_end_matches('=').to_owned());
        all.push(text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"));
        all.push(text.replace('/', "\\/"));
        all.push(format!("{}\r\n {}", &text[..30], &text[30..]));
        all.push(text);
        all.push(base64(&format!("{before}{key}")));
        all.push(base64(&format!("{{\"k\":{}}}", serde_json::to_string(key).unwrap())));
    }
    all
}

#[test]
fn no_spelling_of_a_key_is_left() {
    for key in [KEY, "0123456789abcdef0123456789ABCDEF0123", "sk-\\nX&amp;9%41z9 a+b"] {
        let scrubber = scrubber(&[key]);
        for spelling in spellings(key) {
            let text = format!("Ünknown «{spelling}» given, 1 of 2");
            let out = scrubber.scrub(&text);
            assert!(out.contains(HIDDEN), "{spelling}: {}", *out);
            assert!(out.starts_with("Ünknown «") && out.ends_with(" given, 1 of 2"), "{}", *out);
            // What remains of it are the quotes, or what a base64 text holds besides.
            assert!(out.len() < 90, "{spelling}: {}", *out);
            for part in key.as_bytes().windows(PART) {
                let part = std::str::from_utf8(part).unwrap();
                assert!(!out.to_lowercase().contains(&part.to_lowercase()), "{spelling}: {}", *out);
            }
        }
    }
}

#[test]
fn a_part_of_a_key_is_hidden() {
    let scrubber = scrubber(&[KEY]);
    for n in 10..KEY.len() {
        for part in [&KEY[..n], &KEY[KEY.len() - n..]] {
            let out = scrubber.scrub(&format!("bad key '{part}…'"));
            // A `+` at its end or beginning is not told from a blank.
            assert_eq!(out.replace('+', ""), "bad key '***…'", "{part}");
            let out = scrubber.scrub(&base64(part));
            assert!(out.contains(HIDDEN) && out.len() < 12, "{part}: {}", *out);
        }
    }
    // Masked by the server: a few characters at its ends tell nobody the key.
    assert_eq!(*scrubber.scrub("Incorrect key: sk-proj-***J0=k"), "Incorrect key: sk-proj-***J0=k");
}

#[test]
fn the_words_of_a_message_stay() {
    let messages = [
        "error: the embedding model was not found in the server's production deployment (HTTP 404)",
        "invalid_request_error: input 0 has 8193 tokens, at most 8192 are allowed; see /v1/embeddings",
        "Keys start with sk-proj- or sk-svcacct-",
        "{\"error\":{\"message\":\"model 'text-embedding-3-small' is unknown\",\"code\":404}}",
    ];
    let keys =
        ["embedding-server-production-key-2024", "k", "sk-1", "1", "404", "8192", "error", "http", "model"];
    for key in keys.iter().chain(&[KEY]) {
        for message in messages {
            let out = scrubber(&[key]).scrub(message);
            let spoiled = *key == "8192" && message.contains(key);
            assert_eq!(out.contains(HIDDEN), spoiled, "{key}: {}", *out);
        }
    }
}

#[test]
fn a_short_key_is_hidden_where_it_stands_alone() {
    let scrubber = scrubber(&["sk-12", "tiny"]);
    assert_eq!(*scrubber.scrub("bad key: sk-12."), "bad key: ***.");
    assert_eq!(*scrubber.scrub("risk-123 tiny"), "risk-123 tiny");
    assert_eq!(*self::scrubber(&["s3cret-8"]).scrub("key=S3CRET-8x"), "key=***x");
    assert_eq!(*self::scrubber(&["password"]).scrub("password=password"), "***=***");
}

#[test]
fn what_is_secret_within_a_header_is_hidden_too() {
    let basic = format!("Basic {}", base64("me:open-sesame-17"));
    let keys = [basic.as_str(), "Bearer sk-right-now", "session=8d7f6a5e; theme=dark"];
    let out = scrubber(&keys).scrub("who is open-sesame-17 with sk-right-now and 8d7f6a5e? Bearer is dark");
    assert_eq!(*out, "who is *** with *** and ***? Bearer is dark");
}

#[test]
fn what_holds_no_key_stays_as_it_is() {
    for text in ["", "a", "%", "\\", "&", "%4", "\\u00", "&#;", "&amp", "ä%FFö\\u{1F600}&#x1F600;", "QUJD"]
    {
        assert_eq!(*scrubber(&[KEY, "four"]).scrub(text), text);
    }
}

#[test]
fn a_reply_is_read_with_stars_over_the_keys() {
    let keys = [KEY, "0000000000000000", "prompt_eval_count", "short-1", "Bearer 0123456789abcdef"];
    let text = format!("{KEY}{KEY} 0.0000000000000000 prompt_eval_count short-1 0123456789abcdef");
    let mut reply = text.into_bytes();
    scrubber(&keys).mask(&mut reply);
    let stars = "*".repeat(2 * KEY.len());
    let wanted = format!("{stars} 0.0000000000000000 prompt_eval_count short-1 ****************");
    assert_eq!(String::from_utf8(reply).unwrap(), wanted);
}

#[test]
fn a_long_text_takes_no_long_time() {
    let start = std::time::Instant::now();
    let text = "\\u0073k-proj-A1b2&amp;%41".repeat(64 << 10 >> 5);
    let keys = [KEY, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"];
    assert!(scrubber(&keys).scrub(&text).contains(HIDDEN));
    scrubber(&keys).scrub(&"a".repeat(64 << 10));
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}
