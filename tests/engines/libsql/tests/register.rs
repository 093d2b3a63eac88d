//! `register()`: every later connection of the process, of any database, once.

use driver::fake::Fake;
use libsql::{Builder, Connection};

async fn one(connection: &Connection, sql: &str) -> Result<libsql::Value, libsql::Error> {
    let mut rows = connection.query(sql, ()).await?;
    rows.next().await?.expect("a row").get_value(0)
}

fn text(value: libsql::Value) -> String {
    value.as_text().expect("text").clone()
}

/// One after the other: `register()` is for the whole process.
#[tokio::test]
async fn a_registration() {
    later_connections_have_the_surface_and_earlier_ones_do_not().await;
    clients_are_a_connections_own_and_a_constant_call_runs_once().await;
}

async fn later_connections_have_the_surface_and_earlier_ones_do_not() {
    let db = Builder::new_local(":memory:").build().await.unwrap();
    let early = db.connect().unwrap();
    sqlite_rembed::libsql::register(&db).unwrap();
    sqlite_rembed::libsql::register(&db).unwrap();
    let e = one(&early, "SELECT rembed_version()").await.unwrap_err().to_string();
    assert!(e.contains("no such function"), "{e}");

    let folder = tempfile::tempdir().unwrap();
    for path in [":memory:".into(), folder.path().join("a.db"), folder.path().join("b.db")] {
        let other = Builder::new_local(path).build().await.unwrap();
        let connection = other.connect().unwrap();
        let version = text(one(&connection, "SELECT rembed_version()").await.unwrap());
        assert_eq!(version, sqlite_rembed::sql::session::VERSION);
        let debug = text(one(&connection, "SELECT rembed_debug()").await.unwrap());
        assert!(debug.contains("Engine: libSQL (SQLite 3."), "{debug}");
    }
}

async fn clients_are_a_connections_own_and_a_constant_call_runs_once() {
    let fake = Fake::start();
    let db = Builder::new_local(":memory:").build().await.unwrap();
    sqlite_rembed::libsql::register(&db).unwrap();
    let (a, b) = (db.connect().unwrap(), db.connect().unwrap());
    one(&a, &fake.register()).await.unwrap();
    let e = one(&b, "SELECT rembed('c', 'x')").await.unwrap_err().to_string();
    assert!(e.contains("'c' was not registered"), "{e}");
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
               SELECT count(DISTINCT rembed('c', 'x')) FROM n";
    assert_eq!(one(&a, sql).await.unwrap(), 1.into());
    let texts = one(&a, "SELECT json_extract(rembed_stats(), '$.c.requests')").await.unwrap();
    assert_eq!(texts, 1.into());
}
