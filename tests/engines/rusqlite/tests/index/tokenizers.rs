//! FTS5's tokenizers: the ones that it has, and one that the application made.

use std::ffi::{c_char, c_int, c_void};

use rusqlite::{Connection, ffi};

use crate::support::{DOCS, INDEX, Provider, error, indexed, list, matches, open, sync};

unsafe extern "C" fn make(
    _: *mut c_void,
    _: *mut *const c_char,
    args: c_int,
    made: *mut *mut ffi::Fts5Tokenizer,
) -> c_int {
    if args > 0 {
        return ffi::SQLITE_ERROR;
    }
    // SAFETY: FTS5 passes a place for it.
    unsafe { *made = std::ptr::dangling_mut::<u8>().cast() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn drop_it(_: *mut ffi::Fts5Tokenizer) {}

/// The whole text is one word.
unsafe extern "C" fn tokenize(
    _: *mut ffi::Fts5Tokenizer,
    app: *mut c_void,
    _: c_int,
    text: *const c_char,
    bytes: c_int,
    token: Option<unsafe extern "C" fn(*mut c_void, c_int, *const c_char, c_int, c_int, c_int) -> c_int>,
) -> c_int {
    // SAFETY: FTS5 passes its callback and what that takes.
    unsafe { token.unwrap()(app, 0, text, bytes, 0, bytes) }
}

/// Makes the tokenizer `whole` for a connection.
fn make_whole(db: &Connection) {
    // SAFETY: the connection is open, and the pointers live through the calls.
    unsafe {
        let (mut stmt, mut api): (*mut ffi::sqlite3_stmt, *mut ffi::fts5_api) =
            (std::ptr::null_mut(), std::ptr::null_mut());
        let sql = c"SELECT fts5(?1)";
        assert_eq!(
            ffi::sqlite3_prepare_v2(db.handle(), sql.as_ptr(), -1, &mut stmt, std::ptr::null_mut()),
            ffi::SQLITE_OK
        );
        ffi::sqlite3_bind_pointer(stmt, 1, (&raw mut api).cast(), c"fts5_api_ptr".as_ptr(), None);
        ffi::sqlite3_step(stmt);
        ffi::sqlite3_finalize(stmt);
        let mut whole =
            ffi::fts5_tokenizer { xCreate: Some(make), xDelete: Some(drop_it), xTokenize: Some(tokenize) };
        let create = (*api).xCreateTokenizer.unwrap();
        assert_eq!(create(api, c"whole".as_ptr(), std::ptr::null_mut(), &mut whole, None), ffi::SQLITE_OK);
    }
}

#[test]
fn a_tokenizer_of_the_application_is_taken_where_it_is_made() {
    let db = indexed(&Provider::new("{}"));
    sync(&db);
    let change = |tokenize: &str| {
        format!("INSERT INTO docs_index(docs_index, rank) VALUES ('tokenize', '{tokenize}')")
    };
    assert!(error(&db, &change("whole")).contains("tokenize = 'whole': no such tokenizer: whole"));
    make_whole(&db);
    let e = error(&db, &change("whole red"));
    assert!(e.contains("tokenize = 'whole red': "), "{e}");
    assert!(error(&db, &change("[whole]")).contains("tokenize = '[whole]': parse error"));
    db.execute_batch(&change("''whole''")).unwrap();
    sync(&db);
    assert_eq!((matches(&db, "\"Third.\""), matches(&db, "third")), ("3".into(), String::new()));
}

#[test]
fn an_index_of_a_tokenizer_that_is_not_there_is_not_made_and_leaves_nothing() {
    let db = open();
    db.execute_batch(DOCS).unwrap();
    let create = |tokenize: &str| INDEX.replace("columns =", &format!("tokenize = '{tokenize}', columns ="));
    for begin in ["", "BEGIN"] {
        db.execute_batch(begin).unwrap();
        for (tokenize, part) in [
            ("nope", "tokenize = 'nope': no such tokenizer: nope"),
            ("unicode61 colour red", "error in tokenizer constructor"),
            ("(", "tokenize = '(': "),
        ] {
            let e = error(&db, &create(tokenize));
            assert!(e.contains(part), "{tokenize}: {e}");
            assert_eq!(list(&db, "SELECT name FROM sqlite_master"), "docs");
        }
    }
    make_whole(&db);
    db.execute_batch(&create("whole")).unwrap();
    db.execute_batch("COMMIT; DROP TABLE docs_index").unwrap();
}
