//! What a hostile reply may cost: twice its size, whatever it holds.

// With that feature the library brings an allocator of its own.
#![cfg(not(feature = "limbo"))]

#[path = "engines/driver/src/counting.rs"]
#[allow(dead_code)] // the leak tests of engines use the rest
mod counting;

use sqlite_rembed::provider::{self, HttpReply, Verdict};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

const SIZE: usize = 2 << 20;
/// What any reply may take besides, however small it is.
const BESIDES: usize = 1 << 20;

/// `before`, `unit` as often as makes a body of [`SIZE`], `after`.
fn body(before: &str, unit: &str, after: &str) -> Vec<u8> {
    format!("{before}{}{after}", unit.repeat(SIZE / unit.len())).into_bytes()
}

/// One test, since the counts are the process's.
#[test]
fn a_reply_takes_twice_its_size_at_most() {
    let good: &[(&str, &str, &str)] = &[
        (r#"{"data":[[1]],"usage":["#, "[0],", "0]}"),
        (r#"{"data":[[1]],"usage":{"total_tokens":["#, "[0],", "0]}}"),
        (r#"{"data":[[1]],"unknown":["#, "{},", "0]}"),
        (r#"{"data":[{"embedding":[1],"index":["#, "[0],", "0]}]}"),
        (r#"[{"embedding":[1]"#, r#","index":0"#, "}]"),
        (r#"{"data":[[1]]"#, r#","a":0"#, "}"),
        (r#"{"data":[[1]]"#, r#","usage":1"#, "}"),
        (r#"{"data":[[1]],""#, "k", r#"":0}"#),
        (r#"{"data":[[1]],""#, "\\u0041", r#"":0}"#),
        (r#"{"data":[[1]],"a":""#, "\\n", r#""}"#),
        ("[", "[1],", "[1]]"),
        ("[", "[[1]],", "[1]]"),
        ("[", r#"{"index":0,"embedding":[1]},"#, "[1]]"),
        ("[", "[],", "[]]"),
        ("[", r#""","#, "[]]"),
        ("[", r#""AAAAAA","#, "[1]]"),
        ("[[", "1.5,", "1]]"),
        ("[[", "0.123456789,", "1]]"),
        ("[\"", "AAAAAAAAAAAAAAAA", "\"]"),
        ("[\"AAA\\/AAAAAAAAAAAA", "AAAAAAAAAAAAAAAA", "\"]"),
        ("[\"", "AAA\\/AAA\\/AAA\\/AAA\\/", "\"]"),
        ("[[1]", " ", "]"),
    ];
    let bad: &[(&str, &str, &str)] = &[
        ("[[", "1,", "1]]"),
        ("[[[", "1,", "1]]]"),
        ("[", "1,", "1]"),
        (r#"{"data":["#, "{},", "{}]}"),
        (r#"{"data":""#, "x", r#""}"#),
        (r#"{"data":["#, "[[0]],", "1]}"),
        ("[[1,", "[[0]],", "1]]"),
        (r#"[{"embedding":{"x":["#, "[0],", "0]}}]"),
        (r#"{"error":["#, "[0],", "0]}"),
        ("\"", "x", "\""),
        ("\"", "\\\\", "\""),
        ("[\"", "\\u0041", "\"]"),
        ("[[0.", "1", "]]"),
        (r#"{"a":"#, "1", r#","data":[[1]]}"#),
        ("", "[", ""),
        ("", r#"{"data":"#, ""),
        (r#"{"embedding":"#, r#"{"float":"#, ""),
        ("[[1", ",2]", "]"),
        ("[", "[1],[2,3],", "1]"),
        ("", "\u{ff}", ""),
    ];
    for (bodies, is_good) in [(good, true), (bad, false)] {
        for (before, unit, after) in bodies {
            let body = body(before, unit, after);
            let (reply, peak) = counting::peak_of(|| provider::read(&body, &|| true));
            assert_eq!(reply.is_ok(), is_good, "{before}{unit}…: {:?}", reply.map(|r| (r.rows, r.width)));
            let most = body.len() + BESIDES + (4 << 10);
            assert!(peak <= most, "{before}{unit}…: {peak} bytes besides a body of {}", body.len());
        }
    }
    let openai = provider::find("openai").unwrap();
    for (before, unit, after) in good.iter().chain(bad) {
        // As much as is read of an error.
        let body = format!("{before}{}{after}", unit.repeat((60 << 10) / unit.len()));
        let (_, peak) = counting::peak_of(|| openai.failure(&HttpReply::new(400, body.as_bytes())));
        assert!(peak <= BESIDES / 2, "{before}{unit}…: {peak} bytes of an error");
    }
    // A batch whose reply is too dense is asked for in parts.
    let failure = provider::read(&body("[[", "1,", "1]]"), &|| true).unwrap_err();
    assert_eq!(failure.verdict, Verdict::TooLarge, "{failure:?}");
}
