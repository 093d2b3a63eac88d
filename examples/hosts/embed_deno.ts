// deno run --allow-ffi --allow-env --allow-read embed_deno.ts
import { DatabaseSync } from "node:sqlite";

const db = new DatabaseSync(":memory:", { allowExtension: true });
db.loadExtension(Deno.env.get("REMBED_LIB")!);
db.prepare("SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', ?)").get(Deno.env.get("REMBED_URL")!);
console.log((db.prepare("SELECT length(rembed('local', 'The quick brown fox')) / 4 AS n").get() as { n: number }).n);
