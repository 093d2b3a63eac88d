//! Databases with documents, and a provider that tells what it was asked.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use driver::fake::Fake;
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension};

/// A scenario of the fake that all tests of the process share.
pub struct Provider {
    name: String,
}

fn fake() -> &'static Fake {
    static FAKE: OnceLock<Fake> = OnceLock::new();
    FAKE.get_or_init(Fake::start)
}

fn http(method: &str, path: &str, body: &str) -> String {
    let address = fake().url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.split(' ').nth(1).is_some_and(|status| status.starts_with('2')), "{reply}");
    body.to_owned()
}

impl Provider {
    /// One with these settings, as JSON; the width of its vectors is 8 unless they say another.
    pub fn new(settings: &str) -> Provider {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let provider = Provider { name: format!("index{}", COUNT.fetch_add(1, Ordering::Relaxed)) };
        provider.set(settings);
        provider
    }

    /// Other settings from now on; what was counted is forgotten.
    pub fn set(&self, settings: &str) {
        let settings = if settings.contains("\"width\"") {
            settings.to_owned()
        } else {
            settings.replacen('{', if settings == "{}" { "{\"width\": 8" } else { "{\"width\": 8, " }, 1)
        };
        http("PUT", &format!("/_/{}", self.name), &settings);
    }

    /// What the fake says of itself: a value of its report by its path.
    pub fn told<T: FromSql>(&self, path: &str) -> T {
        let report = http("GET", &format!("/_/{}", self.name), "");
        let sql = "SELECT json_extract(?1, ?2)";
        Connection::open_in_memory().unwrap().query_row(sql, [&report, path], |row| row.get(0)).unwrap()
    }

    /// The texts that it was sent.
    pub fn texts(&self) -> i64 {
        self.told("$.texts")
    }

    /// The statement that registers the client `name` with it. No vector is kept outside of the index.
    pub fn registration(&self, name: &str, more: &str) -> String {
        let url = format!("{}/s/{}", fake().url, self.name);
        let model = if more.contains("'model'") { "" } else { ", 'model', 'm'" };
        format!(
            "SELECT rembed_register('{name}', 'format', 'ollama', 'url', '{url}', 'cache', 'off'{model}{more})"
        )
    }

    /// Registers it.
    pub fn register(&self, db: &Connection, name: &str, more: &str) {
        db.query_row(&self.registration(name, more), [], |_| Ok(())).unwrap();
    }
}

/// A file that goes with this value.
pub struct File(pub PathBuf);

impl File {
    pub fn new() -> File {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        File(std::env::temp_dir().join(format!("rembed-index-{}-{n}.db", std::process::id())))
    }

    pub fn open(&self) -> Connection {
        let db = Connection::open(&self.0).unwrap();
        sqlite_rembed::rusqlite::register(&db).unwrap();
        db
    }
}

impl Drop for File {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm", "-journal"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.0.display()));
        }
    }
}

/// A database in memory with the extension.
pub fn open() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    sqlite_rembed::rusqlite::register(&db).unwrap();
    db
}

/// The table of documents, and an index over it.
pub const DOCS: &str = "
    CREATE TABLE docs(id INTEGER PRIMARY KEY, title TEXT, body TEXT, lang TEXT);
    INSERT INTO docs(title, body) VALUES ('Match', 'The home team won.'), ('Refunds', 'Money comes back in a week.'),
        (NULL, 'Third.');";
pub const INDEX: &str = "CREATE VIRTUAL TABLE docs_index USING rembed_index(client = 'c', content = 'docs', columns = 'title, body')";

/// A database in memory with [`DOCS`] and [`INDEX`], not synced yet.
pub fn indexed(provider: &Provider) -> Connection {
    indexing(open(), provider)
}

/// The same in a file.
pub fn indexed_in(file: &File, provider: &Provider) -> Connection {
    indexing(file.open(), provider)
}

fn indexing(db: Connection, provider: &Provider) -> Connection {
    provider.register(&db, "c", "");
    db.execute_batch(DOCS).unwrap();
    db.execute_batch(INDEX).unwrap();
    db
}

