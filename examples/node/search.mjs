// Search the help pages of a shop by meaning.
//
//     ollama pull nomic-embed-text
//     npm install
//     node search.mjs "where is my order?"

import Database from "better-sqlite3";
import * as sqliteVec from "sqlite-vec";

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
sqliteVec.load(db);

db.prepare(
  "INSERT INTO temp.rembed_clients(name, format, model, url) VALUES ('local', 'ollama', 'nomic-embed-text', ?)",
).run(url);

db.exec("CREATE TABLE pages(id INTEGER PRIMARY KEY, body TEXT)");
const insert = db.prepare("INSERT INTO pages(body) VALUES (?)");
for (const page of pages) insert.run(page);

db.exec(`
  CREATE VIRTUAL TABLE vec_pages USING vec0(embedding float[768] distance_metric=cosine);
  INSERT INTO vec_pages(rowid, embedding) SELECT id, rembed('local', body) FROM pages;
`);

const search = db.prepare(`
  SELECT 1 - distance AS similarity, body
  FROM vec_pages JOIN pages ON pages.id = vec_pages.rowid
  WHERE embedding MATCH rembed('local', ?) AND k = 3
  ORDER BY distance
`);
for (const { similarity, body } of search.iterate(query)) {
  console.log(`${similarity.toFixed(3)}  ${body}`);
}
