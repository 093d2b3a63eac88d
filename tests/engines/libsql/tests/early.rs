//! A libSQL that was in use before the crate: an error, where the crate panics. Alone in its process.

use libsql::{Builder, ffi};

#[tokio::test]
async fn a_libsql_in_use_before_the_crate_is_an_error_that_says_so() {
    // SAFETY: the C API may be initialized at any time.
    assert_eq!(unsafe { ffi::sqlite3_initialize() }, ffi::SQLITE_OK);
    let db = Builder::new_local("never.db").build().await.unwrap();
    let e = sqlite_rembed::libsql::register(&db).unwrap_err().to_string();
    assert!(e.contains("cannot initialize libSQL: it was in use before"), "{e}");
}
