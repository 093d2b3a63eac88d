//! Compare two texts by meaning, without any SQL.
//!
//!     ollama pull nomic-embed-text
//!     cargo run -- "How do I get a refund?"

use std::env;

use sqlite_rembed::{Client, Error, Options, Session};

const PAGE: &str = "Return an item within 30 days and we refund the full price to the card you paid with.";

fn main() -> Result<(), Error> {
    let url = env::var("REMBED_URL").unwrap_or_else(|_| "http://localhost:11434".into());
    let query = env::args().nth(1).unwrap_or_else(|| "How do I return an item and get a refund?".into());

    let options = format!(r#"{{"format": "ollama", "model": "nomic-embed-text", "url": "{url}"}}"#);
    let session = Session::default();
    session.add(Client::new("local", Options::parse(&options)?)?)?;

    // Both texts travel in one request. The vectors come in the order of the texts.
    let vectors = session.embed("local", &[PAGE, &query], None)?;
    println!("{} dimensions, similarity {:.3}", vectors[0].len(), cosine(&vectors[0], &vectors[1]));
    Ok(())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
