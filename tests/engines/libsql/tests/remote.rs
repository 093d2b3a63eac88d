//! Remote databases and embedded replicas, against a real libSQL server (`SQLD`): what runs where, and the pattern
//! that always works, `rembed()` in a SELECT here and the BLOB bound.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use driver::fake::Fake;
use libsql::{Builder, Connection, Database, Value, params};

/// A server on a folder of its own.
struct Server {
    url: String,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start(extensions: Option<&Path>, variables: &[(&str, &str)]) -> Server {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let mut command =
            Command::new(std::env::var_os("SQLD").expect("SQLD names the server: run.sh has it"));
        command
            .arg("--db-path")
            .arg(folder.path())
            .args(["--http-listen-addr", &format!("127.0.0.1:{port}")]);
        if let Some(folder) = extensions {
            command.arg("--extensions-path").arg(folder);
        }
        command.envs(variables.iter().copied());
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Server { url: format!("http://127.0.0.1:{port}"), process, _folder: folder };
        let connection = server.remote().await.connect().unwrap();
        for _ in 0..100 {
            if one(&connection, "SELECT 1").await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the server does not answer");
    }

    async fn remote(&self) -> Database {
        Builder::new_remote(self.url.clone(), String::new()).build().await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone, then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn one(connection: &Connection, sql: &str) -> Result<Value, libsql::Error> {
    let mut rows = connection.query(sql, ()).await?;
    rows.next().await?.expect("a row").get_value(0)
}

/// A connection of this process that has the surface and the client `c`.
async fn local(fake: &Fake) -> Connection {
    let db = Builder::new_local(":memory:").build().await.unwrap();
    sqlite_rembed::libsql::register(&db).unwrap();
    let connection = db.connect().unwrap();
    one(&connection, &fake.register()).await.unwrap();
    connection
}

async fn embed(local: &Connection, text: &str) -> Value {
    let mut rows = local.query("SELECT rembed('c', ?)", [text]).await.unwrap();
    rows.next().await.unwrap().unwrap().get_value(0).unwrap()
}

const TEXTS: [&str; 3] = ["refunds within thirty days", "the jury has been selected", "a pregnant stingray"];

/// Stores what `local` computes in `stored`, and finds it by what it computes.
async fn store_and_search(local: &Connection, stored: &Connection) {
    stored.execute("CREATE TABLE docs(text TEXT, embedding F32_BLOB(768))", ()).await.unwrap();
    stored.execute("CREATE INDEX docs_idx ON docs(libsql_vector_idx(embedding))", ()).await.unwrap();
    for text in TEXTS {
        let vector = embed(local, text).await;
        stored.execute("INSERT INTO docs VALUES (?, ?)", params![text, vector]).await.unwrap();
    }
    search(local, stored).await;
}

async fn search(local: &Connection, stored: &Connection) {
    let wanted = embed(local, "jury selected").await;
    let sql = "SELECT text FROM vector_top_k('docs_idx', ?, 1) AS k JOIN docs ON docs.rowid = k.id";
    let mut rows = stored.query(sql, [wanted]).await.unwrap();
    assert_eq!(rows.next().await.unwrap().unwrap().get::<String>(0).unwrap(), TEXTS[1]);
}

#[tokio::test]
async fn a_remote_database_lacks_the_functions_and_stores_what_is_bound() {
    let (fake, server) = (Fake::start(), Server::start(None, &[]).await);
    let local = local(&fake).await;
    let remote = server.remote().await.connect().unwrap();
    let e = one(&remote, "SELECT rembed('c', 'x')").await.unwrap_err().to_string();
    assert!(e.contains("no such function: rembed"), "{e}");
    store_and_search(&local, &remote).await;
}

#[tokio::test]
async fn a_replica_reads_here_and_writes_there() {
    let (fake, server) = (Fake::start(), Server::start(None, &[]).await);
    let local = local(&fake).await;
    let folder = tempfile::tempdir().unwrap();
    let replica = folder.path().join("replica.db");
    let db = Builder::new_remote_replica(replica, server.url.clone(), String::new()).build().await.unwrap();
    db.sync().await.unwrap();
    let connection = db.connect().unwrap();

    store_and_search(&local, &connection).await;
    db.sync().await.unwrap();
    search(&local, &connection).await;

    // register() reaches the replica's connection too: a SELECT runs here, a write that calls rembed() there.
    one(&connection, &fake.register()).await.unwrap();
    let sql =
        "SELECT text FROM docs ORDER BY vector_distance_cos(embedding, rembed('c', 'jury selected')) LIMIT 1";
    assert_eq!(one(&connection, sql).await.unwrap(), TEXTS[1].into());
    let write = connection.execute("INSERT INTO docs VALUES ('x', rembed('c', 'x'))", ()).await;
    let e = write.unwrap_err().to_string();
    assert!(e.contains("no such function: rembed"), "{e}");
}

/// A folder for `sqld --extensions-path` with the library in it, and beside it a file for REMBED_CONFIG.
fn trusted(fake: &Fake) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let library = std::env::var_os("REMBED_LIB").expect("REMBED_LIB names the library: run.sh has it");
    std::fs::copy(&library, folder.path().join("rembed0.so")).unwrap();
    let sum = Command::new("sha256sum").arg(&library).output().unwrap().stdout;
    let sum = String::from_utf8(sum).unwrap().split(' ').next().unwrap().to_owned();
    std::fs::write(folder.path().join("trusted.lst"), format!("{sum} rembed0.so\n")).unwrap();
    let config = folder.path().join("clients.json");
    let clients = format!(r#"{{"clients":{{"c":{{"format":"ollama","model":"m","url":"{}"}}}}}}"#, fake.url);
    std::fs::write(&config, clients).unwrap();
    let config = config.to_str().unwrap().to_owned();
    (folder, config)
}

#[tokio::test]
async fn a_server_that_trusts_the_extension_embeds_by_itself() {
    let fake = Fake::start();
    let (folder, config) = trusted(&fake);
    let server = Server::start(Some(folder.path()), &[("REMBED_CONFIG", &config)]).await;
    let remote = server.remote().await.connect().unwrap();
    remote.execute("CREATE TABLE docs(text TEXT, embedding F32_BLOB(768))", ()).await.unwrap();
    for text in TEXTS {
        remote.execute("INSERT INTO docs VALUES (?1, rembed('c', ?1))", [text]).await.unwrap();
    }
    let sql =
        "SELECT text FROM docs ORDER BY vector_distance_cos(embedding, rembed('c', 'jury selected')) LIMIT 1";
    assert_eq!(one(&remote, sql).await.unwrap(), TEXTS[1].into());
}

/// The server runs a statement alone in autocommit mode, where a sync may run, and not within a client's transaction.
#[tokio::test]
async fn a_server_that_trusts_the_extension_syncs_an_index() {
    let fake = Fake::start();
    let (folder, config) = trusted(&fake);
    let server = Server::start(Some(folder.path()), &[("REMBED_CONFIG", &config)]).await;
    let remote = server.remote().await.connect().unwrap();
    let index = "CREATE VIRTUAL TABLE docs_index USING rembed_index(client = 'c', content = 'docs', columns = 'body')";
    for sql in ["CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT)", index] {
        remote.execute(sql, ()).await.unwrap();
    }
    for text in TEXTS {
        remote.execute("INSERT INTO docs(body) VALUES (?1)", [text]).await.unwrap();
    }
    let sync = "SELECT json_extract(rembed_sync('docs_index'), '$.embedded')";
    let open = remote.transaction().await.unwrap();
    let refused = one(&open, sync).await.unwrap_err().to_string();
    assert!(refused.contains("a transaction is open: COMMIT first"), "{refused}");
    open.rollback().await.unwrap();
    assert_eq!(one(&remote, sync).await.unwrap(), 3.into());
    assert_eq!(
        one(&remote, "SELECT pending FROM rembed_index_status('docs_index')").await.unwrap(),
        0.into()
    );
    let found = "SELECT chunk FROM docs_index WHERE query = 'jury selected' AND mode = 'words'";
    assert_eq!(one(&remote, found).await.unwrap(), TEXTS[1].into());
    let found = "SELECT count(*) FROM docs_index('jury selected')";
    assert_eq!(one(&remote, found).await.unwrap(), 3.into());
}

/// What a stranger's listener heard, and what the stranger was told.
async fn attack(server: &Server, key: &str) -> (String, Result<Value, libsql::Error>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sql = format!(
        "SELECT rembed_register('e', 'format', 'openai', 'url', '{url}', 'key', '{key}', 'scope', 'process',
                                'timeout', 1, 'retries', 0)"
    );
    // Each is a request and, as sqld sees it, a client of its own.
    let registered = one(&server.remote().await.connect().unwrap(), &sql).await;
    let embedded = one(&server.remote().await.connect().unwrap(), "SELECT rembed('e', 'x')").await;
    assert!(embedded.is_err(), "the listener answers nothing");
    let mut heard = [0; 4096];
    let n = match listener.accept() {
        Ok((mut stream, _)) => {
            stream.set_nonblocking(true).unwrap();
            std::io::Read::read(&mut stream, &mut heard).unwrap()
        }
        Err(_) => 0,
    };
    (String::from_utf8_lossy(&heard[..n]).into_owned(), registered)
}

/// The recipe of SECURITY.md.
#[tokio::test]
async fn a_stranger_of_a_locked_server_gets_no_secret() {
    let fake = Fake::start();
    let (folder, config) = trusted(&fake);
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "the-hosts-own-secret\n").unwrap();
    let keys = ["env:SECRET_TOKEN".to_owned(), format!("file:{}", secret.display())];
    for lock in ["1", "0"] {
        let variables =
            [("REMBED_CONFIG", &*config), ("REMBED_LOCK", lock), ("SECRET_TOKEN", "the-hosts-own-secret")];
        let server = Server::start(Some(folder.path()), &variables).await;
        for key in &keys {
            let (heard, registered) = attack(&server, key).await;
            if lock == "1" {
                let e = registered.unwrap_err().to_string();
                assert!(e.contains("locked by REMBED_LOCK: ") && heard.is_empty(), "{e}: {heard}");
                continue;
            }
            // Or else the above would show nothing.
            let heard = heard.to_ascii_lowercase();
            assert!(heard.contains("authorization: bearer the-hosts-own-secret"), "{registered:?}: {heard}");
        }
        let remote = server.remote().await.connect().unwrap();
        assert_eq!(one(&remote, "SELECT length(rembed('c', 'text'))").await.unwrap(), 3072.into());
    }
}