/// The first value of a query.
pub fn one<T: FromSql>(db: &Connection, sql: &str) -> T {
    db.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// The first column of a query, with bars between.
pub fn list(db: &Connection, sql: &str) -> String {
    let mut statement = db.prepare(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let rows = statement.query_map([], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
    let shown = rows.map(|value| match value.unwrap() {
        rusqlite::types::Value::Null => "NULL".to_owned(),
        rusqlite::types::Value::Integer(n) => n.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => format!("{other:?}"),
    });
    shown.collect::<Vec<_>>().join("|")
}

/// Reads all rows of a statement.
pub fn to_its_end(db: &Connection, sql: &str) -> rusqlite::Result<()> {
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// The error of a statement.
pub fn error(db: &Connection, sql: &str) -> String {
    match to_its_end(db, sql) {
        Ok(()) => panic!("{sql}: no error"),
        Err(rusqlite::Error::SqliteFailure(_, Some(text))) => text,
        Err(e) => e.to_string(),
    }
}

/// What a sync says.
pub struct Synced(String);

impl Synced {
    pub fn get(&self, name: &str) -> i64 {
        let sql = "SELECT json_extract(?1, '$.' || ?2)";
        let db = Connection::open_in_memory().unwrap();
        db.query_row(sql, [&self.0, name], |row| row.get(0)).optional().unwrap().unwrap()
    }

    /// Embedded, reused, deleted, failed, pending.
    pub fn all(&self) -> [i64; 5] {
        ["embedded", "reused", "deleted", "failed", "pending"].map(|name| self.get(name))
    }
}

/// Syncs the index.
pub fn sync(db: &Connection) -> Synced {
    sync_of(db, "docs_index")
}

/// Syncs this index.
pub fn sync_of(db: &Connection, index: &str) -> Synced {
    Synced(
        db.query_row("SELECT rembed_sync(?1)", [index], |row| row.get(0)).unwrap_or_else(|e| panic!("{e}")),
    )
}

/// Syncs the index with options.
pub fn sync_with(db: &Connection, options: &str) -> Synced {
    let sql = "SELECT rembed_sync('docs_index', ?1)";
    Synced(db.query_row(sql, [options], |row| row.get(0)).unwrap_or_else(|e| panic!("{e}")))
}

/// The table of words that answers.
pub fn words(db: &Connection, index: &str) -> String {
    let sql =
        "SELECT iif(value = 2, 'INDEX_words2', 'INDEX_words') FROM \"INDEX_config\" WHERE name = 'words'";
    one(db, &sql.replace("INDEX", index))
}

/// The rows that the table of words which answers has for a query of FTS5, in order.
pub fn matches(db: &Connection, query: &str) -> String {
    let words = words(db, "docs_index");
    list(db, &format!("SELECT rowid FROM {words} WHERE {words} MATCH '{query}' ORDER BY rowid"))
}

/// Whether everything is in step: the chunks are those of the rows, each with its words and its vector at its place.
pub fn check(db: &Connection) {
    check_of(db, "docs_index");
}

/// The same of this index, whose tables are of main.
pub fn check_of(db: &Connection, index: &str) {
    let count = |sql: &str| one::<i64>(db, &sql.replace("INDEX", index));
    let chunks = count("SELECT count(*) FROM \"INDEX_chunks\"");
    let words = words(db, index);
    let with_words =
        format!("SELECT count(*) FROM \"{words}\" WHERE rowid IN (SELECT id FROM \"INDEX_chunks\")");
    assert_eq!(count(&with_words), chunks);
    assert_eq!(count(&format!("SELECT count(*) FROM \"{words}_docsize\"")), chunks);
    let tables = format!(
        "SELECT count(*) FROM sqlite_master WHERE name IN ('{0}_words', '{0}_words2')",
        index.replace("\"\"", "\"")
    );
    assert_eq!(count(&tables), 1, "tables of words");
    let generation = "(SELECT value FROM \"INDEX_config\" WHERE name = 'generation')";
    let failed = count("SELECT count(*) FROM \"INDEX_errors\" WHERE seq >= 0");
    let vectors =
        format!("SELECT count(*) FROM \"INDEX_vectors\" WHERE generation = {generation} AND chunk > 0");
    assert_eq!(count(&vectors) + failed, chunks, "vectors");
    let live =
        format!("SELECT coalesce(sum(live), 0) FROM \"INDEX_segments\" WHERE generation = {generation}");
    assert_eq!(count(&live) + failed, chunks, "places");
    // Each vector stands at its place: id and row, as the layout says.
    let places = format!(
        "SELECT v.chunk, c.\"row\", v.place, s.data FROM \"INDEX_vectors\" v JOIN \"INDEX_chunks\" c ON c.id = v.chunk
         JOIN \"INDEX_segments\" s ON s.id = v.segment WHERE v.generation = {generation} AND v.chunk > 0"
    );
    let mut statement = db.prepare(&places.replace("INDEX", index)).unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut seen = 0;
    while let Some(row) = rows.next().unwrap() {
        let (id, content, place): (i64, i64, u32) =
            (row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap());
        let data: Vec<u8> = row.get(3).unwrap();
        let width = u32::from_le_bytes(data[4..8].try_into().unwrap()) as usize;
        let at = 16 + place as usize * (24 + width);
        let number = |at: usize| i64::from_le_bytes(data[at..at + 8].try_into().unwrap());
        assert_eq!((number(at), number(at + 8)), (id, content), "place");
        seen += 1;
    }
    assert_eq!(seen + failed, chunks, "places");
}
