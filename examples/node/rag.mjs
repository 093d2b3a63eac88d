// From a question to a prompt: what the pages of a shop say about it, for a language model to answer by.
//
//   ollama pull nomic-embed-text
//   npm install && node rag.mjs "how long may I take to send an item back?"
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";

const lib = process.env.REMBED_LIB ?? fileURLToPath(new URL("../../target/release/libsqlite_rembed.so", import.meta.url));
const url = process.env.REMBED_URL ?? "http://localhost:11434";
const question = process.argv[2] ?? "How long may I take to return an item?";
const pages = [
  ["Returns", "Return an item within 30 days and we refund the full price to the card you paid with.\n\n" +
    "Gift cards are valid for two years and cannot be paid out in cash."],
  ["Delivery", "We deliver to all of Europe in three to five working days.\n\n" +
    "Change the delivery address until the parcel has left the warehouse."],
  ["Account", "Forgot your password? The sign-in page has a link to set a new one.\n\n" +
    "Delete your account under Settings; what the tax office wants is kept for ten years."],
];

const db = new Database(":memory:");
db.loadExtension(lib);
db.prepare("INSERT INTO temp.rembed_clients(name, format, model, url) VALUES ('local', 'ollama', 'nomic-embed-text', ?)").run(url);

db.exec("CREATE TABLE pages(id INTEGER PRIMARY KEY, title TEXT, body TEXT)");
const insert = db.prepare("INSERT INTO pages(title, body) VALUES (?, ?)");
for (const page of pages) insert.run(...page);
db.exec(`CREATE VIRTUAL TABLE pages_index USING rembed_index(
  client = 'local', content = 'pages', columns = 'body', chunk_size = 100, chunk_overlap = 0)`);
db.prepare("SELECT rembed_sync('pages_index')").get();

const found = db.prepare(`
  SELECT p.title, i.chunk
  FROM pages_index(?) AS i JOIN pages AS p ON p.id = i.rowid
  WHERE i.k = 3 AND i.per_chunk = 1`).all(question);
const context = found.map(({ title, chunk }, n) => `[${n + 1}] ${title}: ${chunk.trim()}`).join("\n\n");
console.log(`Answer by these passages alone, and name the number of the one you used.\n\n${context}\n\nQuestion: ${question}`);
db.close();
