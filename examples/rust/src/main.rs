//! Search the help pages of a shop by meaning.
//!
//!     ollama pull nomic-embed-text
//!     cargo run -- "where is my order?"

use std::env;

use rusqlite::Connection;
use rusqlite::auto_extension::{RawAutoExtension, register_auto_extension};
use sqlite_vec::sqlite3_vec_init;

const LIB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/libsqlite_rembed.so");
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

fn main() -> rusqlite::Result<()> {
    let lib = env::var("REMBED_LIB").unwrap_or_else(|_| LIB.into());
    let url = env::var("REMBED_URL").unwrap_or_else(|_| "http://localhost:11434".into());
    let query = env::args().nth(1).unwrap_or_else(|| "How do I return an item and get a refund?".into());

    // SAFETY: the crate declares its entry point without the arguments that it has in C.
    let vec0 = unsafe { std::mem::transmute::<*const (), RawAutoExtension>(sqlite3_vec_init as *const ()) };
    // SAFETY: as SQLite's documentation asks, an entry point, and one that never goes away.
    unsafe { register_auto_extension(vec0)? };
    let db = Connection::open_in_memory()?;
    // SAFETY: the library is an extension of SQLite, and no SQL from elsewhere runs while loading is allowed.
    unsafe {
        db.load_extension_enable()?;
        db.load_extension(lib, None::<&str>)?;
        db.load_extension_disable()?;
    }

    db.execute(
        "INSERT INTO temp.rembed_clients(name, format, model, url) VALUES ('local', 'ollama', 'nomic-embed-text', ?)",
        [url],
    )?;

    db.execute_batch("CREATE TABLE pages(id INTEGER PRIMARY KEY, body TEXT)")?;
    for page in PAGES {
        db.execute("INSERT INTO pages(body) VALUES (?)", [page])?;
    }

    db.execute_batch(
        "CREATE VIRTUAL TABLE vec_pages USING vec0(embedding float[768] distance_metric=cosine);
         INSERT INTO vec_pages(rowid, embedding) SELECT id, rembed('local', body) FROM pages;",
    )?;

    let mut search = db.prepare(
        "SELECT 1 - distance, body
         FROM vec_pages JOIN pages ON pages.id = vec_pages.rowid
         WHERE embedding MATCH rembed('local', ?) AND k = 3
         ORDER BY distance",
    )?;
    let mut rows = search.query([query])?;
    while let Some(row) = rows.next()? {
        let (similarity, body): (f64, String) = (row.get(0)?, row.get(1)?);
        println!("{similarity:.3}  {body}");
    }
    Ok(())
}
