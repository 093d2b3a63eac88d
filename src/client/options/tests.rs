use std::time::Duration;

use serde_json::json;

use super::table::TABLE;
use super::*;

fn of(value: Value) -> Result<Options> {
    Options::from_map(value.as_object().unwrap().clone())
}

/// A value that each option accepts: a documented option that is refused, or one without an example, fails.
#[test]
fn every_documented_option_is_accepted_in_json_and_in_pairs() {
    let examples = json!({
        "format": "openai", "model": "m", "url": "http://localhost", "key": "env:K", "token_url": "https://t/token", "dimensions": 256,
        "input_type": "query", "normalize": true, "truncate": false, "encoding": "float32", "query_prefix": "q: ",
        "document_prefix": "d: ", "headers": {"X-A": "1"},
        "client_cert": "/etc/c.pem", "client_key": "/etc/c.key", "body": {"user": "u"}, "input": "/texts", "output": "/vectors/*", "timeout": 1.5, "connect_timeout": 2, "retries": 0, "batch_size": 10,
        "batch_tokens": 1000, "concurrency": 4, "connections": 8, "requests_per_minute": 60, "tokens_per_minute": 1000,
        "cache": "off", "scope": "process", "allow_http": 1
    });
    for option in OPTIONS {
        let value = examples.get(*option).expect(option).clone();
        of(json!({*option: value})).expect(option);
        let sql = match value {
            Value::Object(o) => Value::String(Value::Object(o).to_string()),
            Value::Bool(b) => json!(i64::from(b)),
            other => other,
        };
        from_pairs([((*option).to_owned(), sql)]).expect(option);
    }
    assert_eq!(examples.as_object().unwrap().len(), OPTIONS.len());
}

#[test]
fn an_unknown_option_names_itself_and_the_known_ones() {
    let e = of(json!({"modle": "m"})).unwrap_err().to_string();
    assert!(e.contains("'modle'") && e.contains("model, url, key"), "{e}");
    assert!(of(json!({"modle": null})).is_err());
}

#[test]
fn the_shorthand_is_a_format() {
    assert_eq!(Options::parse(" OpenAI ").unwrap().format.as_deref(), Some("openai"));
    for bad in ["", "{", "[1]", "open ai", "{\"a\":"] {
        assert!(Options::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn numbers_and_truths_may_be_quoted() {
    let o = of(json!({"dimensions": "64", "normalize": "TRUE", "timeout": "0.5"})).unwrap();
    assert_eq!((o.dimensions, o.normalize), (Some(64), true));
    assert_eq!(o.timeout, Some(Duration::from_millis(500)));
}

#[test]
fn wrong_values_say_what_is_wanted() {
    for (bad, wants) in [
        (json!({"dimensions": 0}), "from 1"),
        (json!({"dimensions": 1.5}), "whole number"),
        (json!({"timeout": -1}), "seconds"),
        (json!({"timeout": "inf"}), "seconds"),
        (json!({"cache": "ram"}), "memory, disk, off"),
        (json!({"body": []}), "JSON object"),
        (json!({"headers": {"a": 1}}), "text"),
        (json!({"headers": {"a b": "1"}}), "HTTP"),
        (json!({"headers": {"Content-Length": "1"}}), "Content-Length"),
        (json!({"key": 5}), "env:NAME"),
        (json!({"normalize": 2}), "true or false"),
        (json!({"model": ""}), "text"),
    ] {
        let e = of(bad.clone()).unwrap_err().to_string();
        assert!(e.contains(wants), "{bad}: {e}");
    }
}

#[test]
fn what_is_shown_holds_no_secret() {
    let o = of(json!({
        "key": "sk-1", "headers": {"api-key": "sk-2", "x": "env:Y", "x-title": "t"}, "dimensions": 4, "model": "m"
    }))
    .unwrap();
    let shown = Value::Object(o.shown.clone()).to_string();
    assert_eq!(shown, r#"{"headers":{"api-key":"***","x":"env:Y","x-title":"t"},"dimensions":4}"#);
    assert!(!format!("{o:?}").contains("sk-"), "{o:?}");
}

#[test]
fn a_repeated_pair_is_refused() {
    let pairs = ["model", "model"].map(|n| (n.to_owned(), json!("m")));
    assert!(from_pairs(pairs).unwrap_err().to_string().contains("twice"));
}

/// The README's table of options, of the entries of the table here.
fn documentation() -> String {
    let rows = TABLE.iter().map(|o| format!("| `{}` | {} | {} |\n", o.name, o.meaning.trim(), o.default));
    "| option | meaning | default |\n| --- | --- | --- |\n".to_owned() + &rows.collect::<String>()
}

/// `UPDATE_README=1 cargo test --lib the_readme_has_the_table` writes it.
#[test]
fn the_readme_has_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let from = readme.find("| option | meaning | default |").unwrap();
    let to = from + readme[from..].find("\n\n").unwrap() + 1;
    if std::env::var_os("UPDATE_README").is_some() {
        return std::fs::write(path, readme[..from].to_owned() + &documentation() + &readme[to..]).unwrap();
    }
    assert_eq!(&readme[from..to], documentation());
}

/// The keys of disk caches are made of this text.
#[test]
fn the_part_of_a_reply_in_a_key_stays_as_it_is() {
    assert_eq!(of(json!({"dimensions": 4, "normalize": 1})).unwrap().of_reply(), "Some(4) true");
    assert_eq!(Options::default().of_reply(), "None false");
}

#[test]
fn a_byte_order_mark_is_skipped() {
    assert!(Options::parse("\u{feff}{\"format\":\"openai\"}").is_ok());
    assert!(Options::parse("\u{feff}openai").is_ok());
    assert!(from_pairs([("headers".to_owned(), json!("\u{feff}{\"X-A\":\"1\"}"))]).is_ok());
}
