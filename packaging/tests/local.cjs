// usage: node local.cjs HOST HOST-FOLDER VEC-FOLDER MODEL-FOLDER: searches by format local in a host, with no server and no key.
const { createRequire } = require("node:module");
const { getLoadablePath } = require("sqlite-rembed");

const [host, hostFolder, vecFolder, model] = process.argv.slice(2);
const memory = ":memory:";
const opened = {
  "better-sqlite3": () => new (createRequire(hostFolder)("better-sqlite3"))(memory),
  libsql: () => new (createRequire(hostFolder)("libsql"))(memory),
  "node:sqlite": () => new (require("node:sqlite").DatabaseSync)(memory, { allowExtension: true }),
};
const db = opened[host]();
db.loadExtension(getLoadablePath());
db.loadExtension(createRequire(vecFolder)("sqlite-vec").getLoadablePath());
db.prepare("SELECT rembed_register('local', 'format', 'local', 'model', ?)").get(model);
const texts = JSON.stringify(["Return an item within 30 days.", "We deliver to all of Europe.", "Invoices are PDF files."]);
const best = db.prepare(`
  SELECT text FROM rembed_batch('local', ?)
  ORDER BY vec_distance_cosine(embedding, rembed('local', 'I want my money back')) LIMIT 1`);
console.log(`${host}: ${best.get(texts).text}`);
