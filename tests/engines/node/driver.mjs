// The conformance driver on Node (tests/conformance/README.md has the protocol).
// usage: node driver.mjs better-sqlite3|libsql DATABASE-FILE LIBRARY
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [host, file, library] = process.argv.slice(2);
// better-sqlite3 is compiled, once: for the examples.
const folder = new URL(host === "better-sqlite3" ? "../../../examples/node/" : "./", import.meta.url);
const Database = createRequire(folder)(host);
// Not by require: the package may not export it.
const { version } = JSON.parse(readFileSync(new URL(`node_modules/${host}/package.json`, folder)));
const connections = new Map();

function open(readonly) {
  // libsql ignores the option, better-sqlite3 the address.
  const db = readonly && host === "libsql" ? new Database(`file:${file}?mode=ro`) : new Database(file, { readonly });
  // Integers as BigInt: as a JavaScript number, 1 and 1.0 are the same.
  db.defaultSafeIntegers(true);
  for (const path of [process.env.SQLITE_VEC, library].filter(Boolean)) db.loadExtension(path);
  return db;
}

function answer({ connection, sql }) {
  if (!connections.has(connection)) connections.set(connection, open(connection.startsWith("readonly")));
  const statement = connections.get(connection).prepare(sql);
  if (statement.reader) return statement.raw(true).all();
  statement.run();
  return [];
}

// Not JSON.stringify: it has no integers of 64 bits.
function value(v) {
  switch (typeof v) {
    case "bigint": return v.toString();
    case "number": return `{"real":${JSON.stringify(v)}}`;
    case "string": return JSON.stringify(v);
    default: return v === null ? "null" : `{"blob":"${Buffer.from(v).toString("hex")}"}`;
  }
}

const engine = new Database(":memory:").prepare("SELECT sqlite_version() AS v").get().v;
const name = host === "libsql" ? `libSQL (SQLite ${engine})` : `SQLite ${engine}`;
console.log(JSON.stringify({ engine: name, host: `Node, npm \`${host}\` ${version}` }));
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  let reply;
  try {
    const rows = answer(JSON.parse(line));
    reply = `{"rows":[${rows.map((row) => `[${row.map(value).join(",")}]`).join(",")}]}`;
  } catch (error) {
    reply = JSON.stringify({ error: error.message });
  }
  console.log(reply);
}
for (const db of connections.values()) db.close();
