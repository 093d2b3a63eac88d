//! What the reader takes and what it refuses.

use super::*;
use crate::provider::number::NUMBER_MAX;

fn with<T>(
    text: impl AsRef<[u8]>,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut reader = Reader::new(text.as_ref(), &|| true);
    let read = read(&mut reader)?;
    reader.end()?;
    Ok(read)
}

fn all(text: &str) -> Result<Vec<f32>, Error> {
    with(text, |reader| {
        let mut out = Vec::with_capacity(16);
        reader.enter()?;
        assert_ne!(reader.numbers(&mut out)?, After::Number);
        reader.leave()?;
        Ok(out)
    })
}

fn skip(text: impl AsRef<[u8]>) -> Result<(), Error> {
    with(text, |reader| reader.skip())
}

fn string(text: &str) -> Result<String, Error> {
    let mut read = Vec::new();
    with(text, |reader| reader.string(|part| read.extend_from_slice(part)))?;
    Ok(String::from_utf8(read).unwrap())
}

#[test]
fn white_space_is_skipped_and_what_is_no_list_of_numbers_is_refused() {
    assert_eq!(all("[ 1 ,\n2\t, 3 ]").unwrap(), [1.0, 2.0, 3.0]);
    assert_eq!(all("[]").unwrap(), [0f32; 0]);
    for bad in [
        "[01]",
        "[1.]",
        "[.5]",
        "[-]",
        "[1 2]",
        "[1e9.9]",
        "[0.12E678E62]",
        "[01e999]",
        "[1.e999]",
        "[-e999]",
        "[Nan]",
        "[1",
        "[1,2",
        "[+1]",
        "[1]]",
        "[1,]",
        "[1 , ]",
        "[,1]",
        "[,]",
        "[1,,2]",
        "[1e]",
        "[1e+]",
        "[-01]",
        "[0x1]",
        "[1f]",
        "[Infinit]",
        "[+Infinity]",
        "[1;]",
    ] {
        assert!(all(bad).is_err(), "{bad}");
    }
    for cut_off in ["[1,2", "[1,", "[", "[1 "] {
        assert_eq!(all(cut_off).unwrap_err().kind, Kind::CutOff, "{cut_off}");
    }
    assert_eq!(all("[1;").unwrap_err().kind, Kind::Syntax);
}

