//! Search the help pages of a shop by meaning, in libSQL's own vector column and index.
//!
//!     ollama pull nomic-embed-text
//!     cargo run -- "where is my order?"

use std::env;

use libsql::{Builder, params};

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

async fn search(query: String) -> Result<(), Box<dyn std::error::Error>> {
    let url = env::var("REMBED_URL").unwrap_or_else(|_| "http://localhost:11434".into());

    let database = Builder::new_local(":memory:").build().await?;
    // Once, before connect(): every connection that the process opens from here on has the functions.
    sqlite_rembed::libsql::register(&database)?;
    let db = database.connect()?;

    db.execute(
        "INSERT INTO temp.rembed_clients(name, format, model, url) VALUES ('local', 'ollama', 'nomic-embed-text', ?)",
        [url],
    )
    .await?;

    db.execute("CREATE TABLE pages(id INTEGER PRIMARY KEY, body TEXT, embedding F32_BLOB(768))", ()).await?;
    db.execute("CREATE INDEX pages_by_meaning ON pages(libsql_vector_idx(embedding))", ()).await?;
    for page in PAGES {
        db.execute("INSERT INTO pages(body, embedding) VALUES (?1, rembed('local', ?1))", params![page])
            .await?;
    }

    let mut rows = db
        .query(
            "SELECT 1 - vector_distance_cos(embedding, rembed('local', ?1)), body
             FROM vector_top_k('pages_by_meaning', rembed('local', ?1), 3) AS nearest JOIN pages USING (id)
             ORDER BY 1 DESC",
            params![query],
        )
        .await?;
    while let Some(row) = rows.next().await? {
        let (similarity, body): (f64, String) = (row.get(0)?, row.get(1)?);
        println!("{similarity:.3}  {body}");
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let query = env::args().nth(1).unwrap_or_else(|| "How do I return an item and get a refund?".into());
    tokio::runtime::Builder::new_current_thread().build()?.block_on(search(query))
}
