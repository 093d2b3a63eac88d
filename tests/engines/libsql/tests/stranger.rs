//! A stranger's database file: nothing in its schema may call what is the user's. By `register()`, and by the file of the
//! library, before which the schema was read or not.

use driver::fake::Fake;
use libsql::{Builder, Connection};

const STRANGERS: &str = include_str!("../../strangers.txt");

fn lines(what: &str) -> impl Iterator<Item = Vec<&'static str>> {
    STRANGERS
        .lines()
        .filter_map(move |line| Some(line.strip_prefix(what)?.strip_prefix(" : ")?.split(" : ").collect()))
}

async fn run(connection: &Connection, sql: &str) -> Result<(), libsql::Error> {
    let mut rows = connection.query(sql, ()).await?;
    while rows.next().await?.is_some() {}
    Ok(())
}

async fn int(connection: &Connection, sql: &str) -> i64 {
    let mut rows = connection.query(sql, ()).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let value = rows.next().await.unwrap_or_else(|e| panic!("{sql}: {e}")).unwrap().get_value(0).unwrap();
    *value.as_integer().unwrap()
}

async fn attack(
    path: &std::path::Path,
    how: &str,
    fake: &Fake,
    open: impl AsyncFn(&libsql::Database) -> Connection,
) -> u32 {
    let mut tried = 0;
    for schema in lines("schema") {
        for call in lines("call") {
            if schema[0] == "DEFAULT" && call[0].contains("body") {
                continue;
            }
            let case = format!("{how}: {}, {}", schema[0], call[0]);
            let _ = std::fs::remove_file(path);
            {
                let made = Builder::new_local(path).build().await.unwrap().connect().unwrap();
                let sql = format!(
                    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {}; INSERT INTO notes(body) VALUES ('a');
                     PRAGMA writable_schema = ON;
                     UPDATE sqlite_master SET sql = replace(sql, 'upper(''evil'')', '{}')",
                    schema[1],
                    call[0].replace("URL", &fake.url).replace('\'', "''")
                );
                made.execute_batch(&sql).await.unwrap_or_else(|e| panic!("{case}: {e}"));
            }
            let connection = open(&Builder::new_local(path).build().await.unwrap()).await;
            run(&connection, &fake.register()).await.unwrap_or_else(|e| panic!("{case}: {e}"));
            for statement in &schema[2..] {
                let text = run(&connection, statement).await.expect_err(&case).to_string();
                assert!(
                    text.contains("unsafe use of") || text.contains("malformed database schema"),
                    "{case}: {text}"
                );
            }
            let _ = run(&connection, "PRAGMA integrity_check").await;
            // 'c' is there, 'evil' is not, and nothing was sent.
            let requests = "SELECT coalesce(json_extract(rembed_stats(), '$.c.requests'), 0)";
            assert_eq!(int(&connection, requests).await, 0, "{case}");
            assert_eq!(int(&connection, "SELECT rembed_unregister('evil')").await, 0, "{case}");
            assert_eq!(int(&connection, "SELECT rembed_unregister('c')").await, 1, "{case}");
            tried += 1;
        }
    }
    tried
}

#[tokio::test]
async fn no_schema_of_a_stranger_calls_what_is_the_users() {
    let (fake, folder) = (Fake::start(), tempfile::tempdir().unwrap());
    let path = folder.path().join("a.db");
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../target/release/libsqlite_rembed.so");
    let library = std::env::var("REMBED_LIB").unwrap_or_else(|_| built.into());
    let mut tried = 0;
    for read in [false, true] {
        let load = async |database: &libsql::Database| {
            let connection = database.connect().unwrap();
            if read {
                run(&connection, "SELECT body FROM notes").await.unwrap();
            }
            connection.load_extension_enable().unwrap();
            connection.load_extension(&library, None).unwrap();
            connection
        };
        tried += attack(&path, if read { "loaded, read before" } else { "loaded" }, &fake, load).await;
    }
    // For the connections from here on.
    let memory = Builder::new_local(":memory:").build().await.unwrap();
    sqlite_rembed::libsql::register(&memory).unwrap();
    tried += attack(&path, "register()", &fake, async |database| database.connect().unwrap()).await;
    assert!(tried >= 260, "{tried}");
}