/// What is skipped is read as strictly as by serde_json.
#[test]
fn what_is_skipped_must_be_json() {
    for good in [
        "0",
        "-0",
        "10",
        "-1.5e-7",
        "1E+2",
        "1e999",
        "true",
        "false",
        "null",
        "\"\"",
        "[]",
        "{}",
        " [ 1 , { } ] ",
        r#"{"a":{"b":[[],[{}],"x"]},"":null}"#,
        r#""\u0041\ud83d\ude00\"\\\/\b\f\n\r\t""#,
        "\"\u{7f}é😀\"",
        r#"{"a":1,"a":2}"#,
    ] {
        assert_eq!(skip(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        " ",
        "[1,]",
        "[,]",
        "{,}",
        r#"{"a":1,}"#,
        r#"{"a"}"#,
        r#"{"a":}"#,
        "{a:1}",
        "{1:1}",
        "[1}",
        "{]",
        "[1 2]",
        "01",
        "-",
        "-01",
        "+1",
        ".5",
        "1.",
        "1e",
        "1e+",
        "1.e5",
        "0x1",
        "NaN",
        "Infinity",
        "-Infinity",
        "nul",
        "True",
        "'a'",
        "\"a",
        "\"\\\"",
        r#""\x""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\u+123""#,
        "\"\n\"",
        "\"\0\"",
        "\"\u{1f}\"",
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800\u0041""#,
        r#""\ud800x""#,
        "[1]]",
        "1 2",
        "\u{a0}1",
        "1\0",
        "// x",
        "[1]//",
    ] {
        assert!(skip(bad).is_err(), "{bad:?}");
        assert!(serde_json::from_str::<serde_json::Value>(bad).is_err(), "{bad:?}");
    }
    for bad in [&b"\"\xff\""[..], b"\"\xc0\xaf\"", b"\"\xed\xa0\x80\"", b"{\"\x80\":1}", b"1\xff"] {
        assert_eq!(skip(bad).unwrap_err().kind, Kind::Syntax, "{bad:?}");
    }
    for cut_off in [&b"\"\xf0\x9f"[..], b"[tr", b"{\"a\"", b"[[1,2"] {
        assert_eq!(skip(cut_off).unwrap_err().kind, Kind::CutOff, "{cut_off:?}");
    }
}

#[test]
fn strings_come_with_what_their_escapes_mean() {
    for text in ["", "a", "é😀", "\"\\/\u{8}\u{c}\n\r\t", "\u{1}\u{ffff}\u{10ffff}\u{d7ff}\u{e000}"] {
        assert_eq!(string(&serde_json::to_string(text).unwrap()).unwrap(), text);
        let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        assert_eq!(string(&format!("\"{escaped}\"")).unwrap(), text);
    }
    // Longer than what is looked at at once, with characters across the borders.
    let long = "é\"".repeat(STRIDE);
    assert_eq!(string(&serde_json::to_string(&long).unwrap()).unwrap(), long);
}

#[test]
fn nesting_and_numbers_are_bounded() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert_eq!(skip(nested(DEEPEST)), Ok(()));
    assert_eq!(skip(nested(DEEPEST + 1)).unwrap_err().kind, Kind::Shape);
    assert_eq!(skip("[".repeat(1 << 20)).unwrap_err().kind, Kind::Shape);
    assert_eq!(skip("{\"a\":".repeat(1 << 20)).unwrap_err().kind, Kind::Shape);
    let digits = |n: usize| format!("[0.{}]", "1".repeat(n - 2));
    assert!(skip(digits(NUMBER_MAX)).is_ok() && all(&digits(NUMBER_MAX)).is_ok());
    assert!(skip(digits(NUMBER_MAX + 1)).is_err() && all(&digits(NUMBER_MAX + 1)).is_err());
}

#[test]
fn keys_are_read_with_escapes_and_long_ones_are_nobodys() {
    let long = "k".repeat(100);
    let text = format!(r#"{{"a\u0062":1,"{long}":2,"":3}}"#);
    let mut keys = Vec::new();
    let read = with(text, |reader| {
        reader.object(|reader, key| {
            keys.push(key.to_owned());
            reader.skip()
        })
    });
    assert_eq!((read, keys), (Ok(()), ["ab", "", ""].map(String::from).into()));
}

/// Whatever is read, the caller is asked often, and its no is the end.
#[test]
fn the_caller_may_stop_it() {
    let n = 8 * STRIDE;
    for text in [
        format!("[{}0]", "0,".repeat(n)),
        format!("\"{}\"", "a".repeat(n)),
        format!("\"{}\"", "\\n".repeat(n)),
        format!("[{}0]", "[0],".repeat(n)),
        format!("{{{}\"a\":0}}", "\"a\":0,".repeat(n)),
        format!("[{}]", " ".repeat(n)),
    ] {
        let asked = std::cell::Cell::new(0);
        let count = || {
            asked.set(asked.get() + 1);
            true
        };
        let mut reader = Reader::new(text.as_bytes(), &count);
        reader.skip().unwrap();
        assert!(asked.get() >= text.len() / STRIDE - 1, "{} times", asked.get());
        let limit = asked.get() - 3;
        asked.set(0);
        let until = || {
            asked.set(asked.get() + 1);
            asked.get() < limit
        };
        let mut reader = Reader::new(text.as_bytes(), &until);
        assert!(reader.skip().is_err() && reader.is_stopped());
        assert!(asked.get() <= limit + 2);
    }
}
