// Node 22.13 or later, without a package: node:sqlite
import { DatabaseSync } from "node:sqlite";

const db = new DatabaseSync(":memory:", { allowExtension: true });
db.loadExtension(process.env.REMBED_LIB);
db.prepare("SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', ?)").get(process.env.REMBED_URL);
console.log(db.prepare("SELECT length(rembed('local', 'The quick brown fox')) / 4 AS n").get().n);
