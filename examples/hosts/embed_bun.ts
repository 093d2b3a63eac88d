import { Database } from "bun:sqlite";

const db = new Database(":memory:");
db.loadExtension(process.env.REMBED_LIB!);
db.query("SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', ?)").get(process.env.REMBED_URL!);
console.log((db.query("SELECT length(rembed('local', 'The quick brown fox')) / 4 AS n").get() as { n: number }).n);
