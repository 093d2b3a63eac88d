// usage: hosts.mjs HOST URL HOSTS-FOLDER: loads the installed library into a host and prints how long a vector is.
import { createRequire } from "node:module";
import process from "node:process";
import { getLoadablePath } from "sqlite-rembed";

const [host, url, folder] = process.argv.slice(2);
const memory = ":memory:";
const opened = {
  "better-sqlite3": () => new (createRequire(folder)("better-sqlite3"))(memory),
  libsql: () => new (createRequire(folder)("libsql"))(memory),
  "node:sqlite": async () => new (await import("node:sqlite")).DatabaseSync(memory, { allowExtension: true }),
  "bun:sqlite": async () => new (await import("bun:sqlite")).Database(memory),
};
const db = await opened[host]();
db.loadExtension(getLoadablePath());
const get = (sql) => Object.values(db.prepare(sql).get())[0];
get(`SELECT rembed_register('c', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', '${url}')`);
console.log(`${host}: ${get("SELECT length(rembed('c', 'some text'))")} bytes`);
