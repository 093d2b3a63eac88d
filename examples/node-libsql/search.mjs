// Search the help pages of a shop by meaning, in libSQL's own vector column and index.
//
//     ollama pull nomic-embed-text
//     npm install
//     node search.mjs "where is my order?"

import Database from "libsql";

const lib = process.env.REMBED_LIB ?? new URL("../../target/release/libsqlite_rembed.so", import.meta.url).pathname;
const url = process.env.REMBED_URL ?? "http://localhost:11434";
const query = process.argv[2] ?? "How do I return an item and get a refund?";
const pages = [
  "Follow a parcel with the tracking link in our e-mail; it works as soon as the parcel leaves the warehouse.",
  "Return an item within 30 days and we refund the full price to the card you paid with.",
  "Forgot your password? The sign-in page has a link to set a new one.",
  "We deliver to all of Europe in three to five working days.",
  "Invoices are PDF files; download them from your order history.",
  "Gift cards are valid for two years and cannot be paid out in cash.",
  "Change the delivery address until the parcel has left the warehouse.",
  "Delete your account under Settings; what the tax office wants is kept for ten years.",
];

const db = new Database(":memory:");
db.loadExtension(lib);

db.prepare(
  "INSERT INTO temp.rembed_clients(name, format, model, url) VALUES ('local', 'ollama', 'nomic-embed-text', ?)",
).run(url);

db.exec(`
  CREATE TABLE pages(id INTEGER PRIMARY KEY, body TEXT, embedding F32_BLOB(768));
  CREATE INDEX pages_by_meaning ON pages(libsql_vector_idx(embedding));
`);
const insert = db.prepare("INSERT INTO pages(body, embedding) VALUES (?1, rembed('local', ?1))");
for (const page of pages) insert.run(page);

const search = db.prepare(`
  SELECT 1 - vector_distance_cos(embedding, rembed('local', ?1)) AS similarity, body
  FROM vector_top_k('pages_by_meaning', rembed('local', ?1), 3) AS nearest JOIN pages USING (id)
  ORDER BY similarity DESC
`);
for (const { similarity, body } of search.all(query)) {
  console.log(`${similarity.toFixed(3)}  ${body}`);
}
