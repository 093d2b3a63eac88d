// usage: node local.cjs FOLDER-WITH-better-sqlite3-AND-sqlite-vec MODEL-FOLDER
// Searches by format local: no server, no key.
const { createRequire } = require("node:module");
const { getLoadablePath } = require("sqlite-rembed");

const [folder, model] = process.argv.slice(2);
const hosts = createRequire(folder);
const db = new (hosts("better-sqlite3"))(":memory:");
db.loadExtension(getLoadablePath());
hosts("sqlite-vec").load(db);
db.prepare("SELECT rembed_register('local', 'format', 'local', 'model', ?)").get(model);
const texts = JSON.stringify(["Return an item within 30 days.", "We deliver to all of Europe.", "Invoices are PDF files."]);
const best = db.prepare(`
  SELECT text FROM rembed_batch('local', ?)
  ORDER BY vec_distance_cosine(embedding, rembed('local', 'I want my money back')) LIMIT 1`);
console.log(best.pluck().get(texts));
