//! Search the help pages of a shop by meaning, with Turso's own vector functions.
//!
//!     ollama pull nomic-embed-text
//!     cargo run -- "where is my order?"

use std::env;
use std::sync::Arc;

use turso_core::{Connection, Database, MemoryIO, SqliteDialect, Value};

const PAGES: [&str; 8] = [
    "Follow a parcel with the tracking link in our e-mail; it works as soon as the parcel leaves the warehouse.",
    "Return an item within 30 days and we refund the full price to the card you paid with.",
    "Forgot your password? The sign-in page has a link to set a new one.",
    "We deliver to all of Europe in three to five working days.",
    "Invoices are PDF files; download them from your order history.",
    "Gift cards are valid for two years and cannot be paid out in cash.",
    "Change the delivery address until the parcel has left the warehouse.",
    "Delete your account under Settings; what the tax office wants is kept for ten years.",
];

fn run(db: &Arc<Connection>, sql: &str, parameters: &[&str]) -> turso_core::Result<Vec<Vec<Value>>> {
    let mut statement = db.prepare(sql)?;
    for (i, text) in (1..).zip(parameters) {
        statement.bind_at(std::num::NonZero::new(i).unwrap(), Value::build_text(text.to_string()))?;
    }
    statement.run_collect_rows()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = env::var("REMBED_URL").unwrap_or_else(|_| "http://localhost:11434".into());
    let query = env::args().nth(1).unwrap_or_else(|| "How do I return an item and get a refund?".into());

    let db =
        Database::open_file(Arc::new(MemoryIO::new()), ":memory:", Arc::new(SqliteDialect))?.connect()?;
    // For each connection: its clients are its own.
    sqlite_rembed::turso::register(&db)?;

    let client = "INSERT INTO temp.rembed_clients(name, format, model, url)
                  VALUES ('local', 'ollama', 'nomic-embed-text', ?)";
    run(&db, client, &[&url])?;

    run(&db, "CREATE TABLE pages(id INTEGER PRIMARY KEY, body TEXT, embedding BLOB)", &[])?;
    for page in PAGES {
        run(&db, "INSERT INTO pages(body) VALUES (?)", &[page])?;
    }
    // One request for all pages: rembed() then finds their vectors in the cache.
    run(&db, "SELECT rembed_prefetch('local', json_group_array(body)) FROM pages", &[])?;
    run(&db, "UPDATE pages SET embedding = rembed('local', body)", &[])?;

    let search = "SELECT 1 - vector_distance_cos(embedding, rembed('local', ?)), body
                  FROM pages ORDER BY 1 DESC LIMIT 3";
    for row in run(&db, search, &[&query])? {
        let similarity: f64 = row[0].to_string().parse()?;
        println!("{similarity:.3}  {}", row[1]);
    }
    Ok(())
}
