use super::*;

fn error(body: &str) -> String {
    read(body.as_bytes(), &|| true).unwrap_err().message
}

#[test]
fn a_long_value_is_not_repeated_whole() {
    let e = error(&format!(r#"{{"data":"{}"}}"#, "A".repeat(100_000)));
    assert!(e.chars().count() < 2100, "{}", e.len());
}

#[test]
fn a_reply_that_is_cut_off_may_be_asked_for_again() {
    let verdict = |body: &str| read(body.as_bytes(), &|| true).unwrap_err().verdict;
    assert_eq!(verdict(r#"{"embeddings":[[1,2"#), Verdict::RetryThenRefused(None));
    assert_eq!(verdict("<html>"), Verdict::Refused);
}

#[test]
fn numbers_are_nearest_f32() {
    let reply = read(b"[[1, -2, 0.1, 1e-3, 16777217, 0.333333343]]", &|| true).unwrap();
    assert_eq!(reply.data, [1.0, -2.0, 0.1, 1e-3, 16_777_216.0, 1.0 / 3.0]);
    assert_eq!((reply.rows, reply.width), (1, 6));
}

#[test]
fn base64_without_padding_is_read() {
    let reply = read(br#"{"data":[{"embedding":"AACAPw","index":0}]}"#, &|| true).unwrap();
    assert_eq!(reply.data, [1.0]);
    let reply = read(br#"["AACAPwAAgD8=","AACAPwAAgD8=","AACAP\/8AgD8="]"#, &|| true).unwrap();
    assert_eq!((reply.rows, reply.width, reply.data[0]), (3, 2, 1.0));
    let reply = read(br#"["AACAPwAAgD8=","AACAPw=="  ,"AACAPwAAAEA="]"#, &|| true).unwrap();
    assert_eq!((reply.data, reply.others), (vec![1.0, 1.0, 1.0, 2.0], vec![(1, 1)]));
    assert!(error(r#"{"data":[{"embedding":"AACA"}]}"#).contains("3 bytes"));
    assert!(error(r#"{"data":[{"embedding":"A*CA"}]}"#).contains("not base64"));
}

#[test]
fn what_is_no_vector_is_an_error() {
    for (body, why) in [
        (r#"{"data":[{"index":0}]}"#, "no embedding"),
        (r#"{"data":[{"embedding":[1,"a"]}]}"#, "a number of an embedding"),
        (r#"{"data":[{"embedding":[NaNs]}]}"#, "not valid JSON"),
        (r#"{"data":[{"embedding":[nul]}]}"#, "not valid JSON"),
        (r#"{"data":[{"embedding":[1e]}]}"#, "not valid JSON"),
        (r#"{"embedding":[[1],[2]]}"#, "per token"),
        (r#"{"embedding":[[[1]]]}"#, "nested"),
        (r#"{"embedding":[1,[2,3]]}"#, "mixes"),
        (r#"{"embedding":[[2,3],1]}"#, "mixes"),
        (r#"{"embeddings":{"int8":[[1]]}}"#, "float or base64"),
        (r#"{"embeddings":{"float":{"input_tokens":4}}}"#, "a list of embeddings expected, not {"),
        (r#"{"embeddings":{"base64":"AACAPw=="}}"#, "a list of embeddings expected, not \"AACAPw==\""),
        (r#"{"object":"list"}"#, "neither"),
        (r#"{"embeddings":[[1]]"#, "not valid JSON"),
        (r#"{"embeddings":[[1]]} x"#, "not valid JSON"),
        ("<html>no <b>gateway</b></html>", "not valid JSON (it begins: <html>no <b>gateway</b></html>)"),
        ("", "is empty, and not valid JSON"),
        ("7", "no usable"),
    ] {
        let e = error(body);
        assert!(e.contains(why), "{body}: {e}");
    }
}

#[test]
fn a_row_that_is_no_vector_leaves_the_others() {
    let body = br#"{"data":[{"embedding":null,"index":2},{"embedding":[1,2],"index":0},
            {"embedding":[NaN,-Infinity]},{"embedding":[1e999, null]},{"embedding":null}]}"#;
    let reply = read(body, &|| true).unwrap();
    assert_eq!((reply.rows, reply.width, &reply.nulls[..]), (5, 2, &[0, 4][..]));
    assert_eq!(reply.index, [2, 0, NO_INDEX, NO_INDEX, NO_INDEX]);
    assert_eq!(reply.data[..2], [1.0, 2.0]);
    assert!(reply.data[2..].iter().all(|x| x.is_nan()), "{:?}", reply.data);
    let reply = read(br#"{"data":[{"embedding":[1]},{"embedding":[2],"index":null}]}"#, &|| true).unwrap();
    assert!(reply.index.is_empty());
}

#[test]
fn a_row_of_another_width_leaves_the_others() {
    for (body, width, data, nulls, others) in [
        ("[[1,2],[3],[4,5]]", 2, vec![1.0, 2.0, 4.0, 5.0], vec![], vec![(1, 1)]),
        (
            "[[1],null,[2,3],[4,5,6],[],[7,8]]",
            2,
            vec![2.0, 3.0, 7.0, 8.0],
            vec![1],
            vec![(0, 1), (3, 3), (4, 0)],
        ),
        // Of as many the first counts.
        ("[[1,2],[3],[4],[5,6]]", 2, vec![1.0, 2.0, 5.0, 6.0], vec![], vec![(1, 1), (2, 1)]),
        ("[[1,2],[3]]", 2, vec![1.0, 2.0], vec![], vec![(1, 1)]),
    ] {
        let reply = read(body.as_bytes(), &|| true).unwrap();
        assert_eq!(
            (reply.width, reply.data, reply.nulls, reply.others),
            (width, data, nulls, others),
            "{body}"
        );
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    assert_eq!(read(b"\xef\xbb\xbf[[1]]", &|| true).unwrap().data, [1.0]);
}

#[test]
fn an_error_in_a_good_reply_is_that_error() {
    for (body, message, verdict) in [
        (r#"{"error":{"message":"overloaded","code":503}}"#, "overloaded", Verdict::Retry(None)),
        (r#"{"error":{"message":"no such model","code":"404"}}"#, "no such model", Verdict::Permanent),
        (r#"{"error":"this text is bad"}"#, "this text is bad", Verdict::Refused),
        (r#"{"error":{"message":"too many tokens"},"data":[]}"#, "too many tokens", Verdict::TooLarge),
        (r#"{"data":null,"error":{"message":"m","code":429}}"#, "m", Verdict::Retry(None)),
    ] {
        let failure = read(body.as_bytes(), &|| true).unwrap_err();
        assert_eq!((&*failure.message, failure.verdict), (message, verdict), "{body}");
    }
    assert!(read(br#"{"error":null,"data":[{"embedding":[1]}]}"#, &|| true).is_ok());
}

#[test]
fn usage_may_be_missing_null_or_partial() {
    for (usage, tokens) in [
        ("", None),
        (r#","usage":null"#, None),
        (r#","usage":{"total_tokens":null}"#, None),
        (r#","usage":[],"meta":"x","prompt_eval_count":6.0"#, Some(6)),
        (r#","usage":{"prompt_tokens":3,"total_tokens":4}"#, Some(4)),
    ] {
        let body = format!(r#"{{"embeddings":[[1]]{usage}}}"#);
        assert_eq!(read(body.as_bytes(), &|| true).unwrap().tokens, tokens, "{usage}");
    }
}
