// Embeds in a worker thread, so that the event loop of the main thread goes on.
//
//     ollama pull nomic-embed-text
//     npm install
//     node worker.mjs

import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import Database from "better-sqlite3";

const lib = process.env.REMBED_LIB ?? new URL("../../target/release/libsqlite_rembed.so", import.meta.url).pathname;
const url = process.env.REMBED_URL ?? "http://localhost:11434";

if (isMainThread) {
  // Counts the turns of the event loop while a call is out: a web server would answer in them.
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const worker = new Worker(new URL(import.meta.url), { workerData: "a text to embed" });
  worker.once("message", (embedding) => {
    clearInterval(timer);
    console.log(`${embedding.length / 4} dimensions; the event loop ${turns > 0 ? "went on" : "stood still"}`);
  });
} else {
  const db = new Database(":memory:");
  db.loadExtension(lib);
  db.prepare("SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', ?)").get(url);
  parentPort.postMessage(db.prepare("SELECT rembed('local', ?)").pluck().get(workerData));
}
