//! What may be embedded, and what arrives at the provider.

use rusqlite::{Connection, ffi};
use serde_json::json;
use sqlite_host::*;

/// What arrives of one SQL expression.
fn arrives(expression: &str) -> String {
    let world = world(json!({"width": 4}));
    open_with_client(&world).run(&format!("SELECT rembed('c', {expression})"), ());
    let texts = world.texts();
    assert_eq!(texts.len(), 1, "{expression}");
    texts.into_iter().next().unwrap()
}

/// What happens to bytes bound as TEXT, which SQLite takes without a look.
fn embed_bytes(db: &Connection, bytes: &[u8]) -> Result<(), String> {
    // SAFETY: the statement lives from prepare to finalize, and the bytes outlive it.
    unsafe {
        let mut statement = std::ptr::null_mut();
        let sql = c"SELECT rembed('c', ?1)";
        let rc = ffi::sqlite3_prepare_v2(db.handle(), sql.as_ptr(), -1, &mut statement, std::ptr::null_mut());
        assert_eq!(rc, ffi::SQLITE_OK);
        let n = bytes.len().try_into().unwrap();
        ffi::sqlite3_bind_text(statement, 1, bytes.as_ptr().cast(), n, ffi::SQLITE_STATIC());
        let rc = ffi::sqlite3_step(statement);
        let text = std::ffi::CStr::from_ptr(ffi::sqlite3_errmsg(db.handle())).to_string_lossy().into_owned();
        ffi::sqlite3_finalize(statement);
        if rc == ffi::SQLITE_ROW { Ok(()) } else { Err(text) }
    }
}

#[test]
fn text_arrives_as_it_is() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    let texts = [
        "plain",
        " white \t space\r\n ",
        "\"quotes\" and \\backslashes\\ and 'more'",
        "Grüße, 世界! ☕ 👩‍👩‍👧 e\u{301} \u{202e}rtl\u{fffd}\u{feff}",
        "\u{1}\u{1f}\u{7f}\u{2028}\u{2029}",
        "null",
        "{\"input\": [1]}",
        "%s%n%d",
    ];
    for text in texts {
        db.embed(text);
    }
    assert_eq!(world.texts(), texts);
}

#[test]
fn an_embedded_nul_is_part_of_the_text() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    for text in ["a\0b", "\0", "end\0"] {
        db.embed(text);
    }
    assert_eq!(world.texts(), ["a\0b", "\0", "end\0"]);
}

#[test]
fn a_long_text_arrives_whole() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    let long = "0123456789 ü ".repeat(200_000);
    db.embed(&long);
    assert!(world.texts() == [long], "the text of {} bytes changed", world.texts()[0].len());
}

#[test]
fn text_of_an_utf16_database_arrives_as_it_is() {
    let world = world(json!({"width": 4}));
    let db = open();
    db.run("PRAGMA encoding = 'UTF-16le'", ());
    db.run("CREATE TABLE t(x TEXT)", ());
    register(&db, "c", &world, "{}");
    let text = "Grüße, 世界! 👩‍👩‍👧";
    db.run("INSERT INTO t VALUES (?)", [text]);
    assert_eq!(db.vector("SELECT rembed('c', x) FROM t", ()).len(), 4);
    assert_eq!(world.texts(), [text]);
}

#[test]
fn numbers_are_embedded_as_their_text() {
    for number in ["42", "-7", "9223372036854775807", "1.5", "-0.25", "1e300", "100.0", "9e999"] {
        let text = open().get::<String>(&format!("SELECT CAST({number} AS TEXT)"), ());
        assert_eq!(arrives(number), text);
    }
}

#[test]
fn null_gives_null_and_sends_nothing() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    assert_eq!(db.get::<Option<Vec<u8>>>("SELECT rembed('c', NULL)", ()), None);
    assert_eq!(db.get::<Option<Vec<u8>>>("SELECT rembed('c', NULL, 'query')", ()), None);
    assert_eq!(db.get::<Option<Vec<u8>>>("SELECT rembed('c', ?)", [None::<String>]), None);
    assert_eq!(world.requests(), 0);
}

#[test]
fn a_null_client_is_an_error() {
    let db = open();
    for text in ["'a'", "NULL"] {
        let text = error(db.fails(&format!("SELECT rembed(NULL, {text})"), ()));
        assert!(text.contains("NULL"), "{text}");
    }
}

#[test]
fn a_blob_is_an_error() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    for call in ["rembed('c', x'6162')", "rembed('c', x'')", "rembed(x'63', 'a')", "rembed('c', 'a', x'00')"]
    {
        let text = error(db.fails(&format!("SELECT {call}"), ()));
        assert!(text.contains("BLOB"), "{call}: {text}");
    }
    assert_eq!(world.requests(), 0);
}

#[test]
fn bytes_that_are_no_utf8_are_an_error() {
    let world = world(json!({"width": 4}));
    let db = open_with_client(&world);
    let bad: [&[u8]; 7] =
        [b"\xff", b"caf\xe9", b"\xe2\x82", b"a\xc0\x80b", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok\x80"];
    for bytes in bad {
        let text = embed_bytes(&db, bytes).expect_err("bytes that are no UTF-8");
        assert!(text.contains("UTF-8"), "{bytes:?}: {text}");
    }
    let text = error(db.fails("SELECT rembed('c', CAST(x'ff' AS TEXT))", ()));
    assert!(text.contains("UTF-8"), "{text}");
    assert_eq!(world.requests(), 0);
    embed_bytes(&db, "é".as_bytes()).unwrap();
}

#[test]
fn empty_text_is_sent_and_the_provider_answers_as_it_likes() {
    let world = world(json!({"width": 4, "flavor": "llama"}));
    let db = open_with_client(&world);
    assert_eq!(db.embed("").len(), 4);
    assert_eq!(world.texts(), [""]);
    world.reset(json!({"width": 4, "flavor": "openai"}));
    let text = db.embed_error("");
    assert!(text.contains("HTTP 400") && text.contains("is invalid"), "{text}");
    assert_eq!(world.texts(), [""]);
}

#[test]
fn an_unknown_client_is_told_which_there_are() {
    let db = open();
    let unknown = "was not registered with rembed_clients";
    let text = db.embed_error("a");
    assert!(text.contains("'c'") && text.contains(unknown), "{text}");
    db.run("SELECT rembed_register('first', 'openai'), rembed_register('second one', 'ollama')", ());
    let text = db.embed_error("a");
    for part in [unknown, "first", "second one"] {
        assert!(text.contains(part), "{text}");
    }
    let text = error(db.fails("SELECT rembed('First', 'a')", ()));
    assert!(text.contains(unknown), "names are told apart by case: {text}");
}
