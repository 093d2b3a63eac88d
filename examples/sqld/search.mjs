// A client of the server: every statement runs there.
//
//     npm install
//     SERVER=http://127.0.0.1:8080 node search.mjs

import { createClient } from "@libsql/client/web";

const db = createClient({ url: process.env.SERVER ?? "http://127.0.0.1:8080" });
await db.execute("CREATE TABLE IF NOT EXISTS pages(id INTEGER PRIMARY KEY, body TEXT, embedding F32_BLOB(768))");
for (const body of ["Return an item within 30 days for a refund.", "Invoices are PDF files."]) {
  await db.execute({ sql: "INSERT INTO pages(body, embedding) VALUES (?1, rembed('docs', ?1))", args: [body] });
}
const found = await db.execute({
  sql: "SELECT body FROM pages ORDER BY vector_distance_cos(embedding, rembed('docs', ?)) LIMIT 1",
  args: ["How do I return an item for a refund?"],
});
console.log(found.rows[0].body);
